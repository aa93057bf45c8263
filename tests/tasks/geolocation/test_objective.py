"""What the cells are learned by, against NumPy and hand calculation."""

import math

import numpy as np
import pytest
import torch

from mobilenet.images.augment import whole_photos
from mobilenet.metrics.geodesic import EARTH_RADIUS_KM, unit_vectors
from mobilenet.model.vocabulary import Vocabulary
from mobilenet.tasks.geolocation.objective import GeolocationObjective
from mobilenet.tasks.geolocation.smoothing import loss_range, smooth_labels
from mobilenet.tasks.geolocation.table import Table, table_of
from mobilenet.tasks.geolocation.targets import PlaceTargets, place_targets

_DEGREE_KM = 2 * math.pi * EARTH_RADIUS_KM / 360
_CENTRES = [[0.0, 0.0], [0.0, 1.0], [0.0, 3.0], [0.0001, 0.0], [-60.0, 179.0]]
_SPREADS = [20.0, 100.0, 200.0, 0.005, 500.0]
_FIELDS = {"centres": _CENTRES, "spreads_km": _SPREADS, "photos": [5] * 5, "most_frequent": [0.0, 0.0]}
_VOCABULARY = Vocabulary(tuple("abcde"), _FIELDS)


def _table() -> Table:
    return table_of(_VOCABULARY.names, _FIELDS)


def _targets() -> PlaceTargets:
    degrees = np.array([[0.0, 0.1], [0.0, 1.2], [0.0, 2.0], [0.00005, 0.0], [-60.0, -179.0]])
    return place_targets(degrees, np.array([0, 1, 2, 3, 4]))


def test_labels_by_hand() -> None:
    """The photo is a fifth of a degree from the centre of its cell, whose photos are spread by 100 km."""
    targets = _targets().take(np.array([1]))
    (found,) = smooth_labels(unit_vectors(targets.degrees), targets.numbers, _table(), 0.5)
    weights = [math.exp(-step * _DEGREE_KM / 50) for step in (1.2, 0.2, 1.8, 1.2)]
    assert found[:4] == pytest.approx(np.array(weights) / sum(weights), rel=1e-3)
    assert found[4] < 1e-10


@pytest.mark.parametrize("smoothing", [0.0, 0.3, 2.0])
def test_the_loss_is_the_cross_entropy_of_the_labels(smoothing: float) -> None:
    """Also in float32, for cells that are a few metres wide."""
    targets, rows = _targets(), np.array([0, 1, 2, 3, 4])
    objective = GeolocationObjective(_table(), smoothing=smoothing, label_smoothing=0.1)
    arrays = objective.batch(targets, rows, whole_photos(5))
    logits = torch.randn(5, 5, generator=torch.Generator().manual_seed(0), requires_grad=True)
    batch = {name: torch.from_numpy(values) for name, values in arrays.items()}
    found = objective({"probabilities": logits}, batch)
    labels = smooth_labels(unit_vectors(targets.degrees), targets.numbers, _table(), smoothing)
    labels = 0.9 * labels + 0.1 / 5
    wanted = -(labels * logits.detach().log_softmax(1).numpy()).sum(1).mean()
    # Places are to 0.5 m in float32, which the smallest cell feels.
    assert found[0].item() == pytest.approx(wanted, abs=0.02 if smoothing else 1e-6)
    assert found[1].item() == pytest.approx((logits.argmax(1).numpy() == targets.numbers).mean())
    found[0].backward()
    assert logits.grad is not None


def test_the_range_of_the_loss() -> None:
    """Without smoothing the labels are certain, and the best constant answer is their frequency."""
    chance, perfect = loss_range(_targets(), _VOCABULARY, 0.0, 0.0)
    assert (chance, perfect) == (pytest.approx(math.log(5)), pytest.approx(0))
    chance, perfect = loss_range(_targets(), _VOCABULARY, 1.0, 0.1)
    assert 0.4 < perfect < chance < math.log(5)


@pytest.mark.parametrize("balanced", [False, True])
def test_a_fitted_head_finds_the_cells(*, balanced: bool) -> None:
    random = np.random.default_rng(0)
    # One of the two that are 11 m apart.
    numbers = random.choice([0, 1, 2, 4], 80)
    degrees = np.array(_CENTRES)[numbers]
    features = torch.from_numpy(np.eye(5, 12)[numbers] + random.normal(0, 0.05, (80, 12))).float()
    objective = GeolocationObjective(_table(), smoothing=0.1, class_balanced=balanced)
    arrays = objective.batch(place_targets(degrees, numbers), np.arange(80), whole_photos(80))
    state = objective.fit_head(features, {name: torch.from_numpy(values) for name, values in arrays.items()}, 0)
    matrix, bias = state.values()
    found = (features @ matrix.T + bias).argmax(1).numpy()
    assert (np.where(found == 3, 0, found) == numbers).mean() > 0.95


def test_a_student_is_compared_with_its_teacher() -> None:
    ours, theirs = torch.tensor([[0.0, 0.0]]), torch.tensor([[math.log(3), 0.0]])
    found = GeolocationObjective(_table(), smoothing=0.0).distil({"probabilities": ours}, {"probabilities": theirs})
    assert float(found) == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5))
