"""The Earth as the demo draws it: the land of the world map in colours of its climate, with made-up hills and rain."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from mobilenet.geography.land import land_mask
from mobilenet.scenes.background import Pixels
from mobilenet.scenes.colours import Colour

__all__ = ["planet"]

_HEIGHT = 768
"""Rows of the map: 26 km each."""

_SEED = 7
"""There is one Earth: scenes of every seed show the same one."""

_SAND, _STEPPE, _FOREST, _JUNGLE = (212, 178, 118), (172, 156, 98), (74, 112, 58), (26, 84, 38)
_TUNDRA, _ICE = (128, 122, 104), (236, 241, 246)
_SEA, _WARM_SEA, _SHALLOWS = (16, 38, 92), (18, 74, 128), (48, 138, 160)


@cache
def planet() -> Pixels:
    """(768, 1536, 3) pixel values 0–255 from 90° to -90° and from -180° to 180°."""
    rng = np.random.default_rng(_SEED)
    latitude = np.radians(90 - (np.arange(_HEIGHT, dtype=np.float32) + 0.5) / _HEIGHT * 180, dtype=np.float32)[:, None]
    longitude = np.radians((np.arange(2 * _HEIGHT, dtype=np.float32) + 0.5) / _HEIGHT * 180 - 180)[None]
    level = np.cos(latitude)
    sphere = np.stack(np.broadcast_arrays(level * np.cos(longitude), level * np.sin(longitude), np.sin(latitude)))
    hills, rain = _waves(rng, sphere, 40, (6, 300)), _waves(rng, sphere, 16, (3, 30))
    north = np.abs(np.degrees(latitude)) + 6 * rain + 4 * hills
    land = land_mask(_HEIGHT)[..., None]
    surface = land * _ground(north, rain, hills) + (1 - land) * _water(north, land[..., 0])
    surface.setflags(write=False)
    return surface


def _waves(rng: np.random.Generator, sphere: Pixels, count: int, waves: tuple[float, float]) -> Pixels:
    """Noise (H, W) about -2…2 without a seam or poles: waves through space with that many radians per radius of the
    Earth, the longer the higher."""
    found = np.zeros(sphere.shape[1:], np.float32)
    power = 0.0
    for number in np.geomspace(*waves, count):
        way = rng.normal(size=3)
        x, y, z = (number * way / np.linalg.norm(way)).astype(np.float32)
        height = (waves[0] / number) ** 0.4
        found += np.float32(height) * np.cos(x * sphere[0] + y * sphere[1] + z * sphere[2] + rng.uniform(0, 2 * np.pi))
        power += height**2 / 2
    return found / np.float32(power**0.5)


def _ground(north: Pixels, rain: Pixels, hills: Pixels) -> Pixels:
    """Jungle at the equator, deserts around 25°, forests around 50°, then tundra and ice."""
    wet = _step(rain + 1.6 * np.cos(np.radians(north * 360 / 52)), -1.2, 1.2)
    hot, mild = _mix(_SAND, _JUNGLE, wet), _mix(_STEPPE, _FOREST, wet)
    green = _mix(hot, mild, _step(north, 22, 40))
    bare = _mix(green, _TUNDRA, np.maximum(_step(north, 58, 68), 0.7 * _step(hills, 0.8, 2)))
    lit = bare * (1 + 0.2 * np.clip(hills, -2, 2))[..., None]
    return _mix(lit, _ICE, np.maximum(_step(north, 68, 76), _step(hills + north / 60, 2.2, 2.8)))


def _water(north: Pixels, land: Pixels) -> Pixels:
    from PIL import Image, ImageFilter

    near = np.asarray(Image.fromarray((land * 255).astype(np.uint8)).filter(ImageFilter.BoxBlur(5)), np.float32) / 255
    open_sea = _mix(_WARM_SEA, _SEA, _step(north, 15, 55))
    return _mix(_mix(open_sea, _SHALLOWS, 0.7 * near), _ICE, _step(north, 76, 84))


def _step(values: NDArray[np.floating], low: float, high: float) -> Pixels:
    return np.asarray(np.clip((values - low) / (high - low), 0, 1), np.float32)


def _mix(one: Colour | Pixels, other: Colour | Pixels, share: NDArray[np.floating]) -> Pixels:
    """(H, W, 3): colours from one to the other, by a share (H, W) of 0…1."""
    low, high = np.asarray(one, np.float32), np.asarray(other, np.float32)
    return np.asarray(low + (high - low) * share[..., None], np.float32)
