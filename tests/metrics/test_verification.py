"""Verification by hand, and by the definition of each rate."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mobilenet.metrics.verification import best_accuracy, draw_pairs, fewest_pairs, threshold_for, true_accept_rate


def test_a_threshold_by_hand() -> None:
    """Of ten pairs, one may be accepted at a rate of 0.1: the threshold is halfway between the two largest."""
    different = np.arange(10) / 10
    found = threshold_for(different, 0.1)
    assert found is not None
    assert found == pytest.approx(0.85)
    assert true_accept_rate(np.array([0.7, 0.8, 0.86, 0.95]), found) == 0.5
    assert threshold_for(different, 0.05) is None
    assert threshold_for(different[:0], 0.5) is None
    assert true_accept_rate(different[:0], 0.5) == 0
    assert [fewest_pairs(rate) for rate in (0.1, 0.01, 0.003)] == [10, 100, 334]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=60), st.floats(0.01, 0.9))
def test_a_threshold_accepts_as_many_as_the_rate_allows(values: list[float], rate: float) -> None:
    different = np.array(values, np.float32)
    found = threshold_for(different, rate)
    if found is None:
        assert len(values) < 1 / rate
        return
    assert (different >= np.float32(found)).mean() <= rate
    rejected = different[different < np.float32(found)]
    assert (different >= rejected.max()).mean() > rate


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=0, max_size=30), st.integers(1, 500))
def test_pairs_are_those_of_one_class_and_of_two(labels: list[int], most: int) -> None:
    numbers = np.array(labels, np.int64)
    same, different = draw_pairs(numbers, most)
    every = [(low, high) for high in range(len(labels)) for low in range(high)]
    for pairs, wanted in ((same, True), (different, False)):
        drawn = [tuple(sorted(pair)) for pair in pairs.tolist()]
        possible = {pair for pair in every if (labels[pair[0]] == labels[pair[1]]) is wanted}
        assert len(set(drawn)) == len(drawn)
        assert set(drawn) <= possible
        if pairs is same or len(labels) ** 2 <= 8 * most:
            assert len(drawn) == min(most, len(possible))


def test_many_photos_have_a_sample_of_pairs() -> None:
    labels = np.repeat(np.arange(10), 20_000)
    same, different = draw_pairs(labels, 1000)
    assert len(same) == len(different) == 1000
    assert (labels[same[:, 0]] == labels[same[:, 1]]).all()
    assert (same[:, 0] != same[:, 1]).all()
    assert (labels[different[:, 0]] != labels[different[:, 1]]).all()
    assert len(np.unique(labels[same[:, 0]])) == 10


def test_accuracy_is_judged_at_thresholds_of_other_pairs() -> None:
    apart = best_accuracy(np.linspace(0.6, 1, 50), np.linspace(-1, 0.4, 50))
    assert apart == 1
    random = np.random.default_rng(0)
    chance = best_accuracy(random.normal(size=400), random.normal(size=400))
    # At its own best threshold it would be above a half in every draw.
    assert chance == pytest.approx(0.5, abs=0.05)
    assert best_accuracy(np.ones(9), np.zeros(50)) is None
