"""The figures of attributes: average precision and F1 of each, calibration, and photos with every answer right.

Values that are not known count nowhere. An attribute that all known photos have, or none, is not in the means: whatever
a network answers, it would be perfect or worthless.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.errors import DataError
from mobilenet.metrics import multilabel
from mobilenet.metrics.classification import calibration
from mobilenet.tasks.task import Wrong

__all__ = ["DEFAULT_THRESHOLD", "THRESHOLDS", "agreement", "answered", "mean_f1", "mistakes", "score", "thresholds_of"]

THRESHOLDS = "thresholds"
"""The field of the vocabulary: probabilities, one per attribute, from which a photo has it."""

DEFAULT_THRESHOLD = 0.5

_SAME = 1e-5
"""Probabilities that differ by less are equal within the precision of an engine, on whichever side of a threshold."""

_CURVE_POINTS = 60


def thresholds_of(decoding: Mapping[str, Any], attributes: int) -> NDArray[np.float64]:
    """(attributes,) the thresholds in a vocabulary's fields; one half where it has none, as before training."""
    found = decoding.get(THRESHOLDS)
    return np.full(attributes, DEFAULT_THRESHOLD) if found is None else np.asarray(found, np.float64)


def answered(probabilities: NDArray[Any], decoding: Mapping[str, Any]) -> NDArray[np.bool_]:
    """(N, attributes) probabilities -> (N, attributes) whether each is at its threshold or above."""
    return np.asarray(probabilities >= thresholds_of(decoding, probabilities.shape[1]))


def score(
    probabilities: NDArray[Any], values: NDArray[np.int8], labels: tuple[str, ...], decoding: Mapping[str, Any]
) -> dict[str, Any]:
    """(N, attributes) probabilities and values (1, 0, -1 for unknown) -> all figures; N ≥ 1. DataError if no attribute
    has photos with it and photos without.

    Shares are 0…1, `loss` in nats per known value. `mean_ap`, `mean_f1` and `mean_balanced_accuracy` are means over the
    `measured` attributes; `chance_ap` is the mean AP of random scores. `exact` is the share of photos whose known
    attributes are all answered correctly, `constant_exact` that of always giving the most frequent answer.
    """
    known = values >= 0
    answers = answered(probabilities, decoding)
    rows = [
        _attribute(label, probabilities[:, place], values[:, place], answers[:, place])
        for place, label in enumerate(labels)
    ]
    limits = thresholds_of(decoding, len(labels)).tolist()
    rows = [{**row, "threshold": limit} for row, limit in zip(rows, limits, strict=True)]
    measured = [row for row in rows if row["ap"] is not None]
    if not measured:
        raise DataError(
            f"no attribute can be measured on {len(values):,} photos: each is the same on all where it is known; "
            "add photos with and without each attribute"
        )
    frequent = np.array([2 * row["with"] > row["known"] for row in rows])
    truth = values[known] == 1
    found = calibration(probabilities[known], truth)
    return {
        "mean_ap": _mean(measured, "ap"),
        "mean_f1": mean_f1(answers, values),
        "mean_balanced_accuracy": _mean(measured, "balanced_accuracy"),
        "chance_ap": sum(row["with"] / row["known"] for row in measured) / len(measured),
        "exact": _exact(answers, values),
        "constant_exact": _exact(np.broadcast_to(frequent, values.shape), values),
        "loss": multilabel.binary_cross_entropy(probabilities[known], truth),
        "ece": found.error,
        "ece_floor": found.floor,
        "measured": len(measured),
        "known_values": int(known.sum()),
        "unknown_values": int((~known).sum()),
        "labels": list(labels),
        "per_attribute": rows,
        "together": {"true": _together(values == 1), "answered": _together(answers & known)},
        "reliability": [asdict(row) for row in found.bins],
    }


def mean_f1(answers: NDArray[np.bool_], values: NDArray[np.int8]) -> float | None:
    """(N, attributes), (N, attributes) -> mean F1 of the attributes that have photos with and without; None if there
    are none."""
    scores = []
    for place in range(values.shape[1]):
        known = values[:, place] >= 0
        truth = values[known, place] == 1
        if truth.any() and not truth.all():
            scores.append(multilabel.outcome(answers[known, place], truth).f1 or 0.0)
    return sum(scores) / len(scores) if scores else None


def mistakes(
    probabilities: NDArray[Any], values: NDArray[np.int8], labels: tuple[str, ...], decoding: Mapping[str, Any]
) -> list[Wrong]:
    """(N, attributes) probabilities and values -> every wrong answer; `confidence` is the probability given to it."""
    answers = answered(probabilities, decoding)
    wrong = np.argwhere((values >= 0) & (answers != (values == 1)))
    return [
        Wrong(photo, f"not {label}", label, sure)
        if answers[photo, place]
        else Wrong(photo, label, f"not {label}", 1 - sure)
        for photo, place in wrong.tolist()
        for label, sure in [(labels[place], float(probabilities[photo, place]))]
    ]


def agreement(ours: NDArray[Any], theirs: NDArray[Any], decoding: Mapping[str, Any]) -> float:
    """(N, attributes) and (N, attributes) -> share of all answers that are the same, 0…1. Probabilities that are equal
    within the precision of an engine are the same answer."""
    same = answered(ours, decoding) == answered(theirs, decoding)
    return float((same | (np.abs(ours - theirs) <= _SAME)).mean())


def _attribute(
    label: str, probabilities: NDArray[Any], values: NDArray[np.int8], answers: NDArray[np.bool_]
) -> dict[str, Any]:
    known = values >= 0
    truth, scores = values[known] == 1, probabilities[known]
    found = multilabel.outcome(answers[known], truth)
    row: dict[str, Any] = {
        "label": label,
        "known": int(known.sum()),
        "with": int(truth.sum()),
        "ap": multilabel.average_precision(scores, truth),
        **{name: getattr(found, name) for name in ("f1", "precision", "recall", "balanced_accuracy")},
        **{name: getattr(found, name) for name in ("false_alarms", "misses")},
        "curve": None,
    }
    if row["ap"] is not None:
        curve = multilabel.pr_curve(scores, truth)
        shown = np.unique(np.linspace(0, len(curve.recall) - 1, _CURVE_POINTS).round().astype(int))
        row["curve"] = {
            "recall": curve.recall[shown].round(4).tolist(),
            "precision": curve.precision[shown].round(4).tolist(),
        }
    return row


def _exact(answers: NDArray[np.bool_], values: NDArray[np.int8]) -> float | None:
    """Share of the photos with known attributes on which all those are answered correctly; None without such photos."""
    known = values >= 0
    right = (~known | (answers == (values == 1))).all(1)
    asked = known.any(1)
    return float(right[asked].mean()) if asked.any() else None


def _together(present: NDArray[np.bool_]) -> list[list[int]]:
    """(N, attributes) -> [first, second, photos that have both], for each pair that occurs, the diagonal included."""
    counts = present.astype(np.float32).T @ present.astype(np.float32)
    return [[int(one), int(other), int(counts[one, other])] for one, other in np.argwhere(counts)]


def _mean(rows: list[dict[str, Any]], name: str) -> float:
    return float(sum(row[name] for row in rows) / len(rows))
