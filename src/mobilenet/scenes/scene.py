"""One labelled scene, a function of (seed, split, index) alone."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mobilenet.errors import ConfigError
from mobilenet.scenes.background import Pixels, background
from mobilenet.scenes.canvas import Canvas
from mobilenet.scenes.clutter import distractor
from mobilenet.scenes.colours import COLOURS, PATTERNS, Colour, Paint, any_colour, mix_paint
from mobilenet.scenes.geometry import Points, Pose, extent
from mobilenet.scenes.light import drop_shadow, expose
from mobilenet.scenes.shapes import KINDS, Part, shape

__all__ = ["ATTRIBUTES", "SIDES", "Box", "Scene", "Split", "draw_scene"]

Split = Literal["train", "validation"]

ATTRIBUTES = (*COLOURS, *PATTERNS[1:], "large", "occluded")
"""The attributes of each object, 0 or 1: its colour (one of six), its pattern (plain if none), and

large: the longer side of its box is at least two thirds of the image's; occluded: at least 5 % of it is hidden."""

SIDES = (32, 1024)
"""Smallest and largest side of a scene in pixels."""

_SPLITS: dict[Split, int] = {"train": 0, "validation": 1}
_ANY_TURN = 1 / 3
_MAX_HIDDEN = 0.35
_MIN_HIDDEN = 0.05
_MIN_COVER = 0.25


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in whole pixels: columns left … left + width - 1, rows top … top + height - 1."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """An image and its labels.

    `image` is (side, side, 3) uint8; `visible` (side, side) bool is true where the object covers a quarter of a pixel
    or more; `box` is tight around that; `attributes` has a 0 or 1 for each of ATTRIBUTES.
    """

    image: NDArray[np.uint8]
    kind: str
    box: Box
    visible: NDArray[np.bool_]
    attributes: dict[str, int]


def draw_scene(seed: int, index: int, *, split: Split = "train", side: int = 128) -> Scene:
    """Scene number `index` of a split: `side` × `side` pixels with one object; the kinds take turns.

    The same arguments give the same bytes in any process, in any order. ConfigError if `side` is outside SIDES.
    """
    if not SIDES[0] <= side <= SIDES[1]:
        raise ConfigError(f"scene side {side} is out of range; use {SIDES[0]} to {SIDES[1]} pixels")
    rng = np.random.default_rng([seed, _SPLITS[split], index])
    kind = KINDS[index % len(KINDS)]
    ground = any_colour(rng)
    parts, paint = shape(kind, rng), mix_paint(rng, ground)
    pose = _pose(rng, parts, side)
    canvas = Canvas(background(rng, side, ground))
    _strew(rng, canvas)
    _put(rng, canvas, parts, pose, paint)
    whole = canvas.cover()
    if rng.random() < 0.25:
        _hide(rng, canvas, whole)
    image = np.clip(expose(rng, canvas.picture()) + 0.5, 0, 255).astype(np.uint8)
    return _labelled(image, kind, paint, whole, canvas.cover())


def _pose(rng: np.random.Generator, parts: tuple[Part, ...], side: int) -> Pose:
    """A random rotation, possibly mirrored, tilted by up to 41 degrees, 0.65 to 0.95 of the image, fully inside it."""
    axis = _turn(rng.uniform(0, np.pi))
    tilted_away = axis @ np.diag([1, rng.uniform(0.75, 1), 1]) @ axis.T
    horizon = np.eye(3)
    horizon[2, :2] = rng.uniform(-0.15, 0.15, 2)
    flip = np.diag([rng.choice([-1, 1]), 1, 1])
    loose = Pose(horizon @ tilted_away @ _turn(_roll(rng)) @ flip)
    low, high = extent([loose.place(part.outline) for part in parts])
    margin = 2
    scale = rng.uniform(0.65, 0.95) * (side - 2 * margin) / float((high - low).max())
    room = side - 2 * margin - scale * (high - low)
    return loose.then(scale, margin + room * rng.random(2) - scale * low)


def _roll(rng: np.random.Generator) -> float:
    """The rotation of the object: about upright, as people hold their cameras, or for one in three at random."""
    if rng.random() < _ANY_TURN:
        return rng.uniform(0, 2 * np.pi)
    return rng.normal(0, 0.35)


def _turn(angle: float) -> Points:
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])


def _strew(rng: np.random.Generator, canvas: Canvas) -> None:
    """Clutter in the background: up to three shapes, each up to a quarter of the image across."""
    for _ in range(rng.integers(0, 4)):
        radius = canvas.side * rng.uniform(0.04, 0.13)
        canvas.fill(distractor(rng, rng.uniform(0, canvas.side, 2), radius), _some_colour(rng))


def _put(rng: np.random.Generator, canvas: Canvas, parts: tuple[Part, ...], pose: Pose, paint: Paint) -> None:
    canvas.outline(parts, pose, paint)
    canvas.cast(drop_shadow(rng, canvas.cover()))
    canvas.paint(parts, pose, paint)


def _hide(rng: np.random.Generator, canvas: Canvas, whole: Pixels) -> None:
    """Something in front of the object that may hide part of it, but never more than _MAX_HIDDEN."""
    rows, columns = np.nonzero(whole > 0.5)
    chosen = rng.integers(len(rows))
    centre = np.array([columns[chosen], rows[chosen]], dtype=float)
    radius = canvas.side * rng.uniform(0.08, 0.16)
    for _ in range(4):
        outline = distractor(rng, centre, radius)
        if canvas.hidden_by(outline) <= _MAX_HIDDEN:
            canvas.fill(outline, _some_colour(rng))
            return
        radius *= 0.7


def _some_colour(rng: np.random.Generator) -> Colour:
    red, green, blue = any_colour(rng).astype(int).tolist()
    return red, green, blue


def _labelled(image: NDArray[np.uint8], kind: str, paint: Paint, whole: Pixels, seen: Pixels) -> Scene:
    visible = seen >= _MIN_COVER
    box = _box(visible)
    hidden = 1 - float(seen.sum() / whole.sum())
    attributes = {name: int(name in (paint.name, paint.pattern)) for name in ATTRIBUTES}
    attributes["large"] = int(3 * max(box.width, box.height) >= 2 * image.shape[0])
    attributes["occluded"] = int(hidden >= _MIN_HIDDEN)
    return Scene(image, kind, box, visible, attributes)


def _box(visible: NDArray[np.bool_]) -> Box:
    columns, rows = np.flatnonzero(visible.any(axis=0)), np.flatnonzero(visible.any(axis=1))
    left, top = int(columns[0]), int(rows[0])
    return Box(left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top)
