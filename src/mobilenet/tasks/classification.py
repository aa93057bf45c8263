"""Classification: one class for each photo.

A label is the number of a class, its place in the model's `labels`. A network answers with one probability for each
class; what counts is top-1 and top-5 accuracy, the scores of each class, calibration and loss.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.errors import DataError, ModelError
from mobilenet.metrics import classification as metrics
from mobilenet.metrics.hierarchy import ancestor, depth

__all__ = ["NAME", "Answer", "Scores", "answers", "checked_probabilities", "label_numbers", "parents", "score"]

NAME = "classification"
"""The task's name in model files and in `Predictor.task`."""

_TOP5_NEEDS_CLASSES = 6
"""With five classes or fewer, the true class is always among five answers: top-5 would say nothing."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One class that a photo may show; `probability` 0…1."""

    label: str
    probability: float


@dataclass(frozen=True, slots=True)
class Scores:
    """What counts for classification; shares are 0…1, `loss` in nats, `confusion` (classes, classes) rows true.

    `top5` is None with five classes or fewer.
    """

    top1: float
    top1_interval: tuple[float, float]
    top5: float | None
    loss: float
    calibration: metrics.Calibration
    per_class: tuple[metrics.ClassScore, ...]
    confusion: NDArray[np.int64]


def answers(probabilities: NDArray[Any], labels: tuple[str, ...], top: int) -> list[list[Answer]]:
    """(N, classes) -> for each photo its `top` likeliest classes, best first (all of them where there are fewer)."""
    best = metrics.top_k(probabilities, top)
    return [
        [Answer(labels[number], float(row[number])) for number in numbers]
        for row, numbers in zip(probabilities, best, strict=True)
    ]


def parents(probabilities: NDArray[Any], labels: tuple[str, ...]) -> list[Answer]:
    """(classes,) -> the groups that hold the likeliest class and others, smallest first, with their whole probability.

    `Apple/Fuji` may be 55 % sure where `Apple` is 96 %. Nothing for flat classes, nor for one that has no siblings.
    """
    best = labels[int(metrics.top_k(probabilities[None], 1)[0, 0])]
    found = []
    for level in range(depth(labels) - 1, 0, -1):
        group = ancestor(best, level)
        members = [number for number, label in enumerate(labels) if ancestor(label, level) == group]
        if len(members) > 1:
            found.append(Answer(group, math.fsum(probabilities[members])))
    return found


def label_numbers(names: tuple[str, ...], labels: tuple[str, ...]) -> NDArray[np.int64]:
    """(classes of a data set) -> their numbers in `labels`, matched by name; DataError names the unknown ones."""
    number = {label: index for index, label in enumerate(labels)}
    unknown = [name for name in names if name not in number]
    if unknown:
        raise DataError(
            f"the model does not know {_listed(unknown)}; it knows {_listed(list(labels))}: "
            "rename the folders or use another model"
        )
    return np.array([number[name] for name in names], dtype=np.int64)


def checked_probabilities(outputs: dict[str, NDArray[Any]], photos: int, classes: int) -> NDArray[Any]:
    """The (photos, classes) array of a predictor's outputs; ModelError when it is absent, misshapen or not finite."""
    probabilities = outputs.get("probabilities")
    if probabilities is None:
        raise ModelError(f"the model answers with {sorted(outputs)}, not with probabilities: it is not a classifier")
    if probabilities.shape != (photos, classes):
        raise ModelError(f"the model answers with shape {probabilities.shape} where {(photos, classes)} was expected")
    if not np.isfinite(probabilities).all():
        raise ModelError("the model answers with NaN or infinity: its training has diverged; lower --learning-rate")
    return probabilities


def score(probabilities: NDArray[Any], labels: NDArray[Any]) -> Scores:
    """(N, classes) and (N,) numbers of the true classes -> everything that counts; N ≥ 1."""
    photos, classes = probabilities.shape
    predicted = metrics.top_k(probabilities, 1)[:, 0]
    correct = predicted == labels
    confusion = metrics.confusion_matrix(labels, predicted, classes)
    return Scores(
        top1=int(correct.sum()) / photos,
        top1_interval=metrics.wilson_interval(int(correct.sum()), photos),
        top5=metrics.top_k_accuracy(probabilities, labels, 5) if classes >= _TOP5_NEEDS_CLASSES else None,
        loss=metrics.negative_log_likelihood(probabilities, labels),
        calibration=metrics.calibration(probabilities[np.arange(photos), predicted], correct),
        per_class=metrics.class_scores(confusion),
        confusion=confusion,
    )


def _listed(names: list[str], most: int = 10) -> str:
    shown = ", ".join(repr(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
