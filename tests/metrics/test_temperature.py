"""The temperature by hand, by brute force, and by properties that hold for any logits."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mobilenet.metrics.classification import negative_log_likelihood
from mobilenet.metrics.temperature import HIGHEST, LOWEST, fit_temperature, softmax, supported

Case = tuple[NDArray[np.float64], NDArray[np.int64]]


def _drawn(seed: int, photos: int = 60, classes: int = 4, temperature: float = 1.0) -> Case:
    """Logits, and classes drawn from their softmax at `temperature`."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (photos, classes))
    chances = np.exp(logits / temperature)
    chances /= chances.sum(1, keepdims=True)
    return logits, (random.random((photos, 1)) > chances.cumsum(1)).sum(1).clip(0, classes - 1)


def _loss(logits: NDArray[np.float64], labels: NDArray[np.int64], temperature: float) -> float:
    """The mean of -ln p, written out."""
    losses = []
    for row, label in zip(logits / temperature, labels, strict=True):
        losses.append(math.log(sum(math.exp(value - row.max()) for value in row)) + row.max() - row[label])
    return math.fsum(losses) / len(losses)


@pytest.mark.parametrize(("right", "photos", "gap"), [(3, 4, 1.0), (3, 4, 5.0), (9, 10, 1.0), (51, 100, 0.25)])
def test_two_classes_by_hand(right: int, photos: int, gap: float) -> None:
    """The likeliest probability of the first class is its share s, with log-odds gap / T: T = gap / ln(s / (1 - s))."""
    logits = np.tile([gap, 0.0], (photos, 1))
    labels = (np.arange(photos) >= right).astype(np.int64)
    assert fit_temperature(logits, labels) == pytest.approx(gap / math.log(right / (photos - right)), rel=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_no_temperature_of_a_fine_grid_is_better(seed: int) -> None:
    logits, labels = _drawn(seed, temperature=(0.4, 1.0, 2.5, 5.0)[seed % 4])
    grid = np.geomspace(LOWEST, HIGHEST, 400)
    best = min(grid, key=lambda temperature: _loss(logits, labels, temperature))
    found = fit_temperature(logits, labels)
    # Neighbours on the grid are 1.2 % apart.
    assert found == pytest.approx(best, rel=0.012)
    assert _loss(logits, labels, found) <= _loss(logits, labels, best) + 1e-12


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_made_the_labels_is_found(temperature: float) -> None:
    # Its standard error is 1 to 3 % with so many photos.
    found = fit_temperature(*_drawn(1, photos=20_000, temperature=temperature))
    assert found == pytest.approx(temperature, rel=0.08)


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.floats(0.3, 3), st.floats(-50, 50))
def test_logits_of_another_scale_have_a_temperature_of_that_scale(seed: int, scale: float, shift: float) -> None:
    logits, labels = _drawn(seed)
    found, scaled = fit_temperature(logits, labels), fit_temperature(scale * logits + shift, labels)
    if LOWEST < found < HIGHEST and LOWEST < scaled < HIGHEST:
        assert scaled == pytest.approx(scale * found, rel=1e-6)


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.sampled_from([2, 5, 40]))
def test_the_loss_is_flat_at_a_minimum_inside_the_bounds(seed: int, classes: int) -> None:
    logits, labels = _drawn(seed, photos=30, classes=classes)
    found = fit_temperature(logits, labels)
    nearby = (found, found * 0.99, found * 1.01, LOWEST, 1.0, HIGHEST)
    losses = [negative_log_likelihood(softmax(logits, temperature), labels) for temperature in nearby]
    assert min(losses) >= losses[0] - 1e-9 or found in (LOWEST, HIGHEST)


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.floats(LOWEST, HIGHEST))
def test_no_temperature_changes_the_order_of_classes(seed: int, temperature: float) -> None:
    logits, _ = _drawn(seed)
    assert (softmax(logits, temperature).argsort(1) == logits.argsort(1)).all()


def test_minima_beyond_the_bounds_end_at_them() -> None:
    logits = np.tile([1.0, 0.0], (4, 1))
    assert fit_temperature(logits, np.zeros(4, np.int64)) == LOWEST
    assert fit_temperature(logits, np.ones(4, np.int64)) == HIGHEST
    # Half of either class: only a temperature without end makes that of these logits.
    assert fit_temperature(logits, np.array([0, 1, 0, 1])) == HIGHEST
    assert fit_temperature(np.zeros((4, 2)), np.array([0, 1, 0, 1])) == HIGHEST


def test_large_logits_do_not_overflow() -> None:
    logits, labels = _drawn(3)
    assert fit_temperature(3 * logits + 1e4, labels) == pytest.approx(3 * fit_temperature(logits, labels), rel=1e-6)
    assert np.isfinite(softmax(np.array([[1e4, -1e4]]), LOWEST)).all()


def _others(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """The temperature that each photo is judged at."""
    seen: list[NDArray[np.float64]] = []

    def measured(temperatures: NDArray[np.float64]) -> dict[str, float]:
        seen.append(temperatures)
        return {"ece": 0.1, "loss": negative_log_likelihood(softmax(logits, temperatures), labels)}

    value, figures = supported(len(labels), "", lambda some: fit_temperature(logits[some], labels[some]), measured)
    without, others = seen
    assert (without == 1).all()
    assert figures["photos"] == len(labels)
    better = figures["loss_cross_fitted"] < figures["loss_before"]
    assert value == figures["value"] == (fit_temperature(logits, labels) if better else 1)
    assert bool(figures["note"]) is not better
    return others


def test_what_cannot_be_fitted_is_not() -> None:
    value, figures = supported(3, "too few", lambda _: 2.0, lambda _: {})
    assert (value, figures) == (1.0, {"value": 1.0, "note": "too few", "photos": 3})


def test_a_photo_has_no_part_in_its_own_cross_fitted_temperature() -> None:
    logits, labels = _drawn(5)
    before = _others(logits, labels)
    assert sorted(np.unique(before, return_counts=True)[1]) == [12] * 5
    for photo in range(0, 60, 7):
        changed = labels.copy()
        changed[photo] = (labels[photo] + 1) % 4
        after = _others(logits, changed)
        same = before == before[photo]
        assert (after[same] == before[photo]).all()
        assert (after[~same] != before[~same]).all()


def test_each_row_has_its_own_temperature() -> None:
    logits = np.array([[2.0, 0.0], [2.0, 0.0]])
    expected = [1 / (1 + math.exp(-2)), 1 / (1 + math.exp(-1))]
    assert softmax(logits, np.array([1.0, 2.0]))[:, 0] == pytest.approx(expected, rel=1e-12)
