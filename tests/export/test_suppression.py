"""Files that decode and suppress boxes themselves: each engine finds what NumPy finds in the simulator's outputs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from flatbuffers.table import Table
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from tests.export.heads import in_8_bits, random_graph

from mobilenet.datasets.photos import Photos
from mobilenet.datasets.targets import Unlabelled
from mobilenet.errors import ModelError
from mobilenet.export.diagnose import diagnose
from mobilenet.export.export import _without_idle
from mobilenet.export.litert.model import litert_model
from mobilenet.export.onnx.model import onnx_model
from mobilenet.export.proof.boxes import Suppressing
from mobilenet.export.proof.lost import costliest
from mobilenet.export.proof.verify import Proof, Reference, prove
from mobilenet.images import Preprocessing
from mobilenet.model.card import ModelCard
from mobilenet.model.graph import Graph, QuantizedGraph
from mobilenet.model.suppression import Suppression, suppress, suppressed_outputs
from mobilenet.model.vocabulary import Vocabulary
from mobilenet.nn.endings import ended
from mobilenet.quantize.simulator import pixels_of, quantized_outputs, raw_outputs
from mobilenet.runtimes import open_model
from mobilenet.spec import ConvStyle, mobilenet_v1
from mobilenet.tasks.detection.found import found_boxes
from mobilenet.tasks.detection.targets import BoxTargets
from mobilenet.tasks.detection.task import Detection
from mobilenet.weights.open import open_weights
from mobilenet.weights.read import import_weights

Images = NDArray[np.uint8]
Answers = dict[str, NDArray[np.float32]]

_NAMES = "boxes", "classes", "scores", "count"
_TASK = Detection()


def _graph(classes: int) -> Graph:
    """A detector of random numbers for 96 pixels."""
    labels = tuple(f"class {number}" for number in range(classes))
    style = ConvStyle("tensorflow", "relu6", batch_norm=False)
    body, vocabulary = mobilenet_v1(0.25, 96, 0, style), Vocabulary(labels)
    pixels = Preprocessing(96, None, (127.5, 127.5, 127.5), (58.4, 57.1, 57.4))
    head, decoding = _TASK.head(body, vocabulary), dict(_TASK.decoding(body, vocabulary))
    return random_graph(
        ModelCard(body.name, 0.25, 96, labels, pixels, style, task=_TASK.name, head=head, decoding=decoding)
    )


def _images(count: int) -> Images:
    small = np.random.default_rng(1).integers(0, 256, (count, 6, 6, 3), np.uint8)
    return np.kron(small, np.ones((1, 16, 16, 1), np.uint8))


def _raw(graph: Graph | QuantizedGraph, images: Images) -> Answers:
    with torch.inference_mode():
        pixels = pixels_of(images)
        raw = raw_outputs(graph, pixels) if isinstance(graph, Graph) else quantized_outputs(graph, pixels)
        return {output.name: ended(raw[output.name], output.ending).numpy() for output in graph.card.outputs}


def _written(graph: Graph | QuantizedGraph, how: Suppression | None, suffix: str, batch: int | None = None) -> bytes:
    return litert_model(graph, how) if suffix == ".tflite" else onnx_model(graph, batch=batch, suppression=how)


def _overlapping(card: ModelCard, overlap: float) -> ModelCard:
    return replace(card, decoding={**card.decoding, "overlap": overlap})


def _check_equal(found: Answers, expected: Answers) -> None:
    assert list(found) == list(expected) == [output.name for output in suppressed_outputs(1)]
    for name, values in expected.items():
        assert (found[name].shape, found[name].dtype) == (values.shape, np.float32)
        np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=1e-4, err_msg=name)


@pytest.fixture(scope="module")
def graph() -> Graph:
    return _graph(7)


@pytest.mark.parametrize("least_score", [0.4, 0.999999], ids=["boxes", "nothing"])
@pytest.mark.parametrize(
    ("suffix", "engine", "batch"),
    [
        (".onnx", "onnxruntime", None),
        (".onnx", "onnxruntime", 3),
        (".onnx", "openvino", None),
        (".onnx", "openvino", 3),
        (".tflite", "litert", None),
    ],
)
def test_files_find_what_numpy_finds(
    graph: Graph, tmp_path: Path, suffix: str, engine: str, batch: int | None, least_score: float
) -> None:
    how = replace(_TASK.suppression(graph.card), overlap=0.15, least_score=least_score, most=30)
    file = tmp_path / f"model{suffix}"
    file.write_bytes(_written(graph, how, suffix, batch))
    predictor, images = open_model(file, engine, threads=1), _images(4)
    expected = suppress(_raw(graph, images), how)
    found = predictor.predict(images)
    _check_equal(found, expected)
    assert predictor.card == replace(graph.card, suppressed=30)
    assert predictor.card.outputs == suppressed_outputs(30)
    assert expected["num_detections"].tolist() == [0 if least_score > 0.9 else 30] * 4
    everything = suppress(_raw(graph, images), replace(how, overlap=1.0))
    assert least_score > 0.9 or not np.array_equal(everything["detection_scores"], expected["detection_scores"])
    for ours, theirs in zip(
        found_boxes(found, predictor.card, least_score=least_score),
        found_boxes(_raw(graph, images), _overlapping(graph.card, how.overlap), least_score=least_score),
        strict=True,
    ):
        assert ours.labels.tolist() == theirs.labels[:30].tolist()
        np.testing.assert_allclose(ours.boxes, theirs.boxes[:30], atol=1e-4)
        assert not len(ours) or (ours.boxes.min() >= 0 and ours.boxes.max() <= 1)


@pytest.mark.parametrize("threads", [2, 3, 6, 64])
@pytest.mark.parametrize("classes", [1, 2, 7])
def test_litert_finds_every_class_with_any_number_of_threads(tmp_path: Path, classes: int, threads: int) -> None:
    """Its operator passes over the class whose number is that of its threads."""
    graph = _graph(classes)
    how = replace(_TASK.suppression(graph.card), least_score=0.4)
    file = tmp_path / "model.tflite"
    file.write_bytes(litert_model(graph, how))
    expected = suppress(_raw(graph, _images(1)), how)
    _check_equal(open_model(file, threads=threads).predict(_images(1)), expected)
    assert set(expected["detection_classes"].ravel().tolist()) == set(range(classes))


@pytest.mark.parametrize("suffix", [".onnx", ".tflite"])
def test_8_bit_files_suppress_their_own_outputs(graph: Graph, tmp_path: Path, suffix: str) -> None:
    coarse, images = in_8_bits(graph, _images(16)), _images(4)
    how = replace(_TASK.suppression(graph.card), least_score=0.4)
    found = []
    for suppression in (None, how):
        file = tmp_path / f"model{suffix}"
        file.write_bytes(_written(coarse, suppression, suffix))
        found.append(open_model(file, threads=1).predict(images))
    raw, boxes = found
    assert raw.keys() == {"boxes", "scores"}
    expected = suppress(raw, how)
    np.testing.assert_array_equal(boxes["num_detections"], expected["num_detections"])
    # Many scores are equal, whose order is the engine's.
    np.testing.assert_allclose(boxes["detection_scores"], expected["detection_scores"], atol=1e-6)


_SHARES = st.floats(0, 1, width=32)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(_SHARES, _SHARES, _SHARES, _SHARES, st.integers(0, 1), _SHARES), max_size=12))
def test_what_is_kept_overlaps_no_better_box_of_its_class(
    rows: list[tuple[float, float, float, float, int, float]],
) -> None:
    """Boxes are their own priors; a prior has a score for one of two classes."""
    priors = np.array([[y, x, h + 0.01, w + 0.01] for y, x, h, w, _, _ in rows], np.float32).reshape(-1, 4)
    scores = np.zeros((1, len(rows), 2), np.float32)
    for place, (*_, label, score) in enumerate(rows):
        scores[0, place, label] = score
    how = Suppression("codes", "scores", priors, (10.0, 10.0, 5.0, 5.0), 0.5, least_score=0.1, most=20)
    found = suppress({"codes": np.zeros((1, len(rows), 4), np.float32), "scores": scores}, how)
    boxes, labels, values, count = (found[output.name][0] for output in how.outputs)
    assert (np.diff(values) <= 0).all()
    kept = list(zip(boxes.tolist(), labels.tolist(), values.tolist(), strict=True))[: int(count)]
    corners = [(y - h / 2, x - w / 2, y + h / 2, x + w / 2) for y, x, h, w in priors.astype(float)]
    for corner, (*_, label, score) in zip(corners, rows, strict=True):
        same = [_iou(corner, box) for box, other, value in kept if other == label and value >= score]
        # Kept itself, or hidden by one that is as good.
        assert score < 0.1 or max(same) > 0.5 - 1e-5
    for place, (box, label, _) in enumerate(kept):
        assert all(_iou(box, other) <= 0.5 + 1e-5 for other, name, _ in kept[:place] if name == label)


def test_boxes_hide_others_however_many_there_are() -> None:
    """2,000 boxes of one class, which leave hundreds."""
    random = np.random.default_rng(2)
    centres, sides = random.uniform(0, 1, (2000, 2)), random.uniform(0.03, 0.06, (2000, 2))
    priors = np.concatenate([centres, sides], 1).astype(np.float32)
    scores = random.uniform(0.2, 1, (1, 2000, 1)).astype(np.float32)
    how = Suppression("codes", "scores", priors, (10.0, 10.0, 5.0, 5.0), 0.2, least_score=0.1, most=2000)
    found = suppress({"codes": np.zeros((1, 2000, 4), np.float32), "scores": scores}, how)
    count = int(found["num_detections"][0])
    boxes, values = found["detection_boxes"][0, :count], found["detection_scores"][0, :count]
    between = np.array([[_iou(one, other) for other in boxes] for one in boxes.tolist()])
    assert 200 < count < 1500
    assert between[~np.eye(count, dtype=np.bool_)].max() <= 0.2 + 1e-4
    gone = np.setdiff1d(scores, values)
    for score in gone[::20]:
        y, x, height, width = priors[np.flatnonzero(scores[0, :, 0] == score)[0]].tolist()
        box = [y - height / 2, x - width / 2, y + height / 2, x + width / 2]
        assert max(_iou(box, other) for other in boxes[values > score].tolist()) > 0.2 - 1e-4


def _iou(one: list[float] | tuple[float, ...], other: list[float] | tuple[float, ...]) -> float:
    height, width = (min(one[side + 2], other[side + 2]) - max(one[side], other[side]) for side in (0, 1))
    both = max(height, 0.0) * max(width, 0.0)
    return both / (sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)) - both)


def test_the_card_says_how_many_boxes() -> None:
    card = replace(_graph(2).card, suppressed=100)
    assert ModelCard.from_json(card.to_json()) == card
    assert [output.name for output in card.network_outputs] == ["boxes", "scores"]
    for wrong in (0, True, "100", 10**9):
        with pytest.raises(ModelError, match="its number of boxes per photo is"):
            ModelCard.from_json(replace(card, suppressed=wrong).to_json())  # type: ignore[arg-type]


def test_metadata_are_those_that_readers_of_detectors_require(graph: Graph) -> None:
    model = schema.ModelT.InitFromPackedBuf(litert_model(graph, _TASK.suppression(graph.card)))
    (entry,) = [one for one in model.metadata if one.name == b"TFLITE_METADATA"]
    data = np.asarray(model.buffers[entry.buffer].data, np.uint8).tobytes()

    def tables(table: Table, field: int) -> list[Table]:
        place = table.Offset(4 + 2 * field)
        start = table.Vector(place)
        return [Table(data, table.Indirect(start + 4 * number)) for number in range(table.VectorLen(place))]

    def texts(table: Table, field: int) -> str:
        return str(table.String(table.Offset(4 + 2 * field) + table.Pos).decode())

    root = Table(data, int.from_bytes(data[:4], "little"))
    (network,) = tables(root, 3)
    ends = tables(network, 3)
    assert [texts(end, 0) for end in ends] == ["location", "category", "score", "number of detections"]
    contents = [Table(data, end.Indirect(end.Pos + end.Offset(4 + 2 * 3))) for end in ends]
    kinds = [content.Bytes[content.Pos + content.Offset(4)] for content in contents]
    assert kinds == [3, 1, 1, 1]
    box = Table(data, contents[0].Indirect(contents[0].Pos + contents[0].Offset(6)))
    start = box.Vector(box.Offset(4))
    assert np.frombuffer(data, "<u4", 4, start).tolist() == [1, 0, 3, 2]
    (file,) = tables(ends[1], 6)
    assert (texts(file, 0), file.Bytes[file.Pos + file.Offset(8)]) == ("labels.txt", 3)
    (group,) = tables(network, 8)
    assert texts(group, 0) == "detection_result"


def _reference(graph: Graph, images: Images, file: Path) -> Reference:
    """What the network finds in the images, labelled with what it finds best."""
    how = _TASK.suppression(graph.card)
    card = replace(graph.card, suppressed=how.most)
    file.write_bytes(onnx_model(graph, batch=None))
    answers = Suppressing(open_model(file), how, card).predict(images)
    best, labels = answers["detection_boxes"][:, 0].clip(0, 1), answers["detection_classes"][:, 0].astype(np.int64)
    count = len(images)
    targets = BoxTargets(
        best, labels, np.zeros(count, np.bool_), np.full((count, 2), 96, np.int32), np.arange(count + 1)
    )
    return Reference(_TASK, card, images, answers, targets)


def _proof(graph: Graph, how: Suppression, reference: Reference, file: Path) -> Proof:
    file.write_bytes(onnx_model(graph, batch=None, suppression=how))
    return prove(file, "onnxruntime", "float32", reference)[0]


def test_gates_of_boxes(graph: Graph, tmp_path: Path) -> None:
    reference = _reference(graph, _images(12), tmp_path / "raw.onnx")
    how = _TASK.suppression(graph.card)
    good = _proof(graph, how, reference, tmp_path / "good.onnx")
    assert good.failures == ()
    assert good.network_accuracy is not None
    assert good.network_accuracy > 0
    moved = replace(how, priors=how.priors + np.array([0.02, 0, 0, 0], np.float32))
    bad = _proof(graph, moved, reference, tmp_path / "bad.onnx")
    assert any(failure.startswith("0.0% of its boxes are the network's within 1 pixel") for failure in bad.failures), (
        bad.failures
    )
    silent = replace(reference, outputs={name: np.zeros_like(values) for name, values in reference.outputs.items()})
    nothing = _proof(graph, replace(how, least_score=0.9999999), silent, tmp_path / "silent.onnx")
    assert [
        "neither it nor the network found a box" in failure or "which proves nothing" in failure
        for failure in nothing.failures[-2:]
    ] == [True, True]


def test_boxes_that_are_never_among_the_best_are_spared(graph: Graph, tmp_path: Path) -> None:
    for number, image in enumerate(_images(3)):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    photos = Photos(tmp_path, ("0.png", "1.png", "2.png"), Unlabelled(3))
    how = _TASK.suppression(graph.card)
    (tmp_path / "raw.onnx").write_bytes(onnx_model(graph, batch=None))
    raw = open_model(tmp_path / "raw.onnx")

    def spared(most: int) -> tuple[Suppression, Suppression]:
        before = replace(how, most=most)
        network = Suppressing(raw, before, replace(graph.card, suppressed=most))
        return before, _without_idle(before, network, photos)

    before, after = spared(20)
    assert before.least_score < after.least_score < 0.9
    images = np.stack([graph.card.preprocessing.prepare(tmp_path / name) for name in photos.files])
    outputs = _raw(graph, images)
    assert (outputs["scores"] >= after.least_score).sum() < (outputs["scores"] >= before.least_score).sum()
    for name, values in suppress(outputs, after).items():
        np.testing.assert_array_equal(values, suppress(outputs, before)[name])
    # More than there are: every box may be among the best.
    before, after = spared(100_000)
    assert after is before


def test_a_known_mistake_is_named_behind_suppression(graph: Graph) -> None:
    images, how = _images(4), _TASK.suppression(graph.card)
    turned = suppress(_raw(graph, images[..., ::-1].copy()), how)
    assert diagnose(graph, images, turned, how) == "its colour channels are in reverse order"


def test_the_row_that_8_bits_cost_most_is_named(graph: Graph) -> None:
    card, raw = graph.card, _raw(graph, _images(2))
    lost = {name: values.copy() for name, values in raw.items()}
    first = 6 * 6 * 3
    lost["scores"][:, first : first + 9 * 6] = 0
    lost["boxes"] += 0.01

    def alike(outputs: dict[str, NDArray[np.float32]]) -> float:
        return 1 - float(np.mean([np.abs(outputs[name] - raw[name]).mean() for name in raw]))

    said = costliest(raw, lost, card, alike, "likeness")
    assert said is not None
    assert said.startswith("8 bits cost most in scores2.prediction: with its values alone in 8 bits likeness is ")
    assert costliest(raw, raw, card, alike, "likeness") is None


@pytest.mark.parametrize("raw", [False, True])
def test_a_file_of_ours_that_cannot_be_read_back_says_so(graph: Graph, tmp_path: Path, *, raw: bool) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(_written(graph, None if raw else _TASK.suppression(graph.card), ".tflite"))
    for read in (import_weights, open_weights):
        with pytest.raises(ModelError) as error:
            read(str(path))
        assert str(error.value) == (
            f"{path} was written by mobilenet export and cannot be read back as weights; give the run or the "
            "model.safetensors that it was exported from"
        )
