"""The gate bites: files that do something else than the network are refused, with the reason."""

import itertools
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.quantize.conftest import make_graph, photos  # noqa: F401

from mobilenet.errors import DataError, ModelError
from mobilenet.export.diagnose import diagnose
from mobilenet.export.export import Exported
from mobilenet.export.litert.model import litert_model
from mobilenet.export.onnx.model import onnx_model
from mobilenet.export.proof.verify import Proof, Reference, agreement_between, prove
from mobilenet.model.card import ModelCard
from mobilenet.model.graph import ConvNode, Graph, Node, QuantizedGraph
from mobilenet.quantize.ranges import choose_ranges, observe
from mobilenet.quantize.simulator import batches, raw_outputs
from mobilenet.quantize.weights import quantized
from mobilenet.tasks.classification import Classification, ClassTargets

_PHOTOS = photos(48)

Change = Callable[[ConvNode], ConvNode]


@pytest.fixture(scope="module")
def graph(make_graph: Callable[..., Graph]) -> Graph:  # noqa: F811
    made = make_graph("relu6", "tensorflow")
    stem = made.nodes[0]
    assert isinstance(stem, ConvNode)
    # So that ReLU6 has something to cut.
    return replace(made, nodes=(replace(stem, filters=5 * stem.filters), *made.nodes[1:]))


def _reference(graph: Graph) -> Reference:
    """What the graph says of the photos is right."""
    with torch.inference_mode():
        wanted = torch.cat(
            [torch.softmax(raw_outputs(graph, pixels)["probabilities"], 1) for pixels in batches(_PHOTOS)]
        ).numpy()
    return Reference(
        Classification(),
        graph.card,
        _PHOTOS,
        {"probabilities": wanted},
        ClassTargets(wanted.argmax(1).astype(np.int64)),
    )


@pytest.fixture(scope="module")
def reference(graph: Graph) -> Reference:
    return _reference(graph)


def _changed(graph: Graph, change: Change) -> Graph:
    nodes: list[Node] = [change(node) if isinstance(node, ConvNode) else node for node in graph.nodes]
    return replace(graph, nodes=tuple(nodes))


def _judged(
    graph: Graph, written: Graph | QuantizedGraph, reference: Reference, path: Path, precision: str = "float32"
) -> Proof:
    path.write_bytes(litert_model(written) if path.suffix == ".tflite" else onnx_model(written, batch=None))
    runtime = "litert" if path.suffix == ".tflite" else "onnxruntime"
    proof, found = prove(path, runtime, precision, reference)  # type: ignore[arg-type]
    return replace(proof, cause=diagnose(graph, reference.images, found))


_KINDS = pytest.mark.parametrize("name", ["a.tflite", "a.onnx"])


@_KINDS
def test_a_right_file_passes(graph: Graph, reference: Reference, tmp_path: Path, name: str) -> None:
    proof = _judged(graph, graph, reference, tmp_path / name)
    assert proof.failures == ()
    assert (proof.agreement, proof.accuracy, proof.photos) == (1.0, 1.0, 48)
    assert proof.size_bytes == (tmp_path / name).stat().st_size
    assert json.loads(json.dumps(proof.to_json()))["passed"] is True


@_KINDS
@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda node: replace(node, padding="symmetric"), "its padding is symmetric, the network's is tensorflow"),
        (lambda node: replace(node, activation="relu"), "its activation is relu, the network's is relu6"),
        (
            lambda node: replace(node, filters=node.filters[:, ::-1].copy()) if node.name == "stem" else node,
            "its colour channels are in reverse order",
        ),
    ],
)
def test_a_file_that_computes_something_else_is_refused_with_the_cause(
    graph: Graph, reference: Reference, tmp_path: Path, name: str, change: Change, cause: str
) -> None:
    proof = _judged(graph, _changed(graph, change), reference, tmp_path / name)
    assert {gate.name for gate in proof.gates if not gate.passed} >= {"probabilities"}
    assert any("times the tolerance; it computes something else" in failure for failure in proof.failures)
    assert proof.failures[-1] == f"likely cause: {cause}"


