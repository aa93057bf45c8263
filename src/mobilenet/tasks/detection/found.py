"""From outputs to boxes: decoding, and suppression of boxes that are around the same thing."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mobilenet.metrics.detection import iou
from mobilenet.model.card import ModelCard
from mobilenet.model.outputs import Outputs
from mobilenet.model.ssd import BOXES, SCORES
from mobilenet.tasks.detection.priors import BOX_SCALES, SCALES, decoded, prior_boxes
from mobilenet.tasks.detection.targets import Found

__all__ = ["LEAST_SCORE", "MOST", "OVERLAP", "found_boxes"]

LEAST_SCORE = 0.01
"""Boxes below are noise."""

OVERLAP = 0.6
"""Of two boxes of one class that overlap by more (intersection over union), the one with the lower score goes, unless
the field `overlap` of a card's `decoding` says another number."""

MOST = 100
"""Boxes per photo, as COCO counts them."""

_CONSIDERED = 400
"""The boxes with the highest scores of a photo, of all classes, among which suppression chooses."""

Floats = NDArray[np.float32]


def found_boxes(outputs: Outputs, card: ModelCard, *, least_score: float = LEAST_SCORE) -> list[Found]:
    """The boxes in each of N photos, from codes (N, P, 4) and scores (N, P, C) after their endings; ModelError."""
    priors = prior_boxes(card)
    scales = card.decoding.get(SCALES, BOX_SCALES)
    most = float(card.decoding.get("overlap", OVERLAP))
    return [
        _of_photo(codes, scores, priors, scales, least_score, most)
        for codes, scores in zip(outputs[BOXES], outputs[SCORES], strict=True)
    ]


def _of_photo(
    codes: Floats, scores: Floats, priors: Floats, scales: Sequence[float], least_score: float, most: float
) -> Found:
    at, labels = np.nonzero(scores >= least_score)
    values = scores[at, labels]
    order = np.argsort(-values, kind="stable")[:_CONSIDERED]
    at, labels, values = at[order], labels[order], values[order]
    boxes = decoded(codes[at], priors[at], scales)
    kept = _unsuppressed(boxes, labels, most)[:MOST]
    return Found(boxes[kept], labels[kept], values[kept])


def _unsuppressed(boxes: Floats, labels: NDArray[np.int64], most: float) -> NDArray[np.int64]:
    """The places of the boxes (K, 4), best first, that no better one of their class overlaps by more than `most`."""
    hides = np.triu((iou(boxes, boxes) > most) & (labels[:, None] == labels), 1)
    gone = np.zeros(len(boxes), np.bool_)
    # Only a box that overlaps another one can hide it.
    for place in np.flatnonzero(hides.any(1)):
        if not gone[place]:
            gone |= hides[place]
    return np.flatnonzero(~gone)
