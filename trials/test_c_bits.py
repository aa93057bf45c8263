"""8-bit C files of real networks on real photos: their logits are those of LiteRT bit for bit, whatever the kernels."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.export.c_files import TIERS, answers, needs_compiler, supported
from tests.export.heads import in_8_bits, random_graph

from mobilenet.export.c.model import c_model
from mobilenet.export.litert.model import litert_model
from mobilenet.images import Preprocessing
from mobilenet.images.prepare import prepare_photos
from mobilenet.model.card import ModelCard
from mobilenet.model.fold import build_graph
from mobilenet.model.graph import Graph, QuantizedGraph
from mobilenet.model.head import Head
from mobilenet.model.outputs import Output
from mobilenet.runtimes.engines import PLANS
from mobilenet.runtimes.litert import LiteRTPredictor
from mobilenet.spec import ConvStyle, Padding
from mobilenet.weights.read import import_weights

_SHARED = Path(__file__).parents[2] / "shared"
_CLOTHING, _WEIGHTS = _SHARED / "data" / "clothing", _SHARED / "weights"

pytestmark = [
    needs_compiler,
    pytest.mark.skipif(
        not (_CLOTHING.is_dir() and _WEIGHTS.is_dir()),
        reason="the photos and the official files are not beside the project",
    ),
]

_CALIBRATING, _FEWEST, _SOME = 32, 300, 24
"""Photos: for ranges; that are compared at least; of these, for kernels that are slow."""

_CLASSIFIERS = (
    "mobilenet_v1_0.25_224_1_default_1.tflite",
    "mobilenet_v1_0.75_192_quant.tflite",
    "mobilenet_v1_0.5_160_quant.tflite",
    "mobilenet_v1_0.25_224_quant.tflite",
    "mobilenet_v1_0.25_128_quant.tflite",
    "vww_96.h5",
    "vww_96_float.tflite",
)


def _images(preprocessing: Preprocessing) -> NDArray[np.uint8]:
    files = sorted((_CLOTHING / "validation").rglob("*.jpg"))
    found = [made for _, made in prepare_photos(preprocessing, lambda path: path, files) if not isinstance(made, str)]
    return np.stack([image for image, _ in found])


def _before_ending(graph: QuantizedGraph) -> QuantizedGraph:
    card = graph.card
    rows = card.network().rows[len(card.body().rows) :]
    output = Output("logits", card.outputs[0].rows, card.outputs[0].shape)
    return replace(graph, card=replace(card, head=Head(tuple(rows), (output,))))


def _compare(graph: Graph, folder: Path) -> None:
    images = _images(graph.card.preprocessing)
    assert len(images) - _CALIBRATING >= _FEWEST
    coarse, images = _before_ending(in_8_bits(graph, images[:_CALIBRATING])), images[_CALIBRATING:]
    expected = LiteRTPredictor(litert_model(coarse), coarse.card, threads=1).predict(images)["logits"]
    assert len(np.unique(expected)) > 16
    found = answers(c_model(coarse), images, folder, "-O3")["logits"]
    print(f"\n{graph.card.width_multiplier:g}-{graph.card.resolution}: {(found == expected).mean():.2%} of the logits")
    np.testing.assert_array_equal(found, expected)
    for tier in filter(supported, TIERS):
        found = answers(c_model(coarse), images[:_SOME], folder, "-O3", *TIERS[tier])["logits"]
        np.testing.assert_array_equal(found, expected[:_SOME])
    found = answers(c_model(coarse, None, "network", PLANS[1]), images[:_SOME], folder, "-O3")["logits"]
    np.testing.assert_array_equal(found, expected[:_SOME])


@pytest.mark.parametrize("name", _CLASSIFIERS)
def test_official_classifiers(name: str, tmp_path: Path) -> None:
    imported = import_weights(_WEIGHTS / name)
    _compare(build_graph(imported.card, imported.tensors), tmp_path)


@pytest.mark.parametrize("padding", ["symmetric", "tensorflow"])
@pytest.mark.parametrize(("width", "resolution"), [(0.25, 96), (0.5, 128), (0.75, 192)])
def test_other_sizes_in_both_paddings(width: float, resolution: int, padding: Padding, tmp_path: Path) -> None:
    style = ConvStyle(padding, "relu6", batch_norm=False)
    labels = tuple(f"class {number}" for number in range(10))
    card = ModelCard("mobilenet_v1", width, resolution, labels, Preprocessing(resolution), style, task="classification")
    _compare(random_graph(card), tmp_path)
