"""Several objects in one scene, each with the box of what is seen of it: a function of (seed, split, index) alone."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mobilenet.scenes.background import Pixels, background
from mobilenet.scenes.canvas import Canvas
from mobilenet.scenes.colours import any_colour, mix_paint
from mobilenet.scenes.geometry import Pose, extent
from mobilenet.scenes.placing import (
    SPLITS,
    Box,
    Split,
    box_of,
    check_side,
    loose_pose,
    photographed,
    put,
    strew,
    visible,
)
from mobilenet.scenes.shapes import KINDS, Part, shape

__all__ = ["MOST_OBJECTS", "Placed", "StillLife", "draw_still_life"]

MOST_OBJECTS = 6

_STREAM = 1
"""Apart from the scenes with one object, so that the same seed and index give other colours and shapes."""

_SIZES = (0.2, 0.55)
"""Smallest and largest object: its longer side as a share of the image's."""

_BEYOND = 0.15
"""The share of an object's height and of its width that may be outside of the image."""

_MAX_HIDDEN = 0.35
"""The share of an object that those painted later may hide."""

_MAX_OVERLAP = 0.3
"""The share of the smaller of two boxes that may be within the other: more would be taken for one object twice."""

_TRIES = 12


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """One object: `visible` (side, side) bool is true where it covers a quarter of a pixel or more and nothing is in
    front of it; `box` is tight around that."""

    kind: str
    box: Box
    visible: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class StillLife:
    """An image (side, side, 3) uint8 and its objects, in the order of painting: 1 to MOST_OBJECTS."""

    image: NDArray[np.uint8]
    objects: tuple[Placed, ...]


def draw_still_life(seed: int, index: int, *, split: Split = "train", side: int = 160) -> StillLife:
    """Scene number `index` of a split: `side` × `side` pixels with objects of random kinds and sizes, which may hide
    each other in part and stick out of the image a little.

    The same arguments give the same bytes in any process, in any order. ConfigError if `side` is out of range.
    """
    check_side(side)
    rng = np.random.default_rng([seed, SPLITS[split], index, _STREAM])
    ground = any_colour(rng)
    canvas = Canvas(background(rng, side, ground))
    strew(rng, canvas)
    kinds, boxes = list[str](), list[Box]()
    for _ in range(rng.integers(1, MOST_OBJECTS + 1)):
        kind = KINDS[rng.integers(len(KINDS))]
        if _add(rng, canvas, kind, ground, boxes):
            kinds.append(kind)
    image = photographed(rng, canvas)
    seen = [visible(cover) for cover in canvas.covers()]
    return StillLife(image, tuple(Placed(kind, box_of(one), one) for kind, one in zip(kinds, seen, strict=True)))


def _add(rng: np.random.Generator, canvas: Canvas, kind: str, ground: Pixels, boxes: list[Box]) -> bool:
    """Paint one more object and add its box to `boxes`, unless no place is found where enough is seen of each."""
    parts, paint = shape(kind, rng), mix_paint(rng, ground)
    for _ in range(_TRIES):
        pose = _pose(rng, parts, canvas.side)
        canvas.outline(parts, pose, paint)
        box = box_of(visible(canvas.cover()))
        free = all(_overlap(box, other) <= _MAX_OVERLAP for other in boxes)
        if free and canvas.hidden() <= _MAX_HIDDEN:
            put(rng, canvas, parts, pose, paint)
            canvas.finish()
            boxes.append(box)
            return True
        canvas.rub_out()
    return False


def _pose(rng: np.random.Generator, parts: tuple[Part, ...], side: int) -> Pose:
    loose = loose_pose(rng, _roll)
    low, high = extent([loose.place(part.outline) for part in parts])
    # As many objects of 20 to 30 % as of 30 to 45 %.
    scale = np.exp(rng.uniform(*np.log(_SIZES))) * side / float((high - low).max())
    size = scale * (high - low)
    corner = rng.uniform(-_BEYOND * size, side - (1 - _BEYOND) * size)
    return loose.then(scale, corner - scale * low)


def _roll(rng: np.random.Generator) -> float:
    """About upright, as things stand on a table."""
    return rng.normal(0, 0.25)


def _overlap(one: Box, other: Box) -> float:
    """The share of the smaller box that is within the larger."""
    height = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
    width = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
    return max(height, 0) * max(width, 0) / min(one.height * one.width, other.height * other.width)
