"""Views straight down on the Earth: the gnomonic projection, on which great circles are straight (Snyder, 1987, "Map
Projections: A Working Manual", page 164)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mobilenet.metrics.geodesic import EARTH_RADIUS_KM, degrees_of, unit_vectors

__all__ = ["View", "pixel_places", "sampled"]


@dataclass(frozen=True, slots=True)
class View:
    """A square view of a place, which is at its centre: `width_km` (0…20,000) on the ground between the middles of its
    left and right edges, `heading_deg` the direction of its upper edge, clockwise from north."""

    latitude: float
    longitude: float
    width_km: float
    heading_deg: float = 0.0


def pixel_places(view: View, side: int) -> NDArray[np.float64]:
    """(side, side, 2): latitude and longitude of the centre of each pixel of a view."""
    centre = unit_vectors(np.array([view.latitude, view.longitude]))
    turn = np.radians(view.longitude)
    east = np.array([-np.sin(turn), np.cos(turn), 0])
    north = np.cross(centre, east)
    heading = np.radians(view.heading_deg)
    up, right = np.cos(heading) * north + np.sin(heading) * east, np.cos(heading) * east - np.sin(heading) * north
    steps = ((np.arange(side) + 0.5) / side * 2 - 1) * np.tan(view.width_km / 2 / EARTH_RADIUS_KM)
    return degrees_of(centre + steps[None, :, None] * right - steps[:, None, None] * up)


def sampled(surface: NDArray[np.uint8] | NDArray[np.float32], places: NDArray[np.float64]) -> NDArray[np.float32]:
    """A map (H, W, C) from 90° to -90° and from -180° to 180°, and (…, 2) places -> (…, C) between the four pixels
    around each place."""
    height, width = surface.shape[:2]
    down = np.clip((90 - places[..., 0]) / 180 * height - 0.5, 0, height - 1)
    across = (places[..., 1] + 180) / 360 * width - 0.5
    top, left = np.floor(down).astype(np.int64), np.floor(across).astype(np.int64)
    lower, rightward = (down - top).astype(np.float32)[..., None], (across - left).astype(np.float32)[..., None]
    bottom, right, left = np.minimum(top + 1, height - 1), (left + 1) % width, left % width
    upper_edge = surface[top, left] * (1 - rightward) + surface[top, right] * rightward
    lower_edge = surface[bottom, left] * (1 - rightward) + surface[bottom, right] * rightward
    return np.asarray(upper_edge * (1 - lower) + lower_edge * lower, np.float32)
