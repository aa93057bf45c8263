"""Great circles and circles around a place, as the points that draw them."""

import numpy as np

from mobilenet.geography.antimeridian import Outline
from mobilenet.metrics.geodesic import EARTH_RADIUS_KM, degrees_of, unit_vectors

__all__ = ["RADII_KM", "circle", "great_circle", "with_great_circles"]

RADII_KM = (0.01, 20_000.0)
"""Smallest and largest circle: one of 0 km is a point, and one of 20,015 km all of the Earth, which has no outline."""

_STEP_DEG = 2.0


def circle(latitude: float, longitude: float, radius_km: float, points: int = 90) -> Outline:
    """(points, 2): the ring of that radius around a place, with the place on its left; a radius beyond `RADII_KM`
    counts as the nearest of them."""
    angle = min(max(radius_km, RADII_KM[0]), RADII_KM[1]) / EARTH_RADIUS_KM
    centre = unit_vectors(np.array([latitude, longitude]))
    east = np.array([-np.sin(np.radians(longitude)), np.cos(np.radians(longitude)), 0])
    turn = np.linspace(0, 2 * np.pi, points, endpoint=False)[:, None]
    outward = np.cos(turn) * east + np.sin(turn) * np.cross(centre, east)
    return degrees_of(np.cos(angle) * centre + np.sin(angle) * outward)


def great_circle(one: tuple[float, float], other: tuple[float, float]) -> Outline:
    """(N, 2) points at most 2° apart on the shortest way from a place to another, both included; through any meridian
    where these are opposite."""
    a, b = unit_vectors(np.array([one, other]))
    angle = np.arctan2(np.linalg.norm(np.cross(a, b)), a @ b)
    across = b - (a @ b) * a
    if np.linalg.norm(across) < 1e-12:
        across = np.array([-a[2], 0.0, a[0]]) if abs(a[1]) < 0.9 else np.array([0.0, -a[2], a[1]])
    steps = np.linspace(0, angle, max(int(np.ceil(np.degrees(angle) / _STEP_DEG)), 1) + 1)[:, None]
    inner = degrees_of(np.cos(steps) * a + np.sin(steps) * across / np.linalg.norm(across))
    return np.concatenate([[one], inner[1:-1], [other]])


def with_great_circles(ring: Outline) -> Outline:
    """(N, 2) corners of a ring -> (M, 2) with points along the great circles between them: its true shape on a map."""
    corners = [(float(latitude), float(longitude)) for latitude, longitude in ring]
    edges = zip(corners, [*corners[1:], corners[0]], strict=True)
    return np.concatenate([great_circle(one, other)[:-1] for one, other in edges])
