"""Backgrounds for the objects: plain surfaces, gradients, clouds, stripes and checks, all with grain."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["Pixels", "background", "clouds"]

Pixels = NDArray[np.float32]


def background(rng: np.random.Generator, side: int, colour: Pixels) -> Pixels:
    """A surface (side, side, 3), pixel values about 0–255, whose mean is near `colour` (3,)."""
    other = np.clip(colour + rng.normal(0, 16, 3), 0, 255).astype(np.float32)
    blend = _SURFACES[rng.integers(len(_SURFACES))](rng, side)[..., None]
    surface = colour * (1 - blend) + other * blend
    roughness = np.float32(rng.uniform(0, 22))
    return np.asarray(surface + roughness * (clouds(rng, side, int(rng.integers(8, 33)))[..., None] - 0.5))


def clouds(rng: np.random.Generator, side: int, cells: int) -> Pixels:
    """Smooth noise (side, side) of 0–1 with about `cells` cells across the image."""
    coarse = Image.fromarray(rng.random((cells, cells), dtype=np.float32))
    return np.asarray(coarse.resize((side, side), Image.Resampling.BILINEAR))


def _across(rng: np.random.Generator, side: int) -> Pixels:
    """Position along a random direction: (side, side), 0 at the centre, about ±0.5 at the edges."""
    angle = rng.uniform(0, 2 * np.pi)
    position = (np.arange(side, dtype=np.float32) + 0.5) / side - 0.5
    return np.asarray(np.cos(angle) * position[None] + np.sin(angle) * position[:, None], dtype=np.float32)


def _plain(_rng: np.random.Generator, side: int) -> Pixels:
    return np.zeros((side, side), np.float32)


def _gradient(rng: np.random.Generator, side: int) -> Pixels:
    return _steep(_across(rng, side), rng.uniform(0.6, 1.6))


def _clouds(rng: np.random.Generator, side: int) -> Pixels:
    return clouds(rng, side, int(rng.integers(3, 9)))


def _stripes(rng: np.random.Generator, side: int) -> Pixels:
    wave = np.sin(_across(rng, side) * np.float32(rng.uniform(15, 90)))
    return _steep(wave, rng.uniform(0.6, 3))


def _checks(rng: np.random.Generator, side: int) -> Pixels:
    pitch = np.float32(rng.uniform(12, 45))
    wave = np.sin(_across(rng, side) * pitch) * np.sin(_across(rng, side) * pitch)
    return _steep(wave, rng.uniform(1, 4))


def _steep(wave: Pixels, slope: float) -> Pixels:
    return np.asarray(np.clip(wave * np.float32(slope) + np.float32(0.5), 0, 1), dtype=np.float32)


_SURFACES: tuple[Callable[[np.random.Generator, int], Pixels], ...] = (_plain, _gradient, _clouds, _stripes, _checks)
