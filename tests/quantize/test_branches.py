"""Networks whose rows are read by several, or joined, or shown: ranges, equalisation, biases and fine-tuning."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.export.heads import HEADS, make_graph
from tests.quantize.conftest import photos
from torch import Tensor

from mobilenet.datasets import Photos
from mobilenet.model.graph import (
    ConvNode,
    Graph,
    LinearNode,
    Quantization,
    QuantizedConcat,
    QuantizedConv,
    concatenated,
)
from mobilenet.model.head import Head
from mobilenet.model.outputs import Output
from mobilenet.quantize.bias import corrected
from mobilenet.quantize.calibrate import calibrate, divergence
from mobilenet.quantize.calibrated import Calibrated
from mobilenet.quantize.equalise import equalised
from mobilenet.quantize.fine_tune import _forward, _Student, fine_tune, training_photos
from mobilenet.quantize.ranges import choose_ranges, observe
from mobilenet.quantize.simulator import (
    normalised,
    pixels_of,
    quantized_outputs,
    quantized_start,
    quantized_step,
    raw_outputs,
)
from mobilenet.quantize.weights import quantized
from mobilenet.spec import INPUT, Linear
from mobilenet.tasks.classification import ClassTargets

_PHOTOS = photos(16, side=64)


def _squared(student: Mapping[str, Tensor], teacher: Mapping[str, Tensor]) -> Tensor:
    return torch.stack([(student[name] - teacher[name]).square().sum() for name in teacher]).sum()


def _raw(graph: Graph) -> dict[str, Tensor]:
    with torch.inference_mode():
        return raw_outputs(graph, pixels_of(_PHOTOS))


def test_what_is_joined_is_rounded_alike_over_all_that_it_reaches() -> None:
    graph = make_graph(HEADS["planes joined"])
    seen = observe(graph, _PHOTOS)
    alone = choose_ranges(seen, "min-max")
    ranges = choose_ranges(seen, "min-max", concatenated(graph.nodes))
    assert ranges["joined"] == ranges["signed"] == ranges["cut"]
    assert alone["signed"] != alone["cut"]
    steps = ranges["joined"]
    for name in ("joined", "signed", "cut"):
        # to half a step, since 0 is one of them
        assert (-128 - steps.zero_point) * steps.scale <= seen[name].low + 0.51 * steps.scale
        assert (127 - steps.zero_point) * steps.scale >= seen[name].high - 0.51 * steps.scale
    assert {name: ranges[name] for name in ranges if name not in ("joined", "signed", "cut")} == {
        name: alone[name] for name in alone if name not in ("joined", "signed", "cut")
    }
    with pytest.raises(ValueError, match="joined joins tensors with different steps"):
        quantized(graph, alone)


def test_a_joint_of_joints_is_one_group() -> None:
    steps = Quantization(1.0, 0)
    nodes = [
        QuantizedConcat("first", ("a", "b"), steps),
        QuantizedConcat("second", ("c", "d"), steps),
        QuantizedConcat("third", ("e", "f"), steps),
        QuantizedConcat("both", ("second", "first"), steps),
    ]
    assert set(concatenated(nodes)) == {frozenset("abcd") | {"first", "second", "both"}, frozenset("ef") | {"third"}}


@pytest.mark.parametrize("head", HEADS)
def test_an_equalised_graph_computes_the_same(head: str) -> None:
    graph = make_graph(HEADS[head])
    level = equalised(graph, observe(graph, _PHOTOS))
    for name, values in _raw(level).items():
        torch.testing.assert_close(values, _raw(graph)[name], rtol=1e-3, atol=1e-3)


def _bias(graph: Graph, name: str) -> np.ndarray:
    """Moved by a layer's own equalisation alone; its filters take back that of the layer before as well."""
    (node,) = (node for node in graph.nodes if node.name == name)
    assert isinstance(node, ConvNode)
    return node.bias


def test_only_what_one_layer_alone_sees_is_equalised() -> None:
    """`local` is read by a linear row, pixel by pixel; the last plane by two rows; the pool is read and shown."""
    graph = make_graph(HEADS["two outputs"])
    level = equalised(graph, observe(graph, _PHOTOS))
    assert not np.array_equal(_bias(level, "local"), _bias(graph, "local"))
    assert np.array_equal(_bias(level, "block13.pointwise"), _bias(graph, "block13.pointwise"))
    shown = make_graph(HEADS["vectors joined"])
    level = equalised(shown, observe(shown, _PHOTOS))
    assert np.array_equal(_bias(level, "block13.pointwise"), _bias(shown, "block13.pointwise"))
    plane = make_graph(HEADS["a plane"])
    level = equalised(plane, observe(plane, _PHOTOS))
    assert not np.array_equal(_bias(level, "block11.pointwise"), _bias(plane, "block11.pointwise"))


