"""Files of networks that are no classifiers: each engine gives every output by its name, as the simulator does.

Which pixel of a plane is which number of an output is checked against NumPy alone, with filters made by hand.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray
from tests.export.heads import HEADS, conv, in_8_bits, make_graph

from mobilenet.errors import ModelError
from mobilenet.export.litert.model import litert_model
from mobilenet.export.onnx.model import onnx_model
from mobilenet.images import Preprocessing
from mobilenet.model.card import ModelCard
from mobilenet.model.fold import build_graph
from mobilenet.model.graph import Graph, LinearNode, QuantizedGraph
from mobilenet.model.head import Head
from mobilenet.model.outputs import Output
from mobilenet.nn.endings import ended
from mobilenet.quantize.simulator import pixels_of, quantized_outputs, raw_outputs
from mobilenet.runtimes import open_model
from mobilenet.spec import Conv, ConvStyle, Linear, Padding
from mobilenet.weights.tflite.metadata import read_metadata

Images = NDArray[np.uint8]
Answers = dict[str, NDArray[np.float32]]

_WRITERS: dict[str, tuple[str, Callable[[Graph | QuantizedGraph], bytes]]] = {
    "onnxruntime": (".onnx", lambda graph: onnx_model(graph, batch=None)),
    "onnxruntime, three at once": (".onnx", lambda graph: onnx_model(graph, batch=3)),
    "openvino": (".onnx", lambda graph: onnx_model(graph, batch=None)),
    "openvino, three at once": (".onnx", lambda graph: onnx_model(graph, batch=3)),
    "litert": (".tflite", litert_model),
}

_PADDINGS: tuple[Padding, ...] = ("symmetric", "tensorflow")


def _images(count: int, side: int = 64) -> Images:
    """Smooth patches, so that photos differ in more than noise."""
    small = np.random.default_rng(1).integers(0, 256, (count, side // 16, side // 16, 3), np.uint8)
    return np.kron(small, np.ones((1, 16, 16, 1), np.uint8))


def _answers(engine: str, graph: Graph | QuantizedGraph, images: Images, folder: Path) -> Answers:
    suffix, write = _WRITERS[engine]
    file = folder / f"model{suffix}"
    file.write_bytes(write(graph))
    return open_model(file, engine.partition(",")[0], threads=1).predict(images)


def _expected(graph: Graph | QuantizedGraph, images: Images) -> Answers:
    with torch.inference_mode():
        pixels = pixels_of(images)
        raw = raw_outputs(graph, pixels) if isinstance(graph, Graph) else quantized_outputs(graph, pixels)
        return {output.name: ended(raw[output.name], output.ending).numpy() for output in graph.card.outputs}


@pytest.mark.parametrize("padding", _PADDINGS)
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("engine", _WRITERS)
def test_float32_files_answer_as_the_simulator(engine: str, head: str, padding: Padding, tmp_path: Path) -> None:
    graph = make_graph(HEADS[head], padding)
    for count in (1, 5):
        images = _images(count)
        found, expected = _answers(engine, graph, images, tmp_path), _expected(graph, images)
        assert list(found) == [output.name for output in graph.card.outputs]
        for output in graph.card.outputs:
            values = found[output.name]
            assert (values.shape, values.dtype) == ((count, *output.shape), np.float32)
            # float32 rounds at 6e-8 of each number, over some thirty layers
            np.testing.assert_allclose(values, expected[output.name], rtol=1e-4, atol=1e-4, err_msg=output.name)
            assert count == 1 or np.ptp(values, axis=0).max() > 0.1


@pytest.mark.parametrize("padding", _PADDINGS)
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("engine", _WRITERS)
def test_8_bit_files_answer_as_the_simulator(engine: str, head: str, padding: Padding, tmp_path: Path) -> None:
    graph = in_8_bits(make_graph(HEADS[head], padding), _images(16))
    for count in (1, 5):
        images = _images(count)
        found, expected = _answers(engine, graph, images, tmp_path), _expected(graph, images)
        assert list(found) == [output.name for output in graph.card.outputs]
        for output in graph.card.outputs:
            steps = np.abs(found[output.name] - expected[output.name]) / max(
                graph.steps[row].scale for row in output.rows
            )
            # Endings make no difference larger. OpenVINO computes the first layer in float32 and rounds it otherwise
            # here and there, which these random networks carry on.
            most, mean = (6, 1.5) if "openvino" in engine else (1.001, 0.05)
            assert (steps.max() <= most, steps.mean() <= mean) == (True, True), (output.name, steps.max(), steps.mean())


def _seeing_graph(padding: Padding, resolution: int) -> Graph:
    """Every filter takes one pixel as it is, so that a pixel of the last plane is one pixel of the photo, from 0 to 1.

    Its three numbers are made red, green and blue; `picked` takes four numbers of that plane by their places.
    """
    side = resolution // 32
    rows = (
        conv("colours", "block13.pointwise", 256, 3),
        Linear("picked", side * side * 3, 4, bias=False, inputs=("colours",)),
    )
    outputs = Output("places", ("colours",), (side * side, 3)), Output("picked", ("picked",), (4,))
    pixels = Preprocessing(resolution, None, (0.0, 0.0, 0.0), (255.0, 255.0, 255.0))
    style = ConvStyle(padding, "relu6", batch_norm=False)
    card = ModelCard("mobilenet_v1", 0.25, resolution, (), pixels, style, task="made up", head=Head(rows, outputs))
    arrays: dict[str, NDArray[np.float32]] = {}
    for row in card.network().rows:
        if isinstance(row, Conv):
            size = row.kernel_size if isinstance(row.kernel_size, int) else row.kernel_size[0]
            filters = np.zeros((row.out_channels, row.in_channels // row.groups, size, size), np.float32)
            for channel in range(row.out_channels):
                filters[channel, channel % filters.shape[1], size // 2, size // 2] = 1
            arrays |= {f"{row.name}.conv.weight": filters, f"{row.name}.conv.bias": np.zeros(len(filters), np.float32)}
    picked = np.zeros((4, side * side * 3), np.float32)
    for number, (y, x, colour) in enumerate(_PICKED):
        picked[number, (y * side + x) * 3 + colour] = 1
    return build_graph(card, arrays | {"picked.weight": picked})


_PICKED = ((0, 0, 0), (0, 2, 1), (1, 0, 2), (2, 1, 0))
"""(row, column, colour) of the plane."""


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("padding", _PADDINGS)
@pytest.mark.parametrize("engine", _WRITERS)
def test_a_plane_is_read_row_by_row_and_pixel_by_pixel(
    engine: str, padding: Padding, precision: str, tmp_path: Path
) -> None:
    images = np.random.default_rng(4).integers(0, 256, (2, 96, 96, 3), np.uint8)
    graph: Graph | QuantizedGraph = _seeing_graph(padding, 96)
    if precision == "int8":
        graph = in_8_bits(graph, images)
    found = _answers(engine, graph, images, tmp_path)
    # Five strides of 2: the filter's middle lies on every second pixel, where SAME pads nothing before on the odd ones.
    first = 0 if padding == "symmetric" else 31
    seen = images[:, first::32, first::32] / 255
    rounding = 1e-6 if precision == "float32" else 3 / 255
    np.testing.assert_allclose(found["places"], seen.reshape(2, 9, 3), atol=rounding)
    wanted = np.stack([seen[:, y, x, colour] for y, x, colour in _PICKED], axis=1)
    np.testing.assert_allclose(found["picked"], wanted, atol=rounding)


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("head", HEADS)
def test_litert_takes_photos_in_one_batch_as_one_by_one(head: str, precision: str, tmp_path: Path) -> None:
    graph: Graph | QuantizedGraph = make_graph(HEADS[head])
    images = _images(5)
    if precision == "int8":
        graph = in_8_bits(graph, images)
    data = litert_model(graph)
    expected = _answers("litert", graph, images, tmp_path)
    engine = Interpreter(model_content=data, num_threads=1)
    engine.resize_tensor_input(engine.get_input_details()[0]["index"], images.shape)
    engine.allocate_tensors()
    engine.set_tensor(engine.get_input_details()[0]["index"], images)
    engine.invoke()
    for end in engine.get_output_details():
        np.testing.assert_allclose(engine.get_tensor(end["index"]), expected[end["name"]], atol=1e-6)


@pytest.mark.parametrize("head", HEADS)
def test_reference_kernels_of_litert_give_the_same(head: str) -> None:
    """Whoever has no XNNPACK runs these."""
    graph, images = make_graph(HEADS[head]), _images(1)
    engine = Interpreter(model_content=litert_model(graph), experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    found = engine.get_signature_runner("serving_default")(pixels=images)
    for name, values in _expected(graph, images).items():
        np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=1e-4)


def test_rows_that_no_output_needs_are_in_no_file() -> None:
    graph = make_graph(HEADS["a plane"])
    names = [node.name for node in graph.nodes]
    assert (names[-2:], "pool" in names) == (["block11.pointwise", "boxes"], False)
    assert onnx.load_from_string(onnx_model(graph, batch=None)).graph.node[-1].output == ["boxes"]


def test_files_say_what_they_answer() -> None:
    graph = make_graph(HEADS["vectors joined"])
    model = onnx.load_from_string(onnx_model(graph, batch=None))
    assert model.doc_string.endswith(
        "in, flags (N, 5) after sigmoid, features (N, 256), embedding (N, 272) after l2 out; normalisation is inside"
    )
    shapes = [[dim.dim_param or dim.dim_value for dim in end.type.tensor_type.shape.dim] for end in model.graph.output]
    assert shapes == [["N", 5], ["N", 256], ["N", 272]]
    packed = schema.ModelT.InitFromPackedBuf(litert_model(graph))
    (signature,) = packed.signatureDefs
    assert [end.name for end in signature.outputs] == [b"flags", b"features", b"embedding"]
    assert [end.tensorIndex for end in signature.outputs] == list(packed.subgraphs[0].outputs)
    found = {entry.name: bytes(packed.buffers[entry.buffer].data) for entry in packed.metadata}
    assert found[b"min_runtime_version"] == b"1.14.0".ljust(16, b"\0")
    for text in (b"Probabilities, each by itself", b"Real numbers", b"Vector of length 1"):
        assert text in found[b"TFLITE_METADATA"]
    assert b"labels.txt" not in litert_model(graph)


def test_labels_stand_beside_the_output_that_they_name(tmp_path: Path) -> None:
    graph = make_graph(HEADS["vectors joined"])
    graph = replace(graph, card=replace(graph.card, labels=("sky", "sea", "sand", "snow", "sun")))
    file = tmp_path / "model.tflite"
    file.write_bytes(litert_model(graph))
    assert read_metadata(file.read_bytes(), _metadata(file.read_bytes())).labels == graph.card.labels
    assert open_model(file).labels == graph.card.labels


def _metadata(data: bytes) -> dict[bytes, NDArray[np.uint8]]:
    model = schema.ModelT.InitFromPackedBuf(data)
    return {entry.name: np.asarray(model.buffers[entry.buffer].data, np.uint8) for entry in model.metadata}


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino", "litert"])
@pytest.mark.parametrize(
    "changed",
    [Output("flag", ("flags",), (5,), "sigmoid"), Output("flags", ("flags",), (5, 1), "sigmoid")],
    ids=["another name", "another shape"],
)
def test_a_file_whose_card_says_other_outputs_is_refused(
    engine: str, changed: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = make_graph(HEADS["vectors joined"])
    head = graph.card.head
    assert head is not None
    card = replace(graph.card, head=replace(head, outputs=(changed, *head.outputs[1:])))
    told = ModelCard.to_json(card)
    monkeypatch.setattr(ModelCard, "to_json", lambda _: told)
    with pytest.raises(ModelError, match=rf"model\.\w+.* outputs (?:are )?\[\('flags'.*card says \[\('{changed.name}'"):
        _answers(engine, graph, _images(1), tmp_path)


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("engine", _WRITERS)
def test_a_vector_of_zeros_has_no_direction_and_stays_one(engine: str, precision: str, tmp_path: Path) -> None:
    head = Head((Linear("vector", 256, 3, inputs=("pool",)),), (Output("vector", ("vector",), (3,), "l2"),))
    graph: Graph | QuantizedGraph = make_graph(head)
    linear = graph.nodes[-1]
    assert isinstance(linear, LinearNode)
    zeros = replace(linear, matrix=np.zeros_like(linear.matrix), bias=np.zeros(3, np.float32))
    graph = replace(graph, nodes=(*graph.nodes[:-1], zeros))
    if precision == "int8":
        graph = in_8_bits(graph, _images(4))
    assert not _answers(engine, graph, _images(2), tmp_path)["vector"].any()


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("engine", _WRITERS)
def test_rows_and_outputs_may_have_any_name(engine: str, precision: str, tmp_path: Path) -> None:
    """Those, too, that a writer gives to tensors of its own, and one output that two names ask for."""
    rows = (
        conv("mean", "block13.pointwise", 256, 8, "relu6"),
        conv("images", "mean", 8, 8, "relu"),
        conv("pixels", "images", 8, 8),
        Linear("zero", 2 * 2 * 8, 4, activation="relu6"),
    )
    outputs = (
        Output("six", ("zero",), (4,)),
        Output("zero", ("zero",), (2, 2)),
        Output("stem", ("pixels",), (4, 8), "softmax"),
        Output("mean/bias", ("mean",), (2, 2, 8)),
    )
    graph: Graph | QuantizedGraph = make_graph(Head(rows, outputs))
    images = _images(3)
    if precision == "int8":
        graph = in_8_bits(graph, images)
    found, expected = _answers(engine, graph, images, tmp_path), _expected(graph, images)
    assert list(found) == [output.name for output in outputs]
    for output in outputs:
        step = 1e-4 if isinstance(graph, Graph) else 6 * graph.steps[output.rows[0]].scale
        np.testing.assert_allclose(found[output.name], expected[output.name], atol=step, err_msg=output.name)
