"""Metrics of labels of which a photo may have several: each is a question of its own, answered by a score.

Common arguments: `scores` (N,) float, larger where the label is likelier; `truth` (N,) bool, whether the photo has it.
Photos of which this is not known must not be among them.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Curve", "Outcome", "average_precision", "best_threshold", "binary_cross_entropy", "outcome", "pr_curve"]

_SMALLEST = float(np.finfo(np.float32).tiny)
"""A probability of 0 counts as the smallest float32, as in `metrics.classification`."""


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Precision and recall (M,) of answering yes from each of the M different scores upwards, highest score first."""

    thresholds: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Counts of answers: right yes, wrong yes, wrong no, right no."""

    hits: int
    false_alarms: int
    misses: int
    rejections: int

    @property
    def precision(self) -> float | None:
        """None if no answer is yes."""
        return _ratio(self.hits, self.hits + self.false_alarms)

    @property
    def recall(self) -> float | None:
        """None if no photo has the label."""
        return _ratio(self.hits, self.hits + self.misses)

    @property
    def f1(self) -> float | None:
        """The harmonic mean of precision and recall; None if no photo has the label and no answer is yes."""
        return _ratio(2 * self.hits, 2 * self.hits + self.false_alarms + self.misses)

    @property
    def balanced_accuracy(self) -> float | None:
        """Mean of the shares of right answers among photos with the label and among those without: 0.5 for an answer
        that is always the same. None if either kind is missing."""
        with_it, without = self.recall, _ratio(self.rejections, self.rejections + self.false_alarms)
        return None if with_it is None or without is None else (with_it + without) / 2


def pr_curve(scores: NDArray[Any], truth: NDArray[np.bool_]) -> Curve:
    """(N,), (N,) -> the precision-recall curve; equal scores are one point. ValueError if no photo has the label."""
    if not truth.any():
        raise ValueError("no photo has the label: recall is undefined")
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    ordered = np.asarray(scores, np.float64)[order]
    last = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
    hits = np.cumsum(truth[order])[last]
    return Curve(ordered[last], hits / (last + 1), hits / hits[-1])


def average_precision(scores: NDArray[Any], truth: NDArray[np.bool_]) -> float | None:
    """(N,), (N,) -> Σ (recall - recall of the point before) · precision over the points of the curve, 0…1, as in
    scikit-learn; its mean for random scores is the share of photos with the label.

    None unless there are photos with the label and photos without: for any scores it would be 0 or 1.
    """
    if truth.all() or not truth.any():
        return None
    curve = pr_curve(scores, truth)
    return float(np.diff(curve.recall, prepend=0.0) @ curve.precision)


def best_threshold(scores: NDArray[Any], truth: NDArray[np.bool_]) -> float:
    """(N,), (N,) -> the score from which yes should be answered for the highest F1; the highest of equally good ones.

    It lies midway between the lowest score that becomes a yes and the next one below, so that rounding changes no
    answer. ValueError if no photo has the label.
    """
    curve = pr_curve(scores, truth)
    both = curve.precision + curve.recall
    f1 = 2 * curve.precision * curve.recall / np.where(both > 0, both, 1)
    best = int(np.argmax(f1))
    below = curve.thresholds[best + 1] if best + 1 < len(f1) else 0.0
    return float((curve.thresholds[best] + below) / 2)


def outcome(answers: NDArray[np.bool_], truth: NDArray[np.bool_]) -> Outcome:
    """(N,) answers, (N,) truth -> the counts of each combination."""
    hits, yes, true = int((answers & truth).sum()), int(answers.sum()), int(truth.sum())
    return Outcome(hits, yes - hits, true - hits, len(truth) - yes - true + hits)


def binary_cross_entropy(probabilities: NDArray[Any], truth: NDArray[np.bool_]) -> float:
    """(N,), (N,) -> mean of -ln(probability of the true answer), in nats, ≥ 0; ValueError if N is 0."""
    if not len(truth):
        raise ValueError("no known values: the loss is undefined")
    sure = np.asarray(probabilities, np.float64)
    right = np.where(truth, sure, 1 - sure)
    # With fsum the mean does not depend on the order of the photos.
    return max(0.0, math.fsum(-np.log(np.maximum(right, _SMALLEST))) / len(truth))


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
