"""The figures of classification: top-1 and top-5 accuracy, the scores of each class, calibration and loss."""

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.metrics import classification as metrics
from mobilenet.metrics import hierarchy
from mobilenet.tasks.classification.confusion import columns
from mobilenet.tasks.task import Wrong

__all__ = ["agreement", "mistakes", "score"]

_TOP5_NEEDS_CLASSES = 6
"""With five classes or fewer, the true class is always in the top five: top-5 accuracy would be meaningless."""


def score(probabilities: NDArray[Any], numbers: NDArray[np.int64], labels: tuple[str, ...]) -> dict[str, Any]:
    """(N, classes) probabilities and (N,) indices of the true classes -> all figures; N ≥ 1.

    Shares are 0…1, `loss` in nats; `top1_interval` is the Wilson 95 % interval of `top1`; `top5` is None with five
    classes or fewer; `confusion` counts photos by true and predicted class (`columns`); `levels` and `families` are for
    nested classes (`metrics.hierarchy`), and empty for flat ones.
    """
    photos, classes = probabilities.shape
    predicted = metrics.top_k(probabilities, 1)[:, 0]
    correct = predicted == numbers
    confusion = metrics.confusion_matrix(numbers, predicted, classes)
    calibration = metrics.calibration(probabilities[np.arange(photos), predicted], correct)
    right = int(correct.sum())
    return {
        "top1": right / photos,
        "top1_interval": list(metrics.wilson_interval(right, photos)),
        "top5": metrics.top_k_accuracy(probabilities, numbers, 5) if classes >= _TOP5_NEEDS_CLASSES else None,
        "loss": metrics.negative_log_likelihood(probabilities, numbers),
        "ece": calibration.error,
        "ece_floor": calibration.floor,
        "labels": list(labels),
        "per_class": [
            {"label": label, **asdict(row)} for label, row in zip(labels, metrics.class_scores(confusion), strict=True)
        ],
        "confusion": columns(confusion),
        "levels": [_listed(asdict(level)) for level in hierarchy.levels(labels, confusion)],
        "families": [_family(family) for family in hierarchy.families(labels, confusion)],
        "reliability": [asdict(row) for row in calibration.bins],
    }


def mistakes(probabilities: NDArray[Any], numbers: NDArray[np.int64], labels: tuple[str, ...]) -> list[Wrong]:
    """(N, classes) probabilities and (N,) true classes -> the photos whose likeliest class is wrong; `confidence` is
    its probability."""
    predicted = probabilities.argmax(axis=1)
    return [
        Wrong(photo, labels[numbers[photo]], labels[predicted[photo]], float(probabilities[photo, predicted[photo]]))
        for photo in np.flatnonzero(predicted != numbers).tolist()
    ]


def agreement(ours: NDArray[Any], theirs: NDArray[Any]) -> float:
    """(N, classes) and (N, classes) -> top-1 agreement: share of photos with the same likeliest class, 0…1."""
    return int((ours.argmax(1) == theirs.argmax(1)).sum()) / len(ours)


def _family(family: hierarchy.Family) -> dict[str, Any]:
    # Not through asdict, which copies the matrix cell by cell.
    return {
        "label": family.label,
        "children": list(family.children),
        "photos": family.photos,
        "inside": family.inside,
        "outside": family.outside,
        "confusion": columns(family.confusion),
    }


def _listed(value: Any) -> Any:
    """As it would be read back from JSON: lists in place of tuples."""
    if isinstance(value, dict):
        return {key: _listed(part) for key, part in value.items()}
    return [_listed(part) for part in value] if isinstance(value, tuple | list) else value