def _uneven(graph: Graph) -> Graph:
    """The same function with depthwise filters of very different sizes, as folded batch norms leave them."""
    nodes: list[Node] = list(graph.nodes)
    for number, (before, node) in enumerate(itertools.pairwise(graph.nodes)):
        if isinstance(before, ConvNode) and isinstance(node, ConvNode) and node.depthwise:
            factors = np.resize(np.geomspace(1, 3000, 16).astype(np.float32), len(node.bias))
            filters = nodes[number].filters * factors[:, None, None, None]  # type: ignore[union-attr]
            nodes[number] = replace(before, filters=filters, bias=before.bias * factors)
            nodes[number + 1] = replace(node, filters=node.filters / factors[:, None, None, None])
    return replace(graph, nodes=tuple(nodes))


def _rounded(node: ConvNode, scales: NDArray[np.float32]) -> ConvNode:
    return replace(node, filters=(np.round(node.filters / scales) * scales).astype(np.float32))


@_KINDS
def test_depthwise_filters_that_share_a_scale_are_refused(
    make_graph: Callable[..., Graph],  # noqa: F811
    tmp_path: Path,
    name: str,
) -> None:
    graph = _uneven(make_graph("relu", "symmetric"))
    own = _reference(graph)
    shared = _changed(graph, lambda n: _rounded(n, np.abs(n.filters).max() / 127) if n.depthwise else n)
    separate = _changed(graph, lambda n: _rounded(n, np.abs(n.filters).max((1, 2, 3), keepdims=True) / 127))
    coarse = _judged(graph, shared, own, tmp_path / name, "int8")
    assert "its top-1 differs from the network's on" in coarse.failures[0]
    assert "try --qat or more --calibration-photos, else use the float32 file" in coarse.failures[0]
    assert coarse.failures[-1] == "likely cause: its depthwise filters share one scale for the whole tensor"
    fine = _judged(graph, separate, own, tmp_path / name, "int8")
    assert fine.cause is None
    assert 1 - fine.agreement < 0.5 * (1 - coarse.agreement)


def _said(graph: Graph, **fields: object) -> Graph:
    return replace(graph, card=replace(graph.card, **fields))  # type: ignore[arg-type]


def test_another_description_is_refused(graph: Graph, reference: Reference, tmp_path: Path) -> None:
    other = _said(graph, labels=("b", "a", "c", "d", "e"))
    proof = _judged(graph, other, reference, tmp_path / "a.onnx")
    assert proof.failures == ("its classes differ from the network's; export it again",)


def test_a_file_that_holds_something_twice_is_refused(graph: Graph, reference: Reference, tmp_path: Path) -> None:
    ballast = _said(graph, provenance={"ballast": 300_000 * "a"})
    proof = _judged(graph, ballast, reference, tmp_path / "a.onnx")
    assert len(proof.failures) == 1
    assert "bytes, " in proof.failures[0]
    assert "part of it is duplicated" in proof.failures[0]


