"""From the probabilities of cells to one place, and how far the photo may be from it.

Common arguments: `probabilities` (N, C) of the cells of a `Table`.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.metrics.geodesic import EARTH_RADIUS_KM, degrees_of, distances_km, unit_vectors
from mobilenet.tasks.geolocation.table import Table

__all__ = ["located", "quantiles_km"]

_REACH = 4.0
"""Spreads of a cell within which its neighbours count."""

_LIKELIEST = 32
"""Cells of a photo that its place is made of; the others together hardly ever hold a tenth of the probability."""

_AT_ONCE = 256

Floats = NDArray[np.float64]


def located(probabilities: NDArray[Any], table: Table, reach: float = _REACH) -> Floats:
    """(N, C) -> (N, 2) latitude and longitude: the mean of what is near the densest of the likeliest cells.

    Each of a photo's likeliest cells is weighed by the probability around it, nearer cells counting more, by a Gaussian
    of `reach` times its spread; the answer is the mean, so weighted, around the best one. With a reach of 0 it is the
    centre of the likeliest cell.
    """
    rows = np.asarray(probabilities, np.float64)
    if not reach:
        return np.asarray(table.centres[rows.argmax(1)])
    parts = [_modes(rows[start : start + _AT_ONCE], table, reach) for start in range(0, len(rows), _AT_ONCE)]
    return np.concatenate([np.zeros((0, 2)), *parts])


def quantiles_km(probabilities: NDArray[Any], places: Floats, table: Table, share: float) -> Floats:
    """(N, C) and (N, 2) answers -> (N,) the distance from the answer within which `share` (0…1) of the probability
    lies; a cell is as far as the root mean square distance of its photos."""
    found = [np.zeros(0)]
    for start in range(0, len(places), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        far = np.hypot(distances_km(unit_vectors(places[part]), table.vectors), table.spreads_km)
        order = far.argsort(1, kind="stable")
        sums = np.take_along_axis(np.asarray(probabilities[part], np.float64), order, 1).cumsum(1)
        first = (sums < share * sums[:, -1:]).sum(1, keepdims=True).clip(max=far.shape[1] - 1)
        found.append(np.take_along_axis(far, np.take_along_axis(order, first, 1), 1)[:, 0])
    return np.concatenate(found)


def _modes(rows: Floats, table: Table, reach: float) -> Floats:
    count = min(_LIKELIEST, rows.shape[1])
    likeliest = np.argpartition(-rows, count - 1, axis=1)[:, :count]
    chances, vectors = np.take_along_axis(rows, likeliest, 1), table.vectors[likeliest]
    apart = np.square(vectors[:, :, None] - vectors[:, None]).sum(3)
    widths = np.square(reach * table.spreads_km[likeliest] / EARTH_RADIUS_KM)
    weights = chances[:, None] * np.exp(-apart / (2 * widths[:, :, None]))
    best = weights.sum(2).argmax(1)
    chosen = np.take_along_axis(weights, best[:, None, None], 1)[:, 0]
    return degrees_of(np.einsum("nk,nkd->nd", chosen, vectors))
