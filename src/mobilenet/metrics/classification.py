"""Metrics of a classifier's probabilities: accuracy, confusion matrix, calibration, loss.

Common arguments: `probabilities` (N, classes) float, from 0 to 1; `labels` (N,) integers, the true classes.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Calibration",
    "CalibrationBin",
    "ClassScore",
    "calibration",
    "class_scores",
    "confusion_matrix",
    "loss_range",
    "negative_log_likelihood",
    "top_k",
    "top_k_accuracy",
    "wilson_interval",
]

_SMALLEST = float(np.finfo(np.float32).tiny)
"""A probability of 0 counts as the smallest float32, so that one photo costs at most 87.3 nats instead of infinity."""

_Z_95 = 1.959963984540054
"""95 % of a normal distribution lies within this many standard deviations."""


@dataclass(frozen=True, slots=True)
class ClassScore:
    """The scores of one class: `photos` is how many are labelled with it; None for a ratio without a denominator."""

    photos: int
    precision: float | None
    recall: float | None


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """The predictions whose confidence is in (lower, upper]; the two means are None if there are none."""

    lower: float
    upper: float
    photos: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True, slots=True)
class Calibration:
    """`error` is the expected calibration error (0…1): mean |accuracy - confidence| over bins, weighted by photos.

    `floor` is the error that true confidences would have on average, on as many photos: it falls with their number, and
    an error of that size shows no miscalibration.
    """

    error: float
    floor: float
    bins: tuple[CalibrationBin, ...]


def top_k(probabilities: NDArray[Any], k: int) -> NDArray[np.int64]:
    """(N, classes) -> (N, min(k, classes)): the likeliest classes, best first; ties go to the lower index."""
    order = np.argsort(-np.asarray(probabilities), axis=1, kind="stable")
    return order[:, :k].astype(np.int64)


def top_k_accuracy(probabilities: NDArray[Any], labels: NDArray[Any], k: int) -> float:
    """(N, classes), (N,) -> share (0…1) of photos whose true class is among the `k` likeliest; ValueError if N is 0."""
    _require_photos(len(labels))
    hits = (top_k(probabilities, k) == np.asarray(labels)[:, None]).any(axis=1)
    return int(hits.sum()) / len(labels)


def confusion_matrix(labels: NDArray[Any], predicted: NDArray[Any], classes: int) -> NDArray[np.int64]:
    """(N,) and (N,) -> (classes, classes) counts: row = true class, column = predicted class."""
    cells = np.asarray(labels, np.int64) * classes + np.asarray(predicted, np.int64)
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes).astype(np.int64)


def class_scores(confusion: NDArray[Any]) -> tuple[ClassScore, ...]:
    """(classes, classes) counts -> the scores of each class, in order.

    Precision: correct / predictions of this class. Recall: correct / photos of this class.
    """
    return tuple(
        ClassScore(int(photos), _ratio(right, answers), _ratio(right, photos))
        for right, answers, photos in zip(
            np.diagonal(confusion), confusion.sum(axis=0), confusion.sum(axis=1), strict=True
        )
    )


def calibration(confidence: NDArray[Any], correct: NDArray[Any], bins: int = 15) -> Calibration:
    """Are predictions of 90 % confidence right in 90 % of cases? Guo et al. 2017 (arXiv 1706.04599), equal-width bins.

    `confidence` (N,) 0…1 of the prediction; `correct` (N,) whether it was. ValueError if N is 0.
    """
    _require_photos(len(confidence))
    sure, right = np.asarray(confidence, np.float64), np.asarray(correct, np.float64)
    edges = np.arange(bins + 1) / bins
    number = np.clip(np.searchsorted(edges, sure, side="left") - 1, 0, bins - 1)
    photos = np.bincount(number, minlength=bins)
    sums = np.bincount(number, sure, bins), np.bincount(number, right, bins)
    error = math.fsum(abs(sums[1] - sums[0])) / len(sure)
    deviations = [_mean_deviation(int(n), c / n) for n, c in zip(photos, sums[0], strict=True) if n]
    rows = zip(edges[:-1], edges[1:], photos, *sums, strict=True)
    return Calibration(
        error,
        math.fsum(deviations) / len(sure),
        tuple(CalibrationBin(float(a), float(b), int(n), _ratio(c, n), _ratio(r, n)) for a, b, n, c, r in rows),
    )


def _mean_deviation(trials: int, chance: float) -> float:
    """The mean of |successes - trials × chance| over the binomial distribution, in closed form (De Moivre 1730)."""
    mode = math.floor(trials * chance) + 1
    if not 0 < chance < 1 or mode > trials:
        return 0.0
    ways = math.lgamma(trials + 1) - math.lgamma(mode + 1) - math.lgamma(trials - mode + 1)
    logarithm = ways + mode * math.log(chance) + (trials - mode + 1) * math.log1p(-chance)
    return 2 * mode * math.exp(logarithm)


def loss_range(class_counts: NDArray[Any], smoothing: float) -> tuple[float, float]:
    """The mean cross-entropy, in nats, of the best constant prediction (chance) and of perfect ones, for photos whose
    classes occur `class_counts` (classes,) times; `smoothing` in [0, 1) is the label smoothing.

    Smoothed targets are (1 - smoothing) of the class plus smoothing / classes of each: chance is the entropy of their
    mean, perfect predictions cost the entropy of one.
    """
    classes = len(class_counts)
    frequencies = class_counts / class_counts.sum()
    single = np.eye(1, classes)[0]
    chance, perfect = (_entropy((1 - smoothing) * p + smoothing / classes) for p in (frequencies, single))
    return chance, perfect


def _entropy(probabilities: NDArray[Any]) -> float:
    present = probabilities[probabilities > 0]
    return float(-(present * np.log(present)).sum())


def negative_log_likelihood(probabilities: NDArray[Any], labels: NDArray[Any]) -> float:
    """(N, classes), (N,) -> mean of -ln(probability of the true class), in nats, ≥ 0; ValueError if N is 0."""
    _require_photos(len(labels))
    true = np.asarray(probabilities, np.float64)[np.arange(len(labels)), labels]
    # With fsum the mean does not depend on the order of the photos.
    return max(0.0, math.fsum(-np.log(np.maximum(true, _SMALLEST))) / len(labels))


def wilson_interval(right: int, photos: int) -> tuple[float, float]:
    """95 % interval (0…1) of an accuracy of `right` out of `photos` (Wilson 1927); ValueError if `photos` is 0."""
    _require_photos(photos)
    share, spread = right / photos, _Z_95**2 / photos
    centre = (share + spread / 2) / (1 + spread)
    half = _Z_95 / (1 + spread) * math.sqrt(share * (1 - share) / photos + spread / (4 * photos))
    return max(0.0, centre - half), min(1.0, centre + half)


def _ratio(part: float, whole: float) -> float | None:
    return float(part) / float(whole) if whole else None


def _require_photos(photos: int) -> None:
    if photos < 1:
        raise ValueError("no photos: the accuracy is undefined")
