"""Which prior box is to predict which box, and how far a predicted box is from its own."""

from typing import NamedTuple

import torch
from torch import Tensor

from mobilenet.model.suppression import LARGEST

__all__ = ["Matches", "encode", "matches", "overlap", "overlap_loss"]

_MATCHED = 0.5
"""Overlap (intersection over union) from which a prior is to predict a box, besides the best prior of each box."""

_BACKGROUND = 0.4
"""Overlap below which a prior is background."""


class Matches(NamedTuple):
    """For each of P priors in B photos: `matched` (B, P) whether it is to predict a box, `which` (B, P) of the photo's
    boxes that is, and `counted` (B, P) whether its scores count, as a match or as background."""

    matched: Tensor
    which: Tensor
    counted: Tensor


def matches(priors: Tensor, boxes: Tensor, wanted: Tensor, ignored: Tensor) -> Matches:
    """Priors (P, 4) and boxes (B, G, 4), both top, left, bottom, right -> who predicts what (Liu et al. 2016, section
    2.2).

    `wanted` and `ignored` (B, G) bool: the boxes to predict, and those within which nothing is background.
    """
    both, prior_areas, areas = _shared(priors, boxes)
    overlap = both / (prior_areas[:, None] + areas[:, None] - both).clamp_min(1e-9)
    overlap = torch.where(wanted[:, None], overlap, -1.0)
    # The best prior of each box gets it, whatever else overlaps it more.
    best = (overlap == overlap.amax(1, keepdim=True)) & (overlap > 0)
    most, which = (overlap + 2.0 * best).max(2)
    matched = most >= _MATCHED
    near = (most >= _BACKGROUND) & ~matched
    within = torch.where(ignored[:, None], both / prior_areas[:, None].clamp_min(1e-9), 0.0).amax(2)
    counted = matched | ~(near | (within >= 0.5))
    return Matches(matched, which, counted)


def encode(boxes: Tensor, priors: Tensor) -> Tensor:
    """(M, 4) boxes, top, left, bottom, right, as differences from (M, 4) priors, without the scales of codes."""
    sides = (boxes[:, 2:] - boxes[:, :2]).clamp_min(1e-4)
    centres = (boxes[:, 2:] + boxes[:, :2]) / 2
    return torch.cat([(centres - priors[:, :2]) / priors[:, 2:], torch.log(sides / priors[:, 2:])], 1)


def overlap_loss(codes: Tensor, priors: Tensor, boxes: Tensor) -> Tensor:
    """(M,) 1 - the generalised intersection over union (Rezatofighi et al. 2019, arXiv 1902.09630) of the boxes that
    (M, 4) codes of (M, 4) priors stand for and of (M, 4) boxes, top, left, bottom, right."""
    start, end = _decoded(codes, priors)
    both, either = _both_and_either(start, end, boxes)
    around = torch.maximum(end, boxes[:, 2:]) - torch.minimum(start, boxes[:, :2])
    hull = around.prod(1).clamp_min(1e-9)
    return 1 - both / either.clamp_min(1e-9) + (hull - either) / hull


def overlap(codes: Tensor, priors: Tensor, boxes: Tensor) -> Tensor:
    """(M,) intersection over union, 0…1, of the boxes that (M, 4) codes of (M, 4) priors stand for and of (M, 4) boxes,
    top, left, bottom, right."""
    both, either = _both_and_either(*_decoded(codes, priors), boxes)
    return both / either.clamp_min(1e-9)


def _decoded(codes: Tensor, priors: Tensor) -> tuple[Tensor, Tensor]:
    """Top and left (M, 2), and bottom and right (M, 2), of the boxes that codes of priors stand for."""
    centres = codes[:, :2] * priors[:, 2:] + priors[:, :2]
    sides = torch.exp(codes[:, 2:].clamp_max(LARGEST)) * priors[:, 2:]
    return centres - sides / 2, centres + sides / 2


def _both_and_either(start: Tensor, end: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """(M,) areas that boxes from `start` to `end` share with (M, 4) others, and those that either covers."""
    low, high = torch.maximum(start, boxes[:, :2]), torch.minimum(end, boxes[:, 2:])
    both = (high - low).clamp_min(0).prod(1)
    return both, (end - start).prod(1) + (boxes[:, 2:] - boxes[:, :2]).prod(1) - both


def _shared(priors: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(B, P, G) shared areas, (P,) areas of the priors and (B, G) of the boxes."""
    low = torch.maximum(priors[None, :, None, :2], boxes[:, None, :, :2])
    high = torch.minimum(priors[None, :, None, 2:], boxes[:, None, :, 2:])
    sides = (high - low).clamp_min(0)
    areas = (boxes[..., 2:] - boxes[..., :2]).prod(-1)
    return sides[..., 0] * sides[..., 1], (priors[:, 2:] - priors[:, :2]).prod(-1), areas
