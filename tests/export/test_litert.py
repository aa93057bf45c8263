"""A float32 `.tflite` file answers as the network that torch runs, and is made of nothing but what that takes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from mobilenet.errors import ModelError
from mobilenet.export.litert.model import litert_model
from mobilenet.model.graph import ConvNode, Graph, QuantizedGraph
from mobilenet.model.seal import UNSEALED
from mobilenet.runtimes import open_model
from mobilenet.runtimes.litert import LiteRTPredictor

Make = Callable[..., Any]
Triple = tuple[float, float, float]

_GREY: Triple = (127.5, 127.5, 127.5)


def _open(data: bytes, folder: Path) -> LiteRTPredictor:
    (folder / "model.tflite").write_bytes(data)
    return LiteRTPredictor.open(folder / "model.tflite", 1)


def _operators(data: bytes) -> list[str]:
    model = schema.ModelT.InitFromPackedBuf(data)
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    return [names[model.operatorCodes[step.opcodeIndex].builtinCode] for step in model.subgraphs[0].operators]


@pytest.mark.parametrize(
    "options",
    [
        {"padding": "tensorflow", "activation": "relu6"},
        {"padding": "symmetric", "activation": "relu"},
        {"padding": "tensorflow", "activation": "relu", "width": 0.3, "classes": 2, "resolution": 96},
        {"padding": "symmetric", "activation": "relu6", "width": 0.5, "classes": 1001, "resolution": 32},
        {"padding": "tensorflow", "width": 0.1, "classes": 1, "resolution": 160},
        {"architecture": "mobilenet_v1_standard", "padding": "symmetric", "resolution": 96},
        {"architecture": "mobilenet_v1_head", "padding": "tensorflow", "resolution": 32},
        {"mean": (120.0, 110.5, 100.25), "std": (60.0, 61.0, 62.0), "padding": "symmetric"},
        {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)},
        {"mean": (128.0, 128.0, 128.0), "std": (128.0, 128.0, 128.0)},
        {"mean": (0.0, 0.0, 0.0), "std": (255.0, 255.0, 255.0), "padding": "symmetric"},
    ],
    ids=str,
)
def test_a_file_answers_as_torch_does(example: Make, tmp_path: Path, options: dict[str, Any]) -> None:
    made = example(**options)
    found = _open(litert_model(made.graph), tmp_path).predict(made.images)["probabilities"]
    expected = made.predictor.predict(made.images)["probabilities"]
    assert (found.shape, found.dtype) == (expected.shape, np.float32)
    # float32 rounds at 6e-8 of each number, over some thirty layers
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert expected.shape[1] == 1 or np.ptp(expected, axis=0).max() > 0.05


def test_a_flipped_padding_is_another_network(example: Make, tmp_path: Path) -> None:
    made = example(padding="tensorflow")
    nodes = [replace(node, padding="symmetric") if isinstance(node, ConvNode) else node for node in made.graph.nodes]
    found = _open(litert_model(Graph(made.graph.card, tuple(nodes))), tmp_path).predict(made.images)["probabilities"]
    expected = made.predictor.predict(made.images)["probabilities"]
    assert np.abs(found - expected).max() > 1e-3


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_photos_in_one_batch_are_answered_as_one_by_one(
    example: Make, quantized: Make, tmp_path: Path, precision: str
) -> None:
    made = example(padding="symmetric", mean=(120.0, 110.0, 100.0))
    data = litert_model(made.graph if precision == "float32" else quantized(made))
    expected = _open(data, tmp_path).predict(made.images)["probabilities"]
    engine = Interpreter(model_content=data, num_threads=1)
    (given,), (answer,) = engine.get_input_details(), engine.get_output_details()
    engine.resize_tensor_input(given["index"], made.images.shape)
    engine.allocate_tensors()
    engine.set_tensor(given["index"], made.images)
    engine.invoke()
    np.testing.assert_array_equal(engine.get_tensor(answer["index"]), expected)


def test_no_photo_is_no_answer(example: Make, tmp_path: Path) -> None:
    made = example()
    predictor = _open(litert_model(made.graph), tmp_path)
    assert predictor.predict(made.images[:0])["probabilities"].shape == (0, 7)


@pytest.mark.parametrize(
    ("padding", "mean", "first"),
    [
        ("tensorflow", _GREY, ["DEQUANTIZE", "SUB", "CONV_2D", "DEPTHWISE_CONV_2D"]),
        ("symmetric", _GREY, ["DEQUANTIZE", "SUB", "PAD", "CONV_2D", "DEPTHWISE_CONV_2D"]),
        ("tensorflow", (128.0, 128.0, 128.0), ["DEQUANTIZE", "CONV_2D", "DEPTHWISE_CONV_2D"]),
    ],
)
def test_nothing_but_the_layers_is_computed(example: Make, padding: str, mean: Triple, first: list[str]) -> None:
    found = _operators(litert_model(example(padding=padding, mean=mean).graph))
    assert found[: len(first)] == first
    assert found[-3:] == ["MEAN", "FULLY_CONNECTED", "SOFTMAX"]
    # a PAD for each layer with a stride of 2: the stem and four depthwise layers
    assert found.count("PAD") == (5 if padding == "symmetric" else 0)
    assert found.count("CONV_2D") + found.count("DEPTHWISE_CONV_2D") == 27
    assert set(found) <= {*first, "PAD", "MEAN", "FULLY_CONNECTED", "SOFTMAX"}


def test_8_bits_add_two_changes_of_type(example: Make, quantized: Make) -> None:
    found = _operators(litert_model(quantized(example())))
    assert found[0] == "QUANTIZE"
    assert found[-4:] == ["MEAN", "FULLY_CONNECTED", "DEQUANTIZE", "SOFTMAX"]
    assert set(found[1:-4]) == {"CONV_2D", "DEPTHWISE_CONV_2D"}


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_ends_have_names_types_and_shapes(example: Make, quantized: Make, precision: str) -> None:
    made = example(classes=3)
    data = litert_model(made.graph if precision == "float32" else quantized(made))
    engine = Interpreter(model_content=data)
    (given,), (answer,) = engine.get_input_details(), engine.get_output_details()
    assert (given["name"], given["dtype"], tuple(given["shape"])) == ("pixels", np.uint8, (1, 64, 64, 3))
    assert (answer["name"], answer["dtype"], tuple(answer["shape"])) == ("probabilities", np.float32, (1, 3))
    run = engine.get_signature_runner("serving_default")
    assert run(pixels=made.images[:1])["probabilities"].sum() == pytest.approx(1, abs=1e-6)


def test_the_input_of_8_bits_stands_for_normalised_pixels(example: Make, quantized: Make) -> None:
    made = quantized(example(mean=(128.0, 128.0, 128.0), std=(64.0, 64.0, 64.0)))
    (given,) = Interpreter(model_content=litert_model(made)).get_input_details()
    # pixel 192 is (192 - 128) / 64 = 1
    scale, zero_point = given["quantization"]
    assert scale * (192 - zero_point) == 1.0


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_constants_begin_at_multiples_of_16_bytes(example: Make, quantized: Make, precision: str) -> None:
    made = example()
    data = litert_model(made.graph if precision == "float32" else quantized(made))
    model = schema.Model.GetRootAs(data, 0)
    buffers = [model.Buffers(number) for number in range(model.BuffersLength())]
    starts = [buffer._tab.Vector(buffer._tab.Offset(4)) for buffer in buffers if not buffer.DataIsNone()]
    assert len(starts) > 50
    assert not any(start % 16 for start in starts)


def test_8_bits_are_scaled_by_channel_without_zero_points(example: Make, quantized: Make) -> None:
    graph = quantized(example())
    assert isinstance(graph, QuantizedGraph)
    packed = schema.ModelT.InitFromPackedBuf(litert_model(graph)).subgraphs[0].tensors
    tensors = {tensor.name.decode(): tensor for tensor in packed}
    depthwise, pointwise = tensors["block3.depthwise.weights"], tensors["block3.pointwise.weights"]
    assert (depthwise.quantization.quantizedDimension, pointwise.quantization.quantizedDimension) == (3, 0)
    for tensor in tensors.values():
        if tensor.name.endswith((b".weights", b".bias")):
            assert len(tensor.quantization.scale) == tensor.shape[tensor.quantization.quantizedDimension] > 1
            assert not tensor.quantization.zeroPoint.any()
    # a bias counts in steps of the input's scale times the filter's
    steps = tensors["block2.pointwise"].quantization.scale[0] * depthwise.quantization.scale
    np.testing.assert_array_equal(tensors["block3.depthwise.bias"].quantization.scale, steps)


def test_the_first_runtime_that_knows_all_operators_is_named(example: Make, quantized: Make) -> None:
    made = example()
    for graph, version in ((made.graph, b"1.13.1"), (quantized(made), b"2.17.0")):
        model = schema.ModelT.InitFromPackedBuf(litert_model(graph))
        found = {entry.name: bytes(model.buffers[entry.buffer].data) for entry in model.metadata}
        assert found[b"min_runtime_version"] == version.ljust(16, b"\0")


def test_a_graph_gives_the_same_bytes_again(example: Make) -> None:
    graph = example().graph
    assert litert_model(graph) == litert_model(graph)
    assert UNSEALED.encode() not in litert_model(graph)


def test_a_graph_that_does_not_begin_with_a_convolution_is_refused(example: Make) -> None:
    graph = example().graph
    pool, classifier = graph.nodes[-2:]
    with pytest.raises(ModelError, match="row pool reads the photo, which only a convolution over all channels can"):
        litert_model(Graph(graph.card, (replace(pool, inputs=("input",)), classifier)))


def test_the_card_comes_back(example: Make, tmp_path: Path) -> None:
    made = example(classes=3)
    (tmp_path / "model.tflite").write_bytes(litert_model(made.graph))
    predictor = open_model(tmp_path / "model.tflite")
    assert isinstance(predictor, LiteRTPredictor)
    assert predictor.card == made.graph.card
    assert (predictor.labels, predictor.task) == (made.graph.card.labels, "classification")
