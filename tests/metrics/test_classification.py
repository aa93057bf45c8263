"""Hand-calculated figures, and properties that hold for any photos."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mobilenet.metrics.classification import (
    calibration,
    class_scores,
    confusion_matrix,
    loss_range,
    negative_log_likelihood,
    top_k,
    top_k_accuracy,
    wilson_interval,
)

PROBABILITIES = np.array([[0.7, 0.2, 0.1], [0.5, 0.1, 0.4], [0.25, 0.5, 0.25], [0.2, 0.2, 0.6]])
LABELS = np.array([0, 2, 1, 0])


def test_top_k_accuracy_by_hand() -> None:
    assert top_k_accuracy(PROBABILITIES, LABELS, 1) == 2 / 4
    assert top_k_accuracy(PROBABILITIES, LABELS, 2) == 4 / 4
    assert top_k_accuracy(PROBABILITIES, LABELS, 9) == 1.0


def test_equal_probabilities_go_to_the_lower_class_number() -> None:
    assert top_k(np.array([[0.25, 0.25, 0.25, 0.25], [0.1, 0.4, 0.4, 0.1]]), 3).tolist() == [[0, 1, 2], [1, 2, 0]]
    # numpy's other sorts keep the order of short rows alone
    thousand = np.repeat([[0.0005, 0.0015]], 500, axis=0).T.reshape(1, -1)
    assert top_k(thousand, 1000)[0].tolist() == [*range(500, 1000), *range(500)]


def test_confusion_has_the_true_class_in_rows() -> None:
    predicted = np.array([0, 0, 1, 2])
    assert confusion_matrix(LABELS, predicted, 3).tolist() == [[1, 0, 1], [0, 1, 0], [1, 0, 0]]


def test_class_scores_by_hand() -> None:
    scores = class_scores(np.array([[3, 1, 0], [2, 2, 0], [0, 0, 0]]))
    assert [score.photos for score in scores] == [4, 4, 0]
    assert [score.precision for score in scores] == [3 / 5, 2 / 3, None]
    assert [score.recall for score in scores] == [3 / 4, 2 / 4, None]


def test_negative_log_likelihood_by_hand() -> None:
    by_hand = -(math.log(0.7) + math.log(0.4) + math.log(0.5) + math.log(0.2)) / 4
    assert negative_log_likelihood(PROBABILITIES, LABELS) == pytest.approx(by_hand, rel=1e-12)


def test_one_probability_of_zero_costs_87_nats_not_infinity() -> None:
    assert negative_log_likelihood(np.array([[1.0, 0.0]]), np.array([1])) == pytest.approx(87.3365, abs=1e-4)


def test_calibration_by_hand() -> None:
    """Two bins: 0.4 wrong | 0.6 right, 0.8 wrong, 1.0 right -> 1/4 × 0.4 + 3/4 × |2/3 - 0.8| = 0.2."""
    result = calibration(np.array([0.4, 0.6, 0.8, 1.0]), np.array([False, True, False, True]), bins=2)
    assert result.error == pytest.approx(0.2, rel=1e-12)
    assert [row.photos for row in result.bins] == [1, 3]
    assert result.bins[1].accuracy == pytest.approx(2 / 3)
    assert result.bins[1].confidence == pytest.approx(0.8)


def test_the_floor_of_the_calibration_error_by_hand() -> None:
    """One photo of confidence 0.8 is off by 0.2 in four cases of five and by 0.8 in one: 0.32 on average. Two of 0.5
    are off by 1, 0, 0 or 1 photo: 0.5."""
    assert calibration(np.array([0.8]), np.array([True])).floor == pytest.approx(0.32, rel=1e-12)
    assert calibration(np.array([0.5, 0.5]), np.array([True, True])).floor == pytest.approx(0.25, rel=1e-12)
    both = calibration(np.array([0.8, 0.5, 0.5]), np.array([True, False, True]))
    assert both.floor == pytest.approx((0.32 + 0.5) / 3, rel=1e-12)
    assert calibration(np.array([0.0, 1.0, 1.0]), np.array([True, False, True])).floor == 0


@settings(max_examples=60)
@given(st.integers(1, 60), st.floats(0.001, 0.999))
def test_the_floor_is_the_sum_over_all_outcomes(photos: int, confidence: float) -> None:
    chances = [math.comb(photos, k) * confidence**k * (1 - confidence) ** (photos - k) for k in range(photos + 1)]
    by_hand = math.fsum(chance * abs(k - photos * confidence) for k, chance in enumerate(chances)) / photos
    found = calibration(np.full(photos, confidence), np.ones(photos, bool)).floor
    assert found == pytest.approx(by_hand, rel=1e-9, abs=1e-12)


def test_true_confidences_have_an_error_of_the_floor() -> None:
    random = np.random.default_rng(0)
    sure = random.uniform(0.3, 1, 200)
    drawn = [calibration(sure, random.random(200) < sure) for _ in range(300)]
    # The standard error of the mean of 300 is about 0.001.
    assert np.mean([result.error for result in drawn]) == pytest.approx(drawn[0].floor, abs=0.004)


def test_an_empty_bin_has_no_mean() -> None:
    empty = calibration(np.array([1.0]), np.array([True]), bins=4).bins[0]
    assert (empty.photos, empty.confidence, empty.accuracy) == (0, None, None)


def test_a_bin_contains_its_upper_edge_and_the_ends_belong_to_the_outer_bins() -> None:
    result = calibration(np.array([0.0, 0.5, 1.0]), np.array([False, True, True]), bins=2)
    assert [row.photos for row in result.bins] == [2, 1]


def test_wilson_interval_agrees_with_published_figures() -> None:
    """Newcombe 1998, table I: 81/263 -> 0.2553 to 0.3662; 15/148 -> 0.0624 to 0.1605; 0/20 -> 0 to 0.1611."""
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)


def test_without_photos_nothing_is_invented() -> None:
    nothing, no_labels = np.zeros((0, 3)), np.zeros(0, int)
    for measure in (
        lambda: top_k_accuracy(nothing, no_labels, 1),
        lambda: negative_log_likelihood(nothing, no_labels),
        lambda: calibration(np.zeros(0), np.zeros(0)),
        lambda: wilson_interval(0, 0),
    ):
        with pytest.raises(ValueError, match="no photos"):
            measure()


@st.composite
def _answered(draw: st.DrawFn) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    photos, classes = draw(st.integers(1, 40)), draw(st.integers(2, 8))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    # quarters: ties are frequent
    weights = random.integers(0, 4, (photos, classes)) + 1e-3
    probabilities = weights / weights.sum(axis=1, keepdims=True)
    return probabilities, random.integers(0, classes, photos), random.permutation(photos)


@settings(max_examples=60, deadline=None)
@given(_answered())
def test_the_order_of_the_photos_does_not_matter(
    answered: tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]],
) -> None:
    probabilities, labels, order = answered
    best, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    assert top_k_accuracy(probabilities, labels, 2) == top_k_accuracy(probabilities[order], labels[order], 2)
    assert negative_log_likelihood(probabilities, labels) == negative_log_likelihood(
        probabilities[order], labels[order]
    )
    # sums within a bin round differently in another order
    assert calibration(best, correct).error == pytest.approx(calibration(best[order], correct[order]).error, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(_answered())
def test_relations_between_the_figures(
    answered: tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]],
) -> None:
    probabilities, labels, _ = answered
    classes = probabilities.shape[1]
    confusion = confusion_matrix(labels, top_k(probabilities, 1)[:, 0], classes)
    scores = class_scores(confusion)
    accuracies = [top_k_accuracy(probabilities, labels, k) for k in range(1, classes + 1)]
    assert confusion.sum() == sum(score.photos for score in scores) == len(labels)
    assert accuracies == sorted(accuracies)
    assert accuracies[-1] == 1.0
    assert accuracies[0] == np.trace(confusion) / len(labels)
    weighted = sum((score.recall or 0.0) * score.photos for score in scores) / len(labels)
    assert weighted == pytest.approx(accuracies[0])


@given(st.integers(1, 20), st.integers(1, 20))
def test_a_calibrated_stream_has_no_calibration_error(right: int, wrong: int) -> None:
    """Answers that are all c sure, of which exactly the share c is right."""
    photos = right + wrong
    correct = np.arange(photos) < right
    assert calibration(np.full(photos, right / photos), correct).error == pytest.approx(0.0, abs=1e-12)


@given(st.integers(0, 500), st.integers(1, 500))
def test_the_interval_contains_the_accuracy(right: int, photos: int) -> None:
    share = min(right, photos) / photos
    lower, upper = wilson_interval(min(right, photos), photos)
    assert 0 <= lower <= share + 1e-12
    assert share - 1e-12 <= upper <= 1


def test_loss_range_by_hand() -> None:
    """Ten equal classes: ln 10. Nine to one: 0.9 ln(10/9) + 0.1 ln 10. Smoothed by 0.1, two classes in 95 to 5."""
    assert loss_range(np.full(10, 7), 0.0) == pytest.approx((math.log(10), 0.0), abs=1e-12)
    assert loss_range(np.array([9, 1, 0]), 0.0)[0] == pytest.approx(0.325083, abs=1e-6)
    chance, perfect = loss_range(np.array([95, 5]), 0.1)
    assert chance == pytest.approx(-0.905 * math.log(0.905) - 0.095 * math.log(0.095))
    assert perfect == pytest.approx(-0.95 * math.log(0.95) - 0.05 * math.log(0.05))


@given(st.lists(st.integers(1, 50), min_size=2, max_size=6), st.floats(0, 0.9), st.integers(0, 2**32 - 1))
def test_no_constant_answer_is_better_than_chance(counts: list[int], smoothing: float, seed: int) -> None:
    """Cross-entropy as training computes it, of the same logits for every photo."""
    from torch import from_numpy
    from torch.nn.functional import cross_entropy

    labels = from_numpy(np.repeat(np.arange(len(counts)), counts))
    chance, perfect = loss_range(np.array(counts), smoothing)
    mean = (1 - smoothing) * np.array(counts) / sum(counts) + smoothing / len(counts)
    best = from_numpy(np.log(mean))
    noise = from_numpy(np.random.default_rng(seed).normal(size=len(counts)))
    losses = [
        float(cross_entropy(logits.expand(len(labels), -1), labels, label_smoothing=smoothing))
        for logits in (best, best + noise)
    ]
    assert losses[0] == pytest.approx(chance, abs=1e-9)
    assert losses[1] >= chance - 1e-9
    assert perfect <= chance + 1e-9
