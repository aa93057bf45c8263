"""8-bit files against whole numbers computed here by the TFLite 8-bit quantisation specification.

LiteRT's reference kernels are followed layer by layer. Its fast kernels (XNNPACK) multiply by the scales in float32,
the reference in fixed point: a number that lies between two steps may end on either.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from mobilenet.export.litert.model import litert_model
from mobilenet.model.graph import Quantization, QuantizedConv, QuantizedGraph, QuantizedLinear, QuantizedPool
from mobilenet.runtimes.litert import LiteRTPredictor
from mobilenet.spec.mobilenet import CLASSIFIER

Make = Callable[..., Any]
Whole = NDArray[np.int64]

_TOPS = {"none": math.inf, "relu": math.inf, "relu6": 6.0}


def _pads(node: QuantizedConv, side: int) -> tuple[int, int]:
    kernel = node.filters.shape[2]
    if node.padding == "symmetric":
        return (kernel - 1) // 2, (kernel - 1) // 2
    total = max((-(-side // node.stride) - 1) * node.stride + kernel - side, 0)
    return total // 2, total - total // 2


def _sums(node: QuantizedConv, x: Whole) -> Whole:
    """(H, W, C) in steps above the zero point -> (H', W', out): exact sums of products."""
    kernel = node.filters.shape[2]
    pads = _pads(node, x.shape[0])
    windows = sliding_window_view(np.pad(x, (pads, pads, (0, 0))), (kernel, kernel), (0, 1))
    windows = windows[:: node.stride, :: node.stride]
    if node.depthwise:
        return np.einsum("yxchw,chw->yxc", windows, node.filters[:, 0].astype(np.int64))
    return np.tensordot(windows, node.filters.astype(np.int64), ((2, 3, 4), (1, 2, 3)))


def _factor(node: Any, steps: Quantization, x: Whole) -> NDArray[np.float64]:
    """Steps of the output in one step of the sum, for each channel."""
    if isinstance(node, QuantizedPool):
        return np.array(steps.scale / node.output.scale / (x.shape[0] * x.shape[1]))
    return np.asarray(np.float64(steps.scale) * node.scales.astype(np.float64) / node.output.scale)


def _exact(node: Any, x: Whole, steps: Quantization) -> NDArray[np.float64]:
    """One node on int8 numbers: where the output lies between whole steps, in the bounds of activation and int8."""
    above = x - steps.zero_point
    match node:
        case QuantizedConv():
            sums = _sums(node, above) + node.bias
        case QuantizedPool():
            sums = above.sum((0, 1))
        case QuantizedLinear():
            sums = node.matrix.astype(np.int64) @ above + node.bias
    activation = getattr(node, "activation", "none")
    zero, top = node.output.zero_point, _TOPS[activation] / node.output.scale
    lowest = -128 if activation == "none" else max(-128, zero)
    highest = 127 if math.isinf(top) else min(127, round(top) + zero)
    return np.clip(sums * _factor(node, steps, x) + zero, lowest, highest)


def _layer(node: Any, x: Whole, steps: Quantization) -> Whole:
    """One node, rounded half away from zero."""
    exact = _exact(node, x, steps) - node.output.zero_point
    return np.asarray(np.trunc(exact + np.copysign(0.5, exact)), np.int64) + node.output.zero_point


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(logits - logits.max())
    return np.asarray(powers / powers.sum())


def _numbers(graph: QuantizedGraph, image: NDArray[np.uint8]) -> Whole:
    """The last node's int8 numbers."""
    x, steps = image.astype(np.int64) - 128, graph.input
    for node in graph.nodes:
        x, steps = _layer(node, x, steps), node.output
    return x


def _answer(graph: QuantizedGraph, image: NDArray[np.uint8]) -> NDArray[np.float64]:
    output = graph.nodes[-1].output
    return _softmax(output.scale * (_numbers(graph, image) - output.zero_point))


_OPTIONS = [
    {"padding": "tensorflow", "activation": "relu6"},
    {"padding": "symmetric", "activation": "relu", "mean": (120.0, 110.0, 100.0), "std": (60.0, 61.0, 62.0)},
    {"padding": "symmetric", "activation": "relu6", "width": 0.5, "classes": 33, "resolution": 96},
    {"padding": "tensorflow", "activation": "relu", "architecture": "mobilenet_v1_standard", "classes": 1},
]


