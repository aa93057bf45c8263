"""Prior boxes made for the boxes of a data set."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.metrics.detection import iou
from mobilenet.spec.rows import Network
from mobilenet.spec.ssd import planes

__all__ = ["SAMPLE", "are_small", "beside_priors", "fitting", "overlaps", "sample_of"]

SAMPLE = "box_sides"
"""The field of a data set's vocabulary with the sides of some of its boxes; prior boxes are fitted to them."""

_SAMPLED = 2000
_PER_PRIOR = 10
"""Boxes that a prior must be the mean of; a plane with fewer keeps its own priors."""

_CELLS = 2.0
"""A box belongs to the coarsest plane on which it is at least so many positions long."""

_SMALL, _MANY = 1.5, 0.25
"""Boxes are small where this share of them is shorter than so many positions of the usual finest plane: priors then lie
too far apart for half an overlap with each box."""

_BETTER = 0.05
"""Mean overlap of each box with its best prior by which fitted priors must exceed given ones to replace them."""

_ROUNDS = 30

_SHOWN = 400
"""Boxes in a report."""

Floats = NDArray[np.float64]
Shapes = Sequence[Sequence[Sequence[float]]]


def sample_of(boxes: NDArray[np.float32]) -> dict[str, Any]:
    """(M, 4) top, left, bottom, right as shares of the photo -> the field of a vocabulary: heights and widths of at
    most 2,000 of the boxes, evenly among all by their areas."""
    sides = (boxes[:, 2:] - boxes[:, :2]).astype(np.float64)
    order = np.lexsort((sides[:, 1], sides[:, 0], sides.prod(1)))
    chosen = order[np.linspace(0, len(order) - 1, min(len(order), _SAMPLED)).round().astype(np.int64)]
    return {SAMPLE: sides[chosen].round(5).tolist()}


def are_small(body: Network, fields: Mapping[str, Any]) -> bool:
    """Whether the boxes in the vocabulary's fields need a finer plane than the usual ones of `body`."""
    sides = _sides(fields)
    lengths = sides.prod(1) ** 0.5 * planes(body)[0].height
    return bool(len(sides)) and bool((lengths < _SMALL).mean() >= _MANY)


def fitting(body: Network, given: Shapes, fields: Mapping[str, Any], *, fine: bool = False) -> Shapes:
    """The priors for each plane of `body`: those `given`, or, where the boxes in the vocabulary's fields overlap them
    less, the means of these boxes (Redmon and Farhadi 2017, arXiv 1612.08242, section 2), as many for each plane."""
    sides = _sides(fields)
    if not len(sides):
        return given
    cells = np.array([1 / plane.height for plane in planes(body, fine=fine)])
    belongs = (sides.prod(1)[:, None] ** 0.5 >= _CELLS * cells).sum(1).clip(1) - 1
    fitted = [
        _means(sides[belongs == plane], len(priors)) if (belongs == plane).sum() >= _PER_PRIOR * len(priors) else priors
        for plane, priors in enumerate(given)
    ]
    return fitted if _covered(sides, fitted) >= _covered(sides, given) + _BETTER else given


def beside_priors(boxes: NDArray[np.float32], shapes: Shapes) -> dict[str, Any]:
    """(M, 4) boxes as shares of the photo and the priors of each plane -> JSON values: the height and width of some
    `boxes` and of all `priors`, and the `overlap`, the mean of each box with its best prior around the same centre;
    None without boxes."""
    sides = (boxes[:, 2:] - boxes[:, :2]).astype(np.float64)
    sides = sides[(sides > 0).all(1)]
    chosen = np.linspace(0, len(sides) - 1, min(len(sides), _SHOWN)).round().astype(np.int64)
    return {
        "overlap": _covered(sides, shapes) if len(sides) else None,
        "boxes": sides[chosen].round(4).tolist(),
        "priors": [[round(side, 4) for side in prior] for priors in shapes for prior in priors],
    }


def _sides(fields: Mapping[str, Any]) -> Floats:
    """(M, 2) heights and widths of the sampled boxes that have an area."""
    sides = np.asarray(fields.get(SAMPLE, []), np.float64).reshape(-1, 2)
    return sides[(sides > 0).all(1)]


def _means(sides: Floats, count: int) -> list[list[float]]:
    """The means of `count` groups of boxes by overlap, from small to large (Lloyd 1982)."""
    order = np.argsort(sides.prod(1), kind="stable")
    means = sides[order[((np.arange(count) + 0.5) / count * len(order)).astype(np.int64)]]
    # Equal means would stay equal.
    means = means * (1 + 0.01 * np.arange(count))[:, None]
    for _ in range(_ROUNDS):
        nearest = overlaps(sides, means).argmax(1)
        moved = np.array(
            [sides[nearest == place].mean(0) if (nearest == place).any() else means[place] for place in range(count)]
        )
        if np.allclose(moved, means):
            break
        means = moved
    return [[round(side, 5) for side in mean] for mean in means[np.argsort(means.prod(1), kind="stable")].tolist()]


def _covered(sides: Floats, shapes: Shapes) -> float:
    """Mean overlap of each box with its best prior, both around one centre."""
    every = np.array([prior for priors in shapes for prior in priors], np.float64)
    return float(overlaps(sides, every).max(1).mean())


def overlaps(sides: Floats, others: Floats) -> Floats:
    """(M, 2) and (K, 2) heights and widths -> (M, K) intersection over union around one centre."""
    boxes, priors = (np.concatenate([-each / 2, each / 2], 1) for each in (sides, others))
    return iou(boxes, priors).astype(np.float64)
