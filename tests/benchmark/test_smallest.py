"""The smallest candidate of a grid, beside a file of trained weights and beside the grid's own figures."""

from dataclasses import replace

import numpy as np
import pytest

from mobilenet.benchmark.device.curve import Variant
from mobilenet.benchmark.device.grid import GridSettings
from mobilenet.benchmark.device.smallest import measure_smallest, smallest_files
from mobilenet.export.litert.model import litert_model
from mobilenet.images import Preprocessing
from mobilenet.model.card import ModelCard
from mobilenet.model.fold import build_graph

_GRID = GridSettings(widths=(0.5, 0.25), resolutions=(64, 32), runtimes=("litert", "onnxruntime"))
_LABELS = ("cat", "dog", "owl")


def _card(labels: tuple[str, ...]) -> ModelCard:
    return ModelCard("mobilenet_v1", 0.25, 32, labels, Preprocessing(32), task="classification")


def test_a_file_is_as_large_as_a_trained_one() -> None:
    """The same network with norms as torch has them, folded by the export itself."""
    from mobilenet.nn.network import TableNetwork

    card, random = _card(_LABELS), np.random.default_rng(0)
    state = TableNetwork(card.network()).state_dict()
    arrays = {
        name: random.uniform(0.5, 1.5, tuple(values.shape)).astype(np.float32)
        for name, values in state.items()
        if not name.endswith("num_batches_tracked")
    }
    trained = len(litert_model(build_graph(card, arrays)))
    files = smallest_files(_GRID, card)
    assert list(files) == list(_GRID.variants)
    assert len(files[Variant("litert", "float32", 1)]) == pytest.approx(trained, rel=1e-4)
    # 213,600 weights without the classifier's, and a scale and a bias of 4 bytes each for 8-bit channels.
    for runtime in _GRID.runtimes:
        assert 4 * 213_000 < len(files[Variant(runtime, "float32", 1)]) < 4 * 225_000
        assert 213_000 < len(files[Variant(runtime, "int8", 1)]) < 300_000


def test_names_of_classes_count() -> None:
    grid = replace(_GRID, runtimes=("litert",), precisions=("int8",))
    long_names = tuple(20 * one for one in _LABELS)
    short, long = (len(*smallest_files(grid, _card(labels)).values()) for labels in (_LABELS, long_names))
    assert long - short >= 3 * 19 * 3


def test_latency_and_memory_are_measured() -> None:
    grid = replace(_GRID, runtimes=("litert",))
    files, seen = smallest_files(grid, _card(_LABELS)), []
    found = measure_smallest(files, lambda *at: seen.append(at))
    assert seen == [(1, 2), (2, 2)]
    for variant, least in found.items():
        assert 0 < least.fastest_ms < least.p95_ms
        assert least.file_bytes == len(files[variant])
        assert least.peak_bytes > 100_000