@pytest.mark.parametrize("head", ["two outputs", "vectors joined", "planes joined"])
def test_corrected_biases_give_each_output_its_mean(head: str) -> None:
    graph = make_graph(HEADS[head])
    ranges = choose_ranges(observe(graph, _PHOTOS), "min-max", concatenated(graph.nodes))
    with torch.inference_mode():
        found = [
            quantized_outputs(quantized(tried, ranges), pixels_of(_PHOTOS))
            for tried in (graph, corrected(graph, ranges, _PHOTOS))
        ]
    for output in graph.card.outputs:
        before, after = (float((x[output.name].mean(0) - _raw(graph)[output.name].mean(0)).abs().mean()) for x in found)
        assert after < max(before, ranges[output.rows[0]].scale), output.name


def test_a_plane_is_fed_to_a_linear_row_pixel_by_pixel() -> None:
    """A matrix that takes one number of the plane; which one NumPy says."""
    head = Head(
        (Linear("taken", 4 * 4 * 128, 2, inputs=("block11.pointwise",)),),
        (Output("taken", ("taken",), (2,)), Output("plane", ("block11.pointwise",), (4, 4, 128))),
    )
    graph = make_graph(head)
    *nodes, linear = graph.nodes
    assert isinstance(linear, LinearNode)
    matrix = np.zeros_like(linear.matrix)
    matrix[0, np.ravel_multi_index((1, 3, 17), (4, 4, 128))] = 1
    matrix[1, np.ravel_multi_index((2, 0, 100), (4, 4, 128))] = 1
    found = _raw(replace(graph, nodes=(*nodes, replace(linear, matrix=matrix, bias=np.zeros(2, np.float32)))))
    torch.testing.assert_close(found["taken"][:, 0], found["plane"][:, 1, 3, 17])
    torch.testing.assert_close(found["taken"][:, 1], found["plane"][:, 2, 0, 100])


@pytest.mark.parametrize("head", ["two outputs", "planes joined", "vectors joined"])
def test_the_best_is_chosen_by_the_distance_that_is_given(head: str) -> None:
    graph = make_graph(HEADS[head])
    found = calibrate(graph, _PHOTOS, _squared)
    assert found.errors["chosen"] == min(found.errors.values())
    assert divergence(graph, found.graph, _PHOTOS[1::2], _squared) == pytest.approx(found.errors["chosen"], rel=1e-4)


@pytest.mark.parametrize("head", HEADS)
def test_a_student_answers_as_the_8_bit_graph_that_it_becomes(head: str) -> None:
    graph = make_graph(HEADS[head])
    start = _start(graph)
    student = _Student(graph, start.graph)
    whole = student.rounded()
    learned, steps = student._learned(), whole.steps
    made = {INPUT: quantized_start(pixels_of(_PHOTOS))}
    with torch.inference_mode():
        for node in whole.nodes:
            inputs = [(made[name] - steps[name].zero_point) * steps[name].scale for name in node.inputs]
            real = _forward(node, inputs, *learned[node.name]) / node.output.scale + node.output.zero_point
            made[node.name] = quantized_step(node, [made[name] for name in node.inputs], steps[node.inputs[0]])
            # A sum that lies between two steps may go to either; the student does not round its biases.
            assert float((real - made[node.name]).abs().max()) <= 1.001, node.name
        answers = student(normalised(pixels_of(_PHOTOS), graph.card.preprocessing))
    assert {name: x.shape for name, x in answers.items()} == {name: x.shape for name, x in _raw(graph).items()}


def _start(graph: Graph) -> Calibrated:
    ranges = choose_ranges(observe(graph, _PHOTOS), "min-max", concatenated(graph.nodes))
    return Calibrated(quantized(graph, ranges), graph, ranges, "min-max", False, False, {})  # noqa: FBT003


@pytest.mark.parametrize("head", HEADS)
def test_every_layer_of_a_student_learns(head: str) -> None:
    graph = make_graph(HEADS[head])
    student = _Student(graph, _start(graph).graph)
    _squared(student(normalised(pixels_of(_PHOTOS), graph.card.preprocessing)), _raw(graph)).backward()
    for node, weights, bias in zip(graph.nodes, student.weights, student.biases, strict=True):
        if isinstance(node, ConvNode | LinearNode):
            assert weights.grad is not None, node.name
            assert bias.grad is not None, node.name
            assert weights.grad.any(), node.name
            assert bias.grad.any(), node.name


def test_what_is_joined_stays_rounded_alike_after_fine_tuning(tmp_path: Path) -> None:
    for number, image in enumerate(photos(32, seed=1, side=72)):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    files = tuple(sorted(path.name for path in tmp_path.iterdir()))
    graph = make_graph(HEADS["planes joined"])
    start = _start(graph)
    seen = training_photos(
        Photos(tmp_path, files, ClassTargets(np.zeros(len(files), np.int64))), graph.card.preprocessing
    )
    tuned = fine_tune(graph, start, seen, _squared, shown=64)
    assert tuned.steps == start.graph.steps
    assert [node.inputs for node in tuned.nodes] == [node.inputs for node in graph.nodes]
    assert any(
        not np.array_equal(first.bias, second.bias)
        for first, second in zip(tuned.nodes, start.graph.nodes, strict=True)
        if isinstance(first, QuantizedConv) and isinstance(second, QuantizedConv)
    )
