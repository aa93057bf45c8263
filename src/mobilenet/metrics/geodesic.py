"""Distances on the Earth as a sphere, and how far answers are from places.

Places are `degrees` (…, 2): latitude (-90…90, north) and longitude (-180…180, east), or unit `vectors` (…, 3) from the
Earth's centre. Distances are along great circles of a sphere of the Earth's mean radius; those on the ellipsoid differ
by up to 0.6 %.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mobilenet.metrics.classification import wilson_interval

__all__ = [
    "EARTH_RADIUS_KM",
    "LEVELS_KM",
    "Within",
    "degrees_of",
    "distance_km",
    "distances_km",
    "mean_share",
    "shares_within",
    "unit_vectors",
]

EARTH_RADIUS_KM = 6371.0088
"""The mean radius R1 of WGS 84 (Moritz, 2000, "Geodetic Reference System 1980")."""

LEVELS_KM = (1.0, 25.0, 200.0, 750.0, 2500.0)
"""Street, city, region, country and continent, as PlaNet names them (Weyand et al., 2016, arXiv 1602.05314)."""

_SHORTEST = 1e-12
"""A sum of unit vectors that is shorter has no direction."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Within:
    """The share of answers (0…1) no farther than `distance_km` from their places, with its Wilson 95 % interval."""

    distance_km: float
    share: float
    interval: tuple[float, float]


def unit_vectors(degrees: NDArray[np.floating]) -> Floats:
    """(…, 2) latitude and longitude -> (…, 3) vectors of length 1."""
    latitude, longitude = np.moveaxis(np.radians(np.asarray(degrees, np.float64)), -1, 0)
    level = np.cos(latitude)
    return np.stack([level * np.cos(longitude), level * np.sin(longitude), np.sin(latitude)], axis=-1)


def degrees_of(vectors: NDArray[np.floating]) -> Floats:
    """(…, 3) vectors of any length -> (…, 2) latitude and longitude; 0, 0 for one that has no direction, such as the
    sum of two opposite places."""
    x, y, z = np.moveaxis(np.asarray(vectors, np.float64), -1, 0)
    found = np.degrees(np.stack([np.arctan2(z, np.hypot(x, y)), np.arctan2(y, x)], axis=-1))
    lost = np.linalg.norm(vectors, axis=-1) < _SHORTEST
    return np.where(lost[..., None], 0.0, found)


def distance_km(one: NDArray[np.floating], other: NDArray[np.floating]) -> Floats:
    """(…, 2) and (…, 2) degrees -> (…) km, by the haversine formula, exact to a millimetre, or 0.2 m for places that
    are nearly opposite."""
    a, b = np.radians(np.asarray(one, np.float64)), np.radians(np.asarray(other, np.float64))
    half = np.sin((b - a) / 2) ** 2
    inner = half[..., 0] + np.cos(a[..., 0]) * np.cos(b[..., 0]) * half[..., 1]
    return np.asarray(2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.clip(inner, 0, 1))))


def distances_km(vectors: NDArray[np.floating], others: NDArray[np.floating]) -> Floats:
    """(N, 3) and (M, 3) unit vectors -> (N, M) km, exact to 0.2 m: from every one to every other."""
    squared = np.clip(2 - 2 * (np.asarray(vectors, np.float64) @ np.asarray(others, np.float64).T), 0, 4)
    return np.asarray(2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(squared) / 2))


def shares_within(kilometres: NDArray[np.floating], levels: Sequence[float] = LEVELS_KM) -> tuple[Within, ...]:
    """(N,) distances of N ≥ 1 answers -> the share within each of the `levels`, km; one that is not a number is within
    none."""
    counts = [int((kilometres <= level).sum()) for level in levels]
    photos = len(kilometres)
    return tuple(
        Within(level, count / photos, wilson_interval(count, photos))
        for level, count in zip(levels, counts, strict=True)
    )


def mean_share(kilometres: NDArray[np.floating]) -> float:
    """(N,) distances of N ≥ 1 answers -> the mean of the shares within `LEVELS_KM` (0…1): one number from streets to
    continents."""
    return sum(found.share for found in shares_within(kilometres)) / len(LEVELS_KM)
