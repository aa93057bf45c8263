"""C files against the simulator, and in 8 bits bit for bit against LiteRT's fast kernels, whose rounding is theirs."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.export.c_files import TIERS, answers, needs_compiler, supported
from tests.export.heads import HEADS, in_8_bits, make_graph

from mobilenet.export.c.model import c_model
from mobilenet.export.litert.model import litert_model
from mobilenet.model.graph import Graph, QuantizedGraph
from mobilenet.model.head import Head
from mobilenet.model.outputs import Output
from mobilenet.nn.endings import ended
from mobilenet.quantize.simulator import pixels_of, raw_outputs
from mobilenet.runtimes.litert import LiteRTPredictor

pytestmark = needs_compiler

Make = Callable[..., Any]
Images = NDArray[np.uint8]


def _noise(count: int, side: int) -> Images:
    return np.random.default_rng(3).integers(0, 256, (count, side, side, 3), np.uint8)


def _before_ending(graph: QuantizedGraph) -> QuantizedGraph:
    """A classifier that returns its logits."""
    card = graph.card
    rows = card.network().rows[len(card.body().rows) :]
    output = Output("logits", card.outputs[0].rows, card.outputs[0].shape)
    return replace(graph, card=replace(card, head=Head(tuple(rows), (output,))))


_OPTIONS = [
    {"padding": "tensorflow", "activation": "relu6"},
    {"padding": "symmetric", "activation": "relu", "mean": (120.0, 110.0, 100.0), "std": (60.0, 61.0, 62.0)},
    {"padding": "symmetric", "activation": "relu6", "width": 0.75, "classes": 33, "resolution": 96},
    {"padding": "tensorflow", "activation": "relu", "architecture": "mobilenet_v1_standard", "classes": 1},
]


@pytest.mark.parametrize("options", _OPTIONS, ids=str)
@pytest.mark.parametrize("tier", TIERS)
def test_int8_logits_are_those_of_litert_bit_for_bit(
    example: Make, quantized: Make, tier: str, options: dict[str, Any], tmp_path: Path
) -> None:
    if not supported(tier):
        pytest.skip(f"this processor has no {tier}")
    made = example(**options)
    graph = _before_ending(quantized(made))
    images = np.concatenate([made.images, _noise(4, made.images.shape[1])])
    expected = LiteRTPredictor(litert_model(graph), graph.card, threads=1).predict(images)["logits"]
    found = answers(c_model(graph), images, tmp_path, f"-DNETWORK_TIER={TIERS[tier]}")["logits"]
    np.testing.assert_array_equal(found, expected)
    assert len(np.unique(found)) > 4


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("options", _OPTIONS[1:3], ids=str)
def test_float32_files_answer_as_the_network(example: Make, tier: str, options: dict[str, Any], tmp_path: Path) -> None:
    if not supported(tier):
        pytest.skip(f"this processor has no {tier}")
    made = example(**options)
    expected = made.predictor.predict(made.images)["probabilities"]
    found = answers(c_model(made.graph), made.images, tmp_path, f"-DNETWORK_TIER={TIERS[tier]}")["probabilities"]
    # Sums in another order; the gate of every exported file.
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def _outputs(graph: Graph, images: Images) -> dict[str, NDArray[np.float32]]:
    with torch.inference_mode():
        raw = raw_outputs(graph, pixels_of(images))
        return {output.name: ended(raw[output.name], output.ending).numpy() for output in graph.card.outputs}


@pytest.mark.parametrize("head", HEADS)
def test_every_output_of_other_networks_is_there(head: str, tmp_path: Path) -> None:
    graph, images = make_graph(HEADS[head]), np.kron(_noise(3, 4), np.ones((1, 16, 16, 1), np.uint8))
    coarse = in_8_bits(graph, images)
    litert = LiteRTPredictor(litert_model(coarse), coarse.card, threads=1).predict(images)
    found = answers(c_model(coarse), images, tmp_path)
    assert list(found) == [output.name for output in graph.card.outputs]
    for name, values in found.items():
        # The 8-bit values are the same; endings are in float32, which rounds at 6e-8.
        np.testing.assert_allclose(values, litert[name], rtol=1e-5, atol=1e-6)
    fine, expected = answers(c_model(graph), images, tmp_path), _outputs(graph, images)
    for name, values in fine.items():
        scale = max(1.0, float(np.abs(expected[name]).max()))
        np.testing.assert_allclose(values, expected[name], rtol=1e-4, atol=1e-5 * scale)
