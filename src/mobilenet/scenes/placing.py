"""Placing an object in a scene: its pose, its shadow, clutter around it, and the box of what is seen of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mobilenet.errors import ConfigError
from mobilenet.scenes.background import Pixels
from mobilenet.scenes.canvas import Canvas
from mobilenet.scenes.clutter import distractor
from mobilenet.scenes.colours import Colour, Paint, any_colour
from mobilenet.scenes.geometry import Points, Pose
from mobilenet.scenes.light import drop_shadow, expose
from mobilenet.scenes.shapes import Part

__all__ = [
    "SIDES",
    "SPLITS",
    "Box",
    "Split",
    "box_of",
    "check_side",
    "loose_pose",
    "photographed",
    "put",
    "some_colour",
    "strew",
    "turn",
    "visible",
]

Split = Literal["train", "validation"]

SPLITS: dict[Split, int] = {"train": 0, "validation": 1}
"""What scenes of each split are drawn from besides their seed and index."""

SIDES = (32, 1024)
"""Smallest and largest side of a scene in pixels."""

_MIN_COVER = 0.25


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in whole pixels: columns left … left + width - 1, rows top … top + height - 1."""

    left: int
    top: int
    width: int
    height: int


def check_side(side: int) -> None:
    """ConfigError if `side` is outside SIDES."""
    if not SIDES[0] <= side <= SIDES[1]:
        raise ConfigError(f"scene side {side} is out of range; use {SIDES[0]} to {SIDES[1]} pixels")


def loose_pose(rng: np.random.Generator, roll: Callable[[np.random.Generator], float]) -> Pose:
    """Rotated by an angle (radians) that `roll` draws, possibly mirrored, tilted by up to 41 degrees; not yet of any
    size or place."""
    axis = turn(rng.uniform(0, np.pi))
    tilted_away = axis @ np.diag([1, rng.uniform(0.75, 1), 1]) @ axis.T
    horizon = np.eye(3)
    horizon[2, :2] = rng.uniform(-0.15, 0.15, 2)
    flip = np.diag([rng.choice([-1, 1]), 1, 1])
    return Pose(horizon @ tilted_away @ turn(roll(rng)) @ flip)


def turn(angle: float) -> Points:
    """The rotation (3, 3) by an angle in radians."""
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])


def strew(rng: np.random.Generator, canvas: Canvas) -> None:
    """Clutter in the background: up to three shapes, each up to a quarter of the image across."""
    for _ in range(rng.integers(0, 4)):
        radius = canvas.side * rng.uniform(0.04, 0.13)
        canvas.fill(distractor(rng, rng.uniform(0, canvas.side, 2), radius), some_colour(rng))


def put(rng: np.random.Generator, canvas: Canvas, parts: tuple[Part, ...], pose: Pose, paint: Paint) -> None:
    """Paint the object that was outlined, and its shadow."""
    canvas.cast(drop_shadow(rng, canvas.cover()))
    canvas.paint(parts, pose, paint)


def some_colour(rng: np.random.Generator) -> Colour:
    """A random colour for clutter."""
    red, green, blue = any_colour(rng).astype(int).tolist()
    return red, green, blue


def photographed(rng: np.random.Generator, canvas: Canvas) -> NDArray[np.uint8]:
    """The scene so far as a photo: (side, side, 3)."""
    return np.asarray(np.clip(expose(rng, canvas.picture()) + 0.5, 0, 255), dtype=np.uint8)


def visible(cover: Pixels) -> NDArray[np.bool_]:
    """(side, side) whether the object covers a quarter of a pixel or more."""
    return cover >= _MIN_COVER


def box_of(seen: NDArray[np.bool_]) -> Box:
    """The tight box around what is true in (side, side), at least one pixel."""
    columns, rows = np.flatnonzero(seen.any(axis=0)), np.flatnonzero(seen.any(axis=1))
    left, top = int(columns[0]), int(rows[0])
    return Box(left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top)
