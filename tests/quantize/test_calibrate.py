"""From a float32 graph to 8 bits: nothing is changed in real numbers, and every step that is kept helps."""

import math
from dataclasses import replace
from typing import get_args

import numpy as np
import onnxruntime
import pytest
import torch
from tests.quantize.conftest import MakeGraph, photos

from mobilenet.errors import ConfigError, ModelError
from mobilenet.export.onnx.model import onnx_model
from mobilenet.model.graph import ConvNode, Graph, QuantizedConv, QuantizedGraph
from mobilenet.quantize import calibrate as module
from mobilenet.quantize.bias import corrected
from mobilenet.quantize.calibrate import calibrate, divergence
from mobilenet.quantize.equalise import equalised
from mobilenet.quantize.ranges import choose_ranges, observe
from mobilenet.quantize.simulator import (
    batches,
    pixels_of,
    quantized_outputs,
    quantized_start,
    quantized_step,
    raw_outputs,
)
from mobilenet.quantize.weights import quantized
from mobilenet.spec import Activation, Padding
from mobilenet.tasks.classification.objective import ClassificationObjective

_DISTANCE = ClassificationObjective(5).distil
_PHOTOS = photos(64)


def _logits(graph: Graph, pixels: torch.Tensor) -> torch.Tensor:
    return raw_outputs(graph, pixels)["probabilities"]


def _quantized_logits(graph: QuantizedGraph, pixels: torch.Tensor) -> torch.Tensor:
    return quantized_outputs(graph, pixels)["probabilities"]


def _softmax(graph: Graph) -> torch.Tensor:
    with torch.inference_mode():
        return torch.softmax(_logits(graph, pixels_of(_PHOTOS)), 1)


def test_ranges_cover_what_is_seen(make_graph: MakeGraph) -> None:
    graph = make_graph("relu6", "symmetric")
    seen = observe(graph, _PHOTOS)
    assert list(seen) == [node.name for node in graph.nodes]
    with torch.inference_mode():
        wanted = torch.cat([_logits(graph, pixels) for pixels in batches(_PHOTOS)])
    assert seen["classifier"].high == pytest.approx(float(wanted.max()))
    assert seen["classifier"].low == pytest.approx(float(wanted.min()))
    assert seen["classifier"].counts.sum() == wanted.numel()
    np.testing.assert_allclose(seen["classifier"].channel_high, wanted.amax(0).numpy(), rtol=1e-5)
    assert all(seen[node.name].low >= 0 and seen[node.name].high <= 6 for node in graph.nodes[:-2])


@pytest.mark.parametrize("activation", ["relu", "relu6"])
def test_an_equalised_graph_computes_the_same(make_graph: MakeGraph, activation: Activation) -> None:
    graph = make_graph(activation, "tensorflow")
    level = equalised(graph, observe(graph, _PHOTOS))
    torch.testing.assert_close(_softmax(level), _softmax(graph), rtol=1e-3, atol=1e-5)
    before, after = observe(graph, _PHOTOS), observe(level, _PHOTOS)
    spread = [
        float(np.median(seen["block6.pointwise"].channel_high / seen["block6.pointwise"].high))
        for seen in (before, after)
    ]
    assert spread[1] > spread[0]


@pytest.mark.parametrize("activation", ["relu", "relu6"])
@pytest.mark.parametrize("padding", get_args(Padding)[:2])
def test_the_8_bit_engine_agrees_with_onnx_runtime_in_float(
    make_graph: MakeGraph, activation: Activation, padding: Padding
) -> None:
    graph = make_graph(activation, padding)
    whole = quantized(graph, choose_ranges(observe(graph, _PHOTOS), "min-max"))
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(onnx_model(whole, batch=None), options, ["CPUExecutionProvider"])
    (wanted,) = session.run(None, {"images": _PHOTOS[:8]})
    with torch.inference_mode():
        found = torch.softmax(_quantized_logits(whole, pixels_of(_PHOTOS[:8])), 1).numpy()
    # A sum that lies between two steps may go to either; that moves a logit by a step or two.
    np.testing.assert_allclose(found, wanted, atol=4 * whole.nodes[-1].output.scale)


def test_corrected_biases_give_each_channel_its_mean(make_graph: MakeGraph) -> None:
    graph = make_graph("relu6", "tensorflow")
    ranges = choose_ranges(observe(graph, _PHOTOS), "min-max")
    wanted = torch.cat([_logits(graph, pixels) for pixels in batches(_PHOTOS)]).mean(0)
    found = [
        torch.cat([_quantized_logits(quantized(tried, ranges), pixels) for pixels in batches(_PHOTOS)]).mean(0)
        for tried in (graph, corrected(graph, ranges, _PHOTOS))
    ]
    errors = [float((mean - wanted).abs().max()) for mean in found]
    # What remains is a fraction of one of the output's own steps.
    assert errors[1] < 0.3 * ranges["classifier"].scale
    assert errors[1] < errors[0]


