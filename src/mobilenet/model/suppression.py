"""Non-maximum suppression: of boxes of one class around the same thing, all but the best go.

A detector predicts a box from each of P prior boxes, as a code: differences from the prior (Liu et al. 2016, section
2.2). `suppress` decodes and suppresses in NumPy, and is what files that do so themselves are compared with. The outputs
of such a file are `suppressed_outputs`, in place of the network's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mobilenet.metrics.detection import iou
from mobilenet.model.outputs import Output, Outputs

__all__ = [
    "BOXES",
    "CLASSES",
    "COUNT",
    "LARGEST",
    "SCORES",
    "Suppression",
    "corners",
    "decoded",
    "suppress",
    "suppressed_outputs",
]

BOXES, CLASSES, SCORES, COUNT = "detection_boxes", "detection_classes", "detection_scores", "num_detections"
"""Names of the outputs after suppression, those of TensorFlow's detectors."""

LARGEST = 4.0
"""The largest logarithm of a side in sides of its prior: no box is larger than the photo."""

_AT_ONCE = 400
"""Boxes that are compared with one another: after the best hundreds there are usually enough."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Suppression:
    """How outputs of a network become boxes: `boxes` and `scores` are their names, (P, 4) codes and (P, C) scores.

    `priors` (P, 4): centre from the top and from the left, height and width, as shares of the photo; `scales`: what the
    numbers of a code are divided by. A box goes if its score is below `least_score`, or if it overlaps one of its class
    with a higher score by more than `overlap` (intersection over union); of the others, the best `most` stay.
    """

    boxes: str
    scores: str
    priors: Floats
    scales: tuple[float, float, float, float]
    overlap: float
    least_score: float
    most: int

    def __post_init__(self) -> None:
        """ValueError for a number that no file could carry."""
        if not (0 < self.overlap <= 1 and 0 <= self.least_score < 1 and self.most >= 1 and min(self.scales) > 0):
            raise ValueError(f"suppression {self.overlap, self.least_score, self.most, self.scales} is out of range")

    @property
    def outputs(self) -> tuple[Output, ...]:
        """What a file with it returns."""
        return suppressed_outputs(self.most)


def suppressed_outputs(most: int) -> tuple[Output, ...]:
    """In the order of TFLite's operator: boxes (most, 4), top, left, bottom, right as shares of the photo, which may
    reach beyond it; classes (most,), whole numbers from 0; scores (most,), best first; the number of boxes (). The rest
    are 0."""
    return (
        Output(BOXES, (), (most, 4)),
        Output(CLASSES, (), (most,)),
        Output(SCORES, (), (most,)),
        Output(COUNT, (), ()),
    )


def suppress(outputs: Outputs, how: Suppression) -> dict[str, Floats]:
    """A network's outputs (N, P, 4) and (N, P, C), after their endings -> `suppressed_outputs` (N, *shape) by name."""
    photos = len(outputs[how.scores])
    made = {output.name: np.zeros((photos, *output.shape), np.float32) for output in how.outputs}
    for photo, (codes, scores) in enumerate(zip(outputs[how.boxes], outputs[how.scores], strict=True)):
        boxes, labels, values = _best(codes, scores, how)
        count = len(values)
        made[BOXES][photo, :count], made[CLASSES][photo, :count] = boxes, labels
        made[SCORES][photo, :count], made[COUNT][photo] = values, count
    return made


def corners(boxes: Floats) -> Floats:
    """(…, 4) centre from the top, centre from the left, height, width -> top, left, bottom, right."""
    half = boxes[..., 2:] / 2
    return np.concatenate([boxes[..., :2] - half, boxes[..., :2] + half], -1)


def decoded(codes: Floats, priors: Floats, scales: Sequence[float]) -> Floats:
    """(…, 4) codes of (…, 4) priors -> top, left, bottom, right, which may reach beyond the photo."""
    parts = codes / np.asarray(scales, np.float32)
    centres = parts[..., :2] * priors[..., 2:] + priors[..., :2]
    sides = np.exp(np.minimum(parts[..., 2:], LARGEST)) * priors[..., 2:]
    return corners(np.concatenate([centres, sides], -1))


def _best(codes: Floats, scores: Floats, how: Suppression) -> tuple[Floats, NDArray[np.int64], Floats]:
    """Boxes (K, 4), labels (K,) and scores (K,) of one photo, best first."""
    at, labels = np.nonzero(scores >= how.least_score)
    values = scores[at, labels]
    order = np.argsort(-values, kind="stable")
    at, labels, values = at[order], labels[order], values[order]
    boxes = decoded(codes, how.priors, how.scales)[at]
    kept = _unsuppressed(boxes, labels, how)
    return boxes[kept], labels[kept], values[kept]


def _unsuppressed(boxes: Floats, labels: NDArray[np.int64], how: Suppression) -> NDArray[np.int64]:
    """The places of at most `most` of the boxes (K, 4), best first, that no better one of their class overlaps by more
    than the limit."""
    kept = np.zeros(0, np.int64)
    for start in range(0, len(boxes), _AT_ONCE):
        some = np.arange(start, min(start + _AT_ONCE, len(boxes)))
        some = some[~_hides(boxes, labels, kept, some, how.overlap).any(0)]
        hides = np.triu(_hides(boxes, labels, some, some, how.overlap), 1)
        gone = np.zeros(len(some), np.bool_)
        # Only a box that overlaps another one can hide it.
        for place in np.flatnonzero(hides.any(1)):
            if not gone[place]:
                gone |= hides[place]
        kept = np.concatenate([kept, some[~gone]])
        if len(kept) >= how.most:
            break
    return kept[: how.most]


def _hides(
    boxes: Floats, labels: NDArray[np.int64], ours: NDArray[np.int64], theirs: NDArray[np.int64], most: float
) -> NDArray[np.bool_]:
    """(K, M): whether a box at place `ours` (K,) is of the class of one at `theirs` (M,) and overlaps it by more."""
    same = labels[ours][:, None] == labels[theirs]
    return np.asarray((iou(boxes[ours], boxes[theirs]) > most) & same)