@pytest.mark.parametrize("options", _OPTIONS, ids=str)
def test_reference_kernels_compute_every_layer_by_the_specification(
    example: Make, quantized: Make, options: dict[str, Any]
) -> None:
    made = example(**options)
    graph = quantized(made)
    engine = Interpreter(
        model_content=litert_model(graph),
        experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
        experimental_preserve_all_tensors=True,
    )
    engine.allocate_tensors()
    places = {tensor["name"]: tensor["index"] for tensor in engine.get_tensor_details()}
    for image in made.images[:2]:
        engine.set_tensor(places["pixels"], image[None])
        engine.invoke()
        x, steps = engine.get_tensor(places["int8"])[0].astype(np.int64), graph.input
        np.testing.assert_array_equal(x, image.astype(np.int64) - 128)
        for node in graph.nodes:
            found = engine.get_tensor(places[node.name])[0].astype(np.int64)
            # Fixed point first rounds the product to a whole number, whose steps are at most twice the factor, and then
            # to steps of the output; the kernel of MEAN rounds once more.
            most = 0.5 + (0.5 if isinstance(node, QuantizedPool) else _factor(node, steps, x))
            assert (np.abs(found - _exact(node, x, steps)) <= most + 1e-6).all(), node.name
            x, steps = found, node.output
        logits = steps.scale * (x - steps.zero_point)
        # float32 against float64
        np.testing.assert_allclose(engine.get_tensor(places["probabilities"])[0], _softmax(logits), atol=1e-6)


def _first_layers(graph: QuantizedGraph) -> QuantizedGraph:
    """Stem to the second block, for photos of 4 x 4 pixels, whose last plane is one pixel; logits are its numbers."""
    nodes = graph.nodes[:5]
    last = nodes[-1]
    assert isinstance(last, QuantizedConv)
    channels = len(last.filters)
    identity = np.eye(channels, dtype=np.int8), np.ones(channels, np.float32), np.zeros(channels, np.int32)
    pool = QuantizedPool("pool", (last.name,), last.output)
    ends = pool, QuantizedLinear(CLASSIFIER, ("pool",), *identity, "none", last.output)
    pixels = replace(graph.card.preprocessing, resolution=4)
    card = replace(graph.card, labels=tuple(map(str, range(channels))), preprocessing=pixels)
    return QuantizedGraph(card, graph.input, (*nodes, *ends))


@pytest.mark.parametrize("options", _OPTIONS[:3], ids=str)
@pytest.mark.parametrize("kernels", [OpResolverType.BUILTIN, OpResolverType.BUILTIN_REF], ids=["fast", "reference"])
def test_a_few_layers_stay_within_steps_of_the_specification(
    example: Make, quantized: Make, options: dict[str, Any], kernels: OpResolverType
) -> None:
    graph = _first_layers(quantized(example(**options)))
    engine = Interpreter(model_content=litert_model(graph), num_threads=1, experimental_op_resolver_type=kernels)
    engine.allocate_tensors()
    (given,), (answer,) = engine.get_input_details(), engine.get_output_details()
    scale, off = graph.nodes[-1].output.scale, []
    for image in np.random.default_rng(3).integers(0, 256, (50, 1, 4, 4, 3), np.uint8):
        engine.set_tensor(given["index"], image)
        engine.invoke()
        found = np.log(engine.get_tensor(answer["index"])[0].astype(np.float64)) / scale
        steps = found - _numbers(graph, image[0])
        # softmax keeps differences of logits alone
        off.append(steps - np.median(steps))
    # Five layers, in each of which a number that lies half between two steps may end on either.
    print("OFF", np.abs(off).max(), (np.abs(off) > 0.5).mean())
    assert np.abs(off).max() < 3.5
    assert (np.abs(off) > 0.5).mean() < 0.15


@pytest.mark.parametrize("options", _OPTIONS, ids=str)
def test_the_whole_file_answers_by_the_specification(
    example: Make, quantized: Make, options: dict[str, Any], tmp_path: Path
) -> None:
    made = example(**options)
    graph = quantized(made)
    (tmp_path / "model.tflite").write_bytes(litert_model(graph))
    found = LiteRTPredictor.open(tmp_path / "model.tflite", 1).predict(made.images)["probabilities"]
    expected = np.array([_answer(graph, image) for image in made.images])
    print("WHOLE", np.abs(found - expected).max(), np.ptp(expected, 0).max(initial=0))
    # Random networks carry a step of an early layer far: over 27 layers it becomes several steps of the logits.
    assert np.abs(found - expected).max() < 0.1


@pytest.mark.parametrize("options", _OPTIONS[:3], ids=str)
def test_8_bits_answer_nearly_as_the_network(example: Make, quantized: Make, options: dict[str, Any]) -> None:
    made = example(**options)
    expected = made.predictor.predict(made.images)["probabilities"]
    found = np.array([_answer(quantized(made), image) for image in made.images])
    print("CORR", np.corrcoef(found.ravel(), expected.ravel())[0, 1])
    # Random networks suffer more from 8 bits than trained ones; with a wrong scale or sign nothing is left of this.
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.7
