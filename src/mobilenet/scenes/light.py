"""The lighting of a scene: brightness, colour cast, a gradient, a cast shadow and camera noise."""

import numpy as np
from PIL import Image, ImageFilter

from mobilenet.scenes.background import Pixels

__all__ = ["drop_shadow", "expose", "shade"]


def shade(rng: np.random.Generator, side: int) -> Pixels:
    """A light (side, side, 1) that falls off across the image; 1 on average, about 0.6 to 1.4 at the ends."""
    angle, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.5)
    position = (np.arange(side, dtype=np.float32) + 0.5) / side - 0.5
    slope = np.cos(angle) * position[None] + np.sin(angle) * position[:, None]
    return np.asarray(1 + strength * slope, dtype=np.float32)[..., None]


def drop_shadow(rng: np.random.Generator, cover: Pixels) -> Pixels:
    """The soft shadow (side, side), 0 (none) to 0.6, beside an object with coverage `cover` (side, side), 0–1."""
    side = cover.shape[0]
    flat = Image.fromarray((cover * 255).astype(np.uint8))
    soft = np.asarray(flat.filter(ImageFilter.BoxBlur(side * rng.uniform(0.01, 0.03))), dtype=np.float32)
    reach = side // 16
    down, right = rng.integers(-reach, reach + 1, 2).tolist()
    return np.asarray(np.roll(soft, (down, right), axis=(0, 1)) * np.float32(rng.uniform(0, 0.6) / 255))


def expose(rng: np.random.Generator, scene: Pixels) -> Pixels:
    """The scene (H, W, 3) with lighting: brightness, colour cast, gradient, sometimes the edge of a shadow, noise."""
    side = scene.shape[0]
    cast = rng.uniform(0.7, 1.15) * rng.uniform(0.88, 1.12, 3)
    lit = scene * shade(rng, side) * cast.astype(np.float32)
    if rng.random() < 0.25:
        lit = lit * _shadow_edge(rng, side)
    noise = rng.standard_normal(scene.shape, dtype=np.float32)
    return np.asarray(lit + np.float32(rng.uniform(0, 5)) * noise)


def _shadow_edge(rng: np.random.Generator, side: int) -> Pixels:
    angle, offset = rng.uniform(0, 2 * np.pi), rng.uniform(-0.25, 0.25)
    position = (np.arange(side, dtype=np.float32) + 0.5) / side - 0.5
    distance = np.cos(angle) * position[None] + np.sin(angle) * position[:, None] - offset
    dark = np.clip(distance * rng.uniform(8, 40) + 0.5, 0, 1)
    return np.asarray(1 - rng.uniform(0.2, 0.4) * dark, dtype=np.float32)[..., None]
