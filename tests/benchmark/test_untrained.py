"""Networks of random numbers run, say nothing odd, and are as large as trained ones."""

from pathlib import Path

import numpy as np
import pytest
from tests.export.heads import HEADS, make_graph

from mobilenet.benchmark.device.untrained import untrained
from mobilenet.export.formats import WRITERS
from mobilenet.images import Preprocessing
from mobilenet.model.card import ModelCard
from mobilenet.model.precision import PRECISIONS, Precision
from mobilenet.runtimes import open_model
from mobilenet.runtimes.engines import FORMATS, USUAL_FORMATS
from mobilenet.spec.cost import cost

_CARD = ModelCard("mobilenet_v1", 0.25, 32, ("cat", "dog", "owl"), Preprocessing(32), task="classification")


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", FORMATS)
def test_every_kind_of_file_runs(name: str, precision: Precision, tmp_path: Path) -> None:
    kind = FORMATS[name]
    file = tmp_path / f"model{kind.suffix}"
    file.write_bytes(WRITERS[name](untrained(_CARD, precision), None))
    images = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), np.uint8)
    found = open_model(file, kind.runtime, 1).predict(images)["probabilities"]
    assert found.shape == (1, 3)
    assert found.sum() == pytest.approx(1, abs=1e-3)
    assert found.min() > 0


@pytest.mark.parametrize("precision", PRECISIONS)
def test_nothing_is_written_once_that_a_trained_network_has_twice(precision: Precision) -> None:
    """Weights, a bias and in 8 bits a scale for each channel: what `cost` counts, and little else."""
    priced = cost(_CARD.network())
    weights = priced.weight_bytes_float32 if precision == "float32" else priced.weight_bytes_int8
    size = len(WRITERS["litert"](untrained(_CARD, precision), None))
    assert weights < size < weights + 32_000


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("head", HEADS)
def test_networks_with_other_heads_run_too(head: str, precision: Precision, tmp_path: Path) -> None:
    card = make_graph(HEADS[head]).card
    images = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), np.uint8)
    for name in USUAL_FORMATS:
        kind = FORMATS[name]
        file = tmp_path / f"model{kind.suffix}"
        file.write_bytes(WRITERS[name](untrained(card, precision), None))
        found = open_model(file, kind.runtime, 1).predict(images)
        assert {name: values.shape for name, values in found.items()} == {
            output.name: (1, *output.shape) for output in card.outputs
        }
        assert all(np.isfinite(values).all() for values in found.values())
