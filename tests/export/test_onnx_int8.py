"""8-bit ONNX files: two other implementations give the same steps, and the engines really compute in 8 bits."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator
from onnx.utils import Extractor

from mobilenet.export.onnx.model import onnx_model
from mobilenet.model.graph import Quantization, QuantizedConv, QuantizedNode
from mobilenet.quantize.simulator import pixels_of, quantized_outputs, quantized_step
from mobilenet.runtimes import open_model
from mobilenet.runtimes import openvino as openvino_room
from mobilenet.runtimes.onnxruntime import _options as session_options
from mobilenet.runtimes.openvino import _options, openvino
from mobilenet.spec import Activation, Padding

Maker = Callable[..., Any]
Steps = NDArray[np.uint8]


def _with_steps(data: bytes, names: list[str]) -> onnx.ModelProto:
    """The same file, which also gives the 8-bit numbers behind these layers."""
    model = onnx.load_from_string(data)
    for name in names:
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.UINT8, None))
    return model


def _session(data: bytes, optimised: Path | None = None) -> onnxruntime.InferenceSession:
    options = session_options(1)
    if optimised is not None:
        options.optimized_model_filepath = str(optimised)
    return onnxruntime.InferenceSession(data, options)


def _by_reference(model: onnx.ModelProto, before: str, name: str, given: Steps) -> Steps:
    """One layer by ONNX's own evaluator, which sums in real numbers."""
    part = Extractor(model).extract_model([before], [name])
    # It knows these operators from opset 19 on, in which they mean the same.
    part.opset_import[0].version = 21
    found: Steps = ReferenceEvaluator(part).run([name], {before: given})[0]
    return found


def _by_our_engine(node: QuantizedNode, steps: Quantization, given: Steps) -> Steps:
    """One layer as the calibration sees it; its numbers begin at -128."""
    made = quantized_step(node, [torch.from_numpy(given.astype(np.float32)) - 128], steps)
    return (made + 128).numpy().astype(np.uint8)


def _largest(first: Steps, second: Steps) -> int:
    return int(np.abs(first.astype(int) - second.astype(int)).max())


@pytest.mark.parametrize("padding", ["symmetric", "tensorflow"])
@pytest.mark.parametrize("activation", ["relu", "relu6"])
def test_every_layer_is_the_same_in_three_implementations(
    example: Maker, quantized: Maker, padding: Padding, activation: Activation
) -> None:
    """Layer by layer, because the whole of a random network makes much of one number that was rounded the other way."""
    made = example(
        resolution=64, padding=padding, activation=activation, mean=(123.7, 116.3, 103.5), std=(58, 57, 57.4)
    )
    graph = quantized(made)
    names = ["pixels", *(node.name for node in graph.nodes)]
    model = _with_steps(onnx_model(graph, batch=None), names)
    answers = _session(model.SerializeToString()).run(names, {"images": made.images})
    steps: dict[str, Steps] = dict(zip(names, answers, strict=True))
    np.testing.assert_array_equal(steps["pixels"], made.images.transpose(0, 3, 1, 2))
    given, different, total = graph.input, 0, 0
    for before, node in zip(names, graph.nodes, strict=False):
        found = steps[node.name]
        for other in (
            _by_reference(model, before, node.name, steps[before]),
            _by_our_engine(node, given, steps[before]),
        ):
            assert _largest(found, other) <= 1, node.name
            different += int((found != other).sum())
            total += found.size
        given = node.output
    # Sums that lie on the border between two steps are rounded either way.
    assert different <= 1e-3 * total
    assert np.ptp(steps["classifier"]) > 100


@pytest.mark.parametrize("batch", [None, 3])
@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_engines_answer_as_the_network_but_for_rounding(
    example: Maker, quantized: Maker, tmp_path: Path, engine: str, batch: int | None
) -> None:
    made = example()
    graph = quantized(made)
    file = tmp_path / "model.onnx"
    file.write_bytes(onnx_model(graph, batch=batch))
    found = open_model(file, engine, threads=1).predict(made.images)["probabilities"]
    with torch.inference_mode():
        expected = torch.softmax(quantized_outputs(graph, pixels_of(made.images))["probabilities"], 1).numpy()
    # One step of the logits moves a probability p by at most p × (1 - p) × step, OpenVINO's stem one more.
    assert np.abs(found - expected).max() <= 0.5 * graph.nodes[-1].output.scale
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-6)


def _kinds(data: bytes, folder: Path) -> Counter[str]:
    _session(data, folder / "optimised.onnx")
    return Counter(node.op_type for node in onnx.load(folder / "optimised.onnx").graph.node)


@pytest.mark.parametrize("batch", [None, 1])
@pytest.mark.parametrize("architecture", ["mobilenet_v1", "mobilenet_v1_standard"])
def test_onnx_runtime_leaves_no_layer_in_float(
    example: Maker, quantized: Maker, tmp_path: Path, architecture: str, batch: int | None
) -> None:
    made = example(architecture=architecture)
    convolutions = sum(isinstance(node, QuantizedConv) for node in quantized(made).nodes)
    assert _kinds(onnx_model(quantized(made), batch=batch), tmp_path) == {
        "Transpose": 1,
        "QLinearConv": convolutions,
        "QLinearGlobalAveragePool": 1,
        "Flatten": 1,
        "QGemm": 1,
        "DequantizeLinear": 1,
        "Softmax": 1,
    }


def test_openvino_computes_in_8_bits_all_but_the_first_layer(
    example: Maker, quantized: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On processors whose sums do not overflow. It has no 8-bit kernel for pixels whose zero point is not 0, and takes
    that layer, 2 % of the sums, as float."""
    monkeypatch.setattr(openvino_room, "sums_overflow", lambda: False)
    core = openvino.Core()
    model = core.read_model(onnx_model(quantized(example()), batch=1))
    nodes = core.compile_model(model, "CPU", _options(1)).get_runtime_model().get_ordered_ops()
    information = [node.get_rt_info() for node in nodes]
    kinds = Counter(
        str(known["runtimePrecision"].astype(str))
        for known in information
        if known["layerType"].astype(str) in ("Convolution", "FullyConnected")
    )
    assert sum(kinds.values()) == 28
    assert kinds["u8"] + kinds["i8"] >= 27


def test_a_range_that_reaches_beyond_the_activation_is_cut_there(
    example: Maker, quantized: Maker, tmp_path: Path
) -> None:
    made = example(activation="relu6")
    graph = quantized(made)
    wide = [
        replace(node, output=Quantization(0.05, -120)) if isinstance(node, QuantizedConv) else node
        for node in graph.nodes
    ]
    graph = replace(graph, nodes=tuple(wide))
    data = onnx_model(graph, batch=None)
    model = _with_steps(data, ["stem", "stem/activated"])
    before, after = _session(model.SerializeToString()).run(["stem", "stem/activated"], {"images": made.images})
    # 0 is step 8 and 6 is 120 steps above it.
    assert (before.min(), before.max() > 128) == (0, True)
    np.testing.assert_array_equal(after, before.clip(8, 128))
    expected = _by_our_engine(graph.nodes[0], graph.input, made.images.transpose(0, 3, 1, 2))
    assert _largest(after, expected) <= 1
    kinds = _kinds(data, tmp_path)
    assert (kinds["Conv"], kinds["QLinearConv"]) == (0, 27)
