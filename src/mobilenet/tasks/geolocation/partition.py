"""The cells that are the classes: small where there are many photos, large where there are few.

As in PlaNet (Weyand et al., 2016, arXiv 1602.05314, section 3): a cell with more than `max_photos` is divided into
quarters, and those with fewer than `min_photos` are dropped.
"""

import math

import numpy as np
from numpy.typing import NDArray

from mobilenet.tasks.geolocation.cells import (
    LEAF_LEVEL,
    Cells,
    ancestors,
    bounds,
    faces,
    levels_of,
    neighbours,
    quarters,
)

__all__ = ["PLACE_LEVEL", "beside", "default_limits", "numbers_in", "partition", "place_levels", "places_of"]

_LEAST_MAX, _MIN_PART = 4, 20

PLACE_LEVEL = 13
"""Of cells whose photos are of one place: about a kilometre wide."""

_FINER = 2
"""Levels by which a place is at least smaller than the cell that is its class."""

_STRIP = 5
"""Levels by which the cells in a strip along the edge of a place are smaller than it: 35 m of a kilometre."""


def default_limits(photos: int) -> tuple[int, int]:
    """The largest and the smallest number of photos of a cell, for so many photos in all.

    Both the number of cells and the photos of each grow with the square root of that: 20,000 photos give a few hundred
    cells, PlaNet's 91 million some 20,000 of at most 9,500 photos, where its authors have 26,263 of at most 10,000.
    """
    most = max(_LEAST_MAX, round(math.sqrt(photos)))
    return most, max(1, most // _MIN_PART)


def partition(leaves: Cells, max_photos: int, min_photos: int) -> Cells:
    """(N,) leaves of the photos -> (C,) the kept cells in order, each with `min_photos` to `max_photos` of them.

    A leaf cannot be divided: it may have more than that.
    """
    ordered = np.sort(leaves)
    kept: list[Cells] = []
    cells = faces()
    for _ in range(LEAF_LEVEL + 1):
        counts = _counts(ordered, cells)
        large = (counts > max_photos) & (levels_of(cells) < LEAF_LEVEL)
        kept.append(cells[~large & (counts >= max(min_photos, 1))])
        cells = quarters(cells[large])
        if not len(cells):
            break
    return np.sort(np.concatenate(kept))


def numbers_in(cells: Cells, leaves: Cells) -> NDArray[np.int64]:
    """(C,) cells in order, none inside another, and (N,) leaves -> (N,) the index of the cell around each, -1 for one
    in no cell."""
    if not len(cells):
        return np.full(len(leaves), -1, np.int64)
    first, last = bounds(cells)
    found = np.searchsorted(first, leaves, "right") - 1
    return np.where((found >= 0) & (leaves <= last[found]), found, -1)


def place_levels(cells: Cells, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """(C,) cells and (N,) the index of each photo's, -1 for none -> (N,) the level of the cell that is its place: about
    a kilometre wide, or a quarter of a class that is smaller than four."""
    levels = np.append(levels_of(cells), 0)[numbers]
    return np.asarray(np.minimum(np.maximum(levels + _FINER, PLACE_LEVEL), LEAF_LEVEL))


def places_of(leaves: Cells, levels: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,) leaves and the levels of their places -> (N,) numbers of the places."""
    return np.unique(ancestors(leaves, levels), return_inverse=True)[1].astype(np.int64)


def beside(leaves: Cells, levels: NDArray[np.int64], chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(N,) leaves, the levels of their places, and some of them -> (N,) those of `chosen` that are so near to one that
    is not as a 32nd of the width of their place, and a few up to twice as far."""
    fine = np.minimum(levels + _STRIP, LEAF_LEVEL)
    found = np.zeros(len(leaves), np.bool_)
    for level in np.unique(fine[chosen]).tolist():
        rows = np.flatnonzero(chosen & (fine == level))
        theirs = np.unique(ancestors(leaves[~chosen], np.full((~chosen).sum(), level)))
        ours, own = np.unique(ancestors(leaves[rows], fine[rows]), return_inverse=True)
        around = [[cell, *neighbours(cell)] for cell in ours.tolist()]
        owners = np.repeat(np.arange(len(ours)), [len(cells) for cells in around])
        cells = np.array([cell for some in around for cell in some], np.uint64)
        found[rows] = np.isin(np.arange(len(ours)), owners[np.isin(cells, theirs)])[own]
    return found


def _counts(ordered: Cells, cells: Cells) -> NDArray[np.int64]:
    first, last = bounds(cells)
    return np.searchsorted(ordered, last, "right") - np.searchsorted(ordered, first, "left")
