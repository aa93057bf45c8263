"""Views of land from above: a place, a height, a heading and a light, all at random, and what is seen from there."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mobilenet.geography.gnomonic import View, pixel_places, sampled
from mobilenet.geography.land import land_mask
from mobilenet.scenes.background import Pixels
from mobilenet.scenes.light import expose
from mobilenet.scenes.placing import SPLITS, Split, check_side
from mobilenet.scenes.planet import planet

__all__ = ["LEAST_LAND", "WIDTHS_KM", "Aerial", "draw_aerial", "random_view", "seen"]

_STREAM = 2
"""Apart from other scenes of the same seed and index."""

WIDTHS_KM = (1200.0, 1800.0)
"""Of the ground in a view: 1,500 km from a middle height."""

LEAST_LAND = 0.25
"""Share of a view: open sea looks the same everywhere."""

_MASK_ROWS = 512
_MASK_SIDE = 16


@dataclass(frozen=True, slots=True, eq=False)
class Aerial:
    """An image (side, side, 3) uint8, and where its centre is, exactly."""

    image: NDArray[np.uint8]
    latitude: float
    longitude: float


def draw_aerial(seed: int, index: int, *, split: Split = "train", side: int = 128) -> Aerial:
    """Scene number `index` of a split: `side` × `side` pixels of the drawn Earth.

    The same arguments give the same bytes in any process, in any order. ConfigError if `side` is out of range.
    """
    check_side(side)
    rng = np.random.default_rng([seed, SPLITS[split], index, _STREAM])
    view = random_view(rng)
    return Aerial(seen(rng, planet(), view, side), view.latitude, view.longitude)


def random_view(rng: np.random.Generator) -> View:
    """A view of at least `LEAST_LAND` land, of a width in `WIDTHS_KM` and of any heading; every such place of the
    Earth is as likely. Its centre has five decimals of a degree: 1 m."""
    mask = land_mask(_MASK_ROWS)[..., None]
    while True:
        latitude, longitude = np.degrees(np.arcsin(rng.uniform(-1, 1))), rng.uniform(-180, 180)
        width, heading = rng.uniform(*WIDTHS_KM), rng.uniform(0, 360)
        view = View(round(float(latitude), 5), round(longitude, 5), width, heading)
        if sampled(mask, pixel_places(view, _MASK_SIDE)).mean() >= LEAST_LAND:
            return view


def seen(rng: np.random.Generator, surface: NDArray[np.uint8] | Pixels, view: View, side: int) -> NDArray[np.uint8]:
    """(side, side, 3): a view of a map (H, W, 3) from 90° to -90° and from -180° to 180°, pixel values 0–255, in a
    random light."""
    picture = sampled(surface, pixel_places(view, side))
    return np.asarray(np.clip(expose(rng, picture) + 0.5, 0, 255), dtype=np.uint8)
