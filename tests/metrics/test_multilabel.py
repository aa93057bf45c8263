"""Scores of yes-or-no labels: equal to scikit-learn's, and to what can be counted by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as sklearn

from mobilenet.metrics.multilabel import (
    average_precision,
    best_threshold,
    binary_cross_entropy,
    outcome,
    pr_curve,
)

Case = tuple[NDArray[np.float64], NDArray[np.bool_]]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Scores with ties, and labels of which at least one is a yes and one a no."""
    count = draw(st.integers(2, 40))
    scores = draw(st.lists(st.integers(0, 12), min_size=count, max_size=count))
    truth = draw(st.lists(st.booleans(), min_size=count - 2, max_size=count - 2))
    return np.array(scores) / 12, np.array([True, False, *truth])


@given(cases())
def test_average_precision_is_scikit_learns(case: Case) -> None:
    scores, truth = case
    assert average_precision(scores, truth) == pytest.approx(sklearn.average_precision_score(truth, scores), abs=1e-12)


@given(cases())
def test_the_curve_is_scikit_learns(case: Case) -> None:
    scores, truth = case
    precision, recall, thresholds = sklearn.precision_recall_curve(truth, scores, drop_intermediate=False)
    ours = pr_curve(scores, truth)
    assert ours.thresholds[::-1] == pytest.approx(thresholds)
    assert ours.precision[::-1] == pytest.approx(precision[:-1])
    assert ours.recall[::-1] == pytest.approx(recall[:-1])


@given(cases())
def test_no_threshold_has_a_higher_f1(case: Case) -> None:
    scores, truth = case
    found = outcome(scores >= best_threshold(scores, truth), truth).f1
    others = [sklearn.f1_score(truth, scores >= limit) for limit in (*np.unique(scores), 2.0)]
    assert found == pytest.approx(max(others))


@given(cases())
def test_counts_give_scikit_learns_scores(case: Case) -> None:
    scores, truth = case
    answers = scores >= 0.5
    found = outcome(answers, truth)
    assert found.hits + found.false_alarms + found.misses + found.rejections == len(truth)
    assert found.f1 == pytest.approx(sklearn.f1_score(truth, answers))
    assert (found.precision or 0) == pytest.approx(sklearn.precision_score(truth, answers, zero_division=0))
    assert found.recall == pytest.approx(sklearn.recall_score(truth, answers))
    assert found.balanced_accuracy == pytest.approx(sklearn.balanced_accuracy_score(truth, answers))


def test_average_precision_by_hand() -> None:
    scores, truth = np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, False, True, False])
    assert average_precision(scores, truth) == pytest.approx((1 + 2 / 3) / 2)


@pytest.mark.parametrize("truth", [[True, True], [False, False]])
def test_labels_that_are_always_the_same_have_no_score(truth: list[bool]) -> None:
    assert average_precision(np.array([0.1, 0.9]), np.array(truth)) is None
    assert outcome(np.array([True, True]), np.array(truth)).balanced_accuracy is None


def test_a_threshold_lies_between_two_scores() -> None:
    assert best_threshold(np.array([0.9, 0.6, 0.2, 0.1]), np.array([True, True, False, False])) == pytest.approx(0.4)


def test_the_loss_is_the_mean_cross_entropy() -> None:
    found = binary_cross_entropy(np.array([0.9, 0.2, 0.0]), np.array([True, False, True]))
    smallest = float(np.finfo(np.float32).tiny)
    assert found == pytest.approx(-(math.log(0.9) + math.log(0.8) + math.log(smallest)) / 3)
    with pytest.raises(ValueError, match="no known values"):
        binary_cross_entropy(np.array([]), np.array([], np.bool_))


def test_recall_without_a_yes_is_refused() -> None:
    with pytest.raises(ValueError, match="no photo has the label"):
        pr_curve(np.array([0.5]), np.array([False]))