def test_the_best_is_chosen_by_measured_error(make_graph: MakeGraph) -> None:
    graph = make_graph("relu6", "tensorflow")
    steps: list[tuple[int, int]] = []
    found = calibrate(graph, _PHOTOS, _DISTANCE, lambda done, total: steps.append((done, total)))
    assert steps == [(number, 6) for number in range(1, 7)]
    assert found.errors["chosen"] == min(found.errors.values())
    assert found.errors[found.method] == min(found.errors[name] for name in ("min-max", "percentile", "mse"))
    assert divergence(graph, found.graph, _PHOTOS[1::2], _DISTANCE) == pytest.approx(found.errors["chosen"], rel=1e-4)
    filters = [node for node in found.graph.nodes if isinstance(node, QuantizedConv)]
    assert all(len(node.scales) == len(node.filters) and np.abs(node.filters).max() == 127 for node in filters)


def test_what_does_not_help_is_left_out(make_graph: MakeGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    def harmful(graph: Graph, *_: object) -> Graph:
        last = graph.nodes[-1]
        return replace(graph, nodes=(*graph.nodes[:-1], replace(last, bias=last.bias + np.arange(5, dtype=np.float32))))

    monkeypatch.setattr(module, "equalised", harmful)
    monkeypatch.setattr(module, "corrected", harmful)
    found = calibrate(make_graph("relu6", "tensorflow"), _PHOTOS, _DISTANCE)
    assert (found.equalised, found.corrected) == (False, False)


def _silent(monkeypatch: pytest.MonkeyPatch, tries: int) -> None:
    """The first `tries` 8-bit networks answer with NaN."""
    whole, calls = quantized_outputs, iter(range(10**6))
    parts = len(list(batches(_PHOTOS[1::2])))

    def answers(graph: QuantizedGraph, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        found = whole(graph, pixels)
        silent = next(calls) < tries * parts
        return {name: values * math.nan if silent else values for name, values in found.items()}

    monkeypatch.setattr(module, "quantized_outputs", answers)


def test_what_answers_with_nan_is_never_the_best(make_graph: MakeGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = make_graph("relu6", "tensorflow")
    _silent(monkeypatch, 1)
    found = calibrate(graph, _PHOTOS, _DISTANCE)
    assert found.errors["min-max"] == math.inf
    assert found.method != "min-max"
    assert math.isfinite(found.errors["chosen"])
    assert found.errors["chosen"] == min(found.errors.values())
    _silent(monkeypatch, 3)
    found = calibrate(graph, _PHOTOS, _DISTANCE)
    assert (found.equalised, math.isfinite(found.errors["chosen"])) == (True, True)


def test_8_bits_that_never_answer_with_numbers_are_one_line(
    make_graph: MakeGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    _silent(monkeypatch, 5)
    with pytest.raises(ModelError, match=r"all 5 8-bit candidates output NaN .* --precision float32"):
        calibrate(make_graph("relu6", "tensorflow"), _PHOTOS, _DISTANCE)


def _diverged(graph: Graph) -> Graph:
    last = graph.nodes[-1]
    return replace(graph, nodes=(*graph.nodes[:-1], replace(last, bias=last.bias * np.float32(np.nan))))


def test_a_network_that_answers_with_nan_is_not_calibrated(make_graph: MakeGraph) -> None:
    graph = make_graph("relu6", "tensorflow")
    whole = quantized(graph, choose_ranges(observe(graph, _PHOTOS), "min-max"))
    with pytest.raises(ModelError, match="the network outputs NaN or infinity: its training has diverged"):
        calibrate(_diverged(graph), _PHOTOS, _DISTANCE)
    with pytest.raises(ModelError, match="the network outputs NaN or infinity"):
        divergence(_diverged(graph), whole, _PHOTOS, _DISTANCE)
    with pytest.raises(ModelError, match="layer classifier gives NaN or infinity on some photos: it has no 8-bit"):
        observe(_diverged(graph), _PHOTOS)
    with pytest.raises(ConfigError, match="no photos to measure the 8-bit network on; give at least one"):
        divergence(graph, whole, _PHOTOS[:0], _DISTANCE)


def test_too_few_photos_are_refused(make_graph: MakeGraph) -> None:
    with pytest.raises(ConfigError, match="7 photos are too few for calibration; give at least 8"):
        calibrate(make_graph("relu6", "tensorflow"), _PHOTOS[:7], _DISTANCE)


def test_relu6_cuts_where_its_range_is_wider(make_graph: MakeGraph) -> None:
    graph = make_graph("relu6", "tensorflow")
    stem = graph.nodes[0]
    assert isinstance(stem, ConvNode)
    graph = replace(graph, nodes=(replace(stem, filters=5 * stem.filters), *graph.nodes[1:]))
    ranges = {
        name: replace(ranges, scale=0.1) for name, ranges in choose_ranges(observe(graph, _PHOTOS), "min-max").items()
    }
    whole = quantized(graph, ranges)
    x = quantized_step(whole.nodes[0], [quantized_start(pixels_of(_PHOTOS))], whole.input)
    assert float(x.max()) == 60 - 128
