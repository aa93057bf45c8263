"""Fine-tuning with rounding brings an 8-bit network nearer to its float32 network."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tests.quantize.conftest import MakeGraph, photos

from mobilenet.datasets import Photos
from mobilenet.model.graph import QuantizedConv
from mobilenet.quantize.calibrate import divergence
from mobilenet.quantize.calibrated import Calibrated
from mobilenet.quantize.fine_tune import _forward, _Student, fine_tune, training_photos
from mobilenet.quantize.ranges import choose_ranges, observe
from mobilenet.quantize.simulator import pixels_of, quantized_start, quantized_step
from mobilenet.quantize.weights import quantized
from mobilenet.tasks.classification import ClassTargets
from mobilenet.tasks.classification.objective import ClassificationObjective

_DISTANCE = ClassificationObjective(5).distil
_PHOTOS = photos(64)


def _start(make_graph: MakeGraph) -> Calibrated:
    """Much coarser steps than needed, so that there is something to mend."""
    graph = make_graph("relu6", "tensorflow")
    ranges = choose_ranges(observe(graph, _PHOTOS), "min-max")
    coarse = {name: replace(steps, scale=12 * steps.scale) for name, steps in ranges.items()}
    return Calibrated(quantized(graph, coarse), graph, coarse, "min-max", False, False, {})  # noqa: FBT003


def test_a_student_answers_as_the_8_bit_graph_that_it_becomes(make_graph: MakeGraph) -> None:
    start = _start(make_graph)
    student = _Student(start.prepared, start.graph)
    whole, given = student.rounded(), start.graph.input
    x = quantized_start(pixels_of(_PHOTOS))
    with torch.inference_mode():
        for node, weights, bias in zip(whole.nodes, student.weights, student.biases, strict=True):
            real = _forward(node, [(x - given.zero_point) * given.scale], weights, bias)
            x, given = quantized_step(node, [x], given), node.output
            steps = (real / given.scale + given.zero_point - x).abs()
            # A sum that lies between two steps may go to either; the student does not round its biases.
            assert float(steps.max()) <= 1.001
            assert float(steps.mean()) < 0.01


def test_learning_to_be_rounded_helps(make_graph: MakeGraph, tmp_path: Path) -> None:
    for number, image in enumerate(photos(96, seed=1, side=48)):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    files = tuple(sorted(path.name for path in tmp_path.iterdir()))
    start = _start(make_graph)
    seen = training_photos(
        Photos(tmp_path, files, ClassTargets(np.zeros(len(files), np.int64))), start.prepared.card.preprocessing
    )
    steps: list[tuple[int, int]] = []
    tuned = fine_tune(start.prepared, start, seen, _DISTANCE, shown=1280, progress=lambda *at: steps.append(at))
    assert steps[-1] == (40, 40)
    # One training is a matter of luck, and of the processor's order of adding up.
    all_tuned = [
        tuned,
        *(fine_tune(start.prepared, start, seen, _DISTANCE, shown=1280, seed=seed) for seed in (1, 2)),
    ]
    after = np.mean([divergence(start.prepared, graph, _PHOTOS, _DISTANCE) for graph in all_tuned])
    assert after < 0.9 * divergence(start.prepared, start.graph, _PHOTOS, _DISTANCE)
    again = fine_tune(start.prepared, start, seen, _DISTANCE, shown=1280)
    for first, second in zip(tuned.nodes, again.nodes, strict=True):
        if isinstance(first, QuantizedConv):
            assert isinstance(second, QuantizedConv)
            assert (first.filters == second.filters).all()
