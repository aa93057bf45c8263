"""From outputs to boxes: a network's, by decoding and suppression, or those of a file that has done both."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from mobilenet.model.card import ModelCard
from mobilenet.model.outputs import Outputs
from mobilenet.model.ssd import BOXES, SCORES
from mobilenet.model.suppression import BOXES as FOUND_BOXES
from mobilenet.model.suppression import CLASSES, COUNT, Suppression, suppress
from mobilenet.model.suppression import SCORES as FOUND_SCORES
from mobilenet.tasks.detection.priors import BOX_SCALES, SCALES, prior_boxes
from mobilenet.tasks.detection.targets import Found

__all__ = ["LEAST_SCORE", "MOST", "OVERLAP", "found_boxes", "suppressed", "suppression_of"]

LEAST_SCORE = 0.01
"""Boxes below are noise."""

OVERLAP = 0.6
"""Of two boxes of one class that overlap by more (intersection over union), the one with the lower score goes, unless
the field `overlap` of a card's `decoding` says another number."""

MOST = 100
"""Boxes per photo, as COCO counts them."""


def suppression_of(card: ModelCard) -> Suppression:
    """How the outputs of a network with this card become boxes; ModelError if its priors do not match them."""
    top, left, height, width = map(float, card.decoding.get(SCALES, BOX_SCALES))
    overlap = float(card.decoding.get("overlap", OVERLAP))
    return Suppression(
        BOXES, SCORES, prior_boxes(card), (top, left, height, width), overlap, least_score=LEAST_SCORE, most=MOST
    )


def found_boxes(outputs: Outputs, card: ModelCard, *, least_score: float = LEAST_SCORE) -> list[Found]:
    """The boxes in each of N photos, cut to the photo; ModelError.

    `outputs` are codes (N, P, 4) and scores (N, P, C) after their endings, or what is left of them after suppression,
    which has no boxes below `LEAST_SCORE`.
    """
    return list(_found(suppressed(outputs, card, least_score=least_score), len(card.labels), least_score))


def suppressed(outputs: Outputs, card: ModelCard, *, least_score: float = LEAST_SCORE) -> Outputs:
    """What is left of the outputs of N photos after suppression; those of a file that has suppressed as they are."""
    if CLASSES in outputs:
        return outputs
    return suppress(outputs, replace(suppression_of(card), least_score=least_score))


def _found(outputs: Outputs, classes: int, least_score: float) -> Iterator[Found]:
    """Boxes of classes that the card does not name are none: nothing but a damaged file has them."""
    for boxes, labels, scores, count in zip(
        outputs[FOUND_BOXES], outputs[CLASSES], outputs[FOUND_SCORES], outputs[COUNT], strict=True
    ):
        known = (np.arange(len(scores)) < count) & (scores >= least_score) & (labels >= 0) & (labels < classes)
        yield Found(np.clip(boxes[known], 0, 1), labels[known].astype(np.int64), scores[known])