class _Slow:
    """A float32 file whose speed is known."""

    def __init__(self, card: ModelCard, probabilities: NDArray[np.float32]) -> None:
        self.card = card
        self.labels, self.preprocessing, self.task = card.labels, card.preprocessing, card.task
        self._answer = probabilities[:1]

    def predict(self, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        return {"probabilities": np.repeat(self._answer, len(images), 0)}


def test_an_8_bit_file_must_be_faster(
    graph: Graph, reference: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mobilenet.export.proof.verify._TIMED_S", 0.01)
    path = tmp_path / "a.tflite"
    path.write_bytes(litert_model(quantized(graph, choose_ranges(observe(graph, _PHOTOS), "min-max"))))
    # An engine that does nothing is faster than any file.
    proof, _ = prove(path, "litert", "int8", reference, _Slow(graph.card, reference.outputs["probabilities"]))
    assert proof.float32_latency_ms is not None
    assert proof.float32_latency_ms < proof.latency_ms
    assert "8 bits are not faster on this device; use the float32 file" in proof.failures[-1]


def test_nothing_known_explains_noise(graph: Graph, reference: Reference) -> None:
    noise = np.random.default_rng(0).dirichlet(np.ones(5), len(_PHOTOS)).astype(np.float32)
    assert diagnose(graph, _PHOTOS, {"probabilities": noise}) is None
    assert diagnose(graph, _PHOTOS, reference.outputs) is None


class _Answering:
    """A file that is opened without an engine, whose answers are known."""

    def __init__(self, card: ModelCard, probabilities: NDArray[np.float32]) -> None:
        self.card = card
        self.labels, self.preprocessing, self.task = card.labels, card.preprocessing, card.task
        self._answers = {image.tobytes(): answer for image, answer in zip(_PHOTOS, probabilities, strict=True)}

    def predict(self, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        return {"probabilities": np.stack([self._answers[image.tobytes()] for image in images])}


def _proof_of_answers(
    reference: Reference,
    answers: NDArray[np.float32],
    precision: str,
    monkeypatch: pytest.MonkeyPatch,
    path: Path,
    times: tuple[float, float | None] = (1.0, None),
) -> Proof:
    path.write_bytes(b"a file")
    monkeypatch.setattr(
        "mobilenet.export.proof.verify.open_model", lambda *_, **__: _Answering(reference.card, answers)
    )
    monkeypatch.setattr("mobilenet.export.proof.verify.speed", lambda *_: times)
    return prove(path, "litert", precision, reference)[0]  # type: ignore[arg-type]


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_file_that_answers_one_photo_without_numbers_fails(
    reference: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: float, precision: str
) -> None:
    """One of 48 is not enough for any other gate of 8 bits: 97 % of the answers are the same."""
    answers = reference.outputs["probabilities"].copy()
    assert _proof_of_answers(reference, answers, precision, monkeypatch, tmp_path / "a").failures == ()
    answers[7, reference.outputs["probabilities"][7].argmax()] = value
    proof = _proof_of_answers(reference, answers, precision, monkeypatch, tmp_path / "a")
    assert proof.failures[0] == "it outputs NaN or infinity on 1 of 48 photos; it computes something else"
    assert (proof.agreement, proof.accuracy, proof.largest_difference) == (47 / 48, 47 / 48, 1.0)
    assert json.loads(json.dumps(proof.to_json(), allow_nan=False))["passed"] is False


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_file_that_answers_nothing_with_numbers_fails_every_gate_of_answers(
    reference: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    nothing = np.full_like(reference.outputs["probabilities"], np.nan)
    proof = _proof_of_answers(reference, nothing, precision, monkeypatch, tmp_path / "a")
    passed = {gate.name for gate in proof.gates if gate.passed}
    assert passed == {"description", "size"}


@pytest.mark.parametrize("both", [False, True])
def test_photos_without_finite_outputs_count_as_disagreement_between_files(reference: Reference, *, both: bool) -> None:
    answers = reference.outputs["probabilities"]
    broken = answers.copy()
    broken[:12] = np.nan
    first, second = {"probabilities": broken}, {"probabilities": broken if both else answers}
    assert agreement_between(first, second, reference.task, reference.card) == 36 / 48
    nothing = {"probabilities": np.full_like(answers, np.nan)}
    assert agreement_between(nothing, nothing, reference.task, reference.card) == 0


@pytest.mark.parametrize("times", [(math.nan, 2.0), (1.0, math.nan), (math.inf, 2.0)])
def test_a_time_that_is_no_number_is_not_faster(
    reference: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: tuple[float, float]
) -> None:
    answers = reference.outputs["probabilities"]
    proof = _proof_of_answers(reference, answers, "int8", monkeypatch, tmp_path / "a", times)
    assert [gate.name for gate in proof.gates if not gate.passed] == ["faster than float32"]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_network_that_answers_without_numbers_proves_nothing(reference: Reference, value: float) -> None:
    answers = reference.outputs["probabilities"].copy()
    answers[7, 0] = value
    with pytest.raises(ModelError, match="the model's outputs contain NaN or infinity: training has diverged"):
        replace(reference, outputs={"probabilities": answers})


def test_no_photos_prove_nothing(reference: Reference) -> None:
    answers = reference.outputs["probabilities"]
    with pytest.raises(DataError, match="no photos to verify a file on; give at least one that can be read"):
        replace(reference, images=_PHOTOS[:0], outputs={"probabilities": answers[:0]}, targets=None)
    with pytest.raises(ModelError, match=r"the model's output probabilities has shape \(47, 5\), \(48, 5\) expected"):
        replace(reference, outputs={"probabilities": answers[:47]})


def test_what_was_not_measured_is_not_proven(
    reference: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = reference.outputs["probabilities"]
    proof = _proof_of_answers(reference, answers, "float32", monkeypatch, tmp_path / "a")
    assert replace(proof, gates=()).failures == ("it was not measured; export it again",)
    nothing = Exported(tmp_path, (), None, "", (), None, reference.task.goal)
    assert nothing.failures == ("no file was written; name a format and a precision",)
    assert nothing.to_json()["passed"] is False
