"""One labelled scene, a function of (seed, split, index) alone."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mobilenet.scenes.background import Pixels, background
from mobilenet.scenes.canvas import Canvas
from mobilenet.scenes.clutter import distractor
from mobilenet.scenes.colours import COLOURS, PATTERNS, Paint, any_colour, mix_paint
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
    some_colour,
    strew,
    visible,
)
from mobilenet.scenes.shapes import KINDS, Part, shape

__all__ = ["ATTRIBUTES", "Scene", "draw_scene"]

ATTRIBUTES = (*COLOURS, *PATTERNS[1:], "large", "occluded")
"""The attributes of each object, 0 or 1: its colour (one of six), its pattern (plain if none), and

large: the longer side of its box is at least two thirds of the image's; occluded: at least 5 % of it is hidden."""

_ANY_TURN = 1 / 3
_MAX_HIDDEN = 0.35
_MIN_HIDDEN = 0.05


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

    The same arguments give the same bytes in any process, in any order. ConfigError if `side` is out of range.
    """
    check_side(side)
    rng = np.random.default_rng([seed, SPLITS[split], index])
    kind = KINDS[index % len(KINDS)]
    ground = any_colour(rng)
    parts, paint = shape(kind, rng), mix_paint(rng, ground)
    pose = _pose(rng, parts, side)
    canvas = Canvas(background(rng, side, ground))
    strew(rng, canvas)
    canvas.outline(parts, pose, paint)
    put(rng, canvas, parts, pose, paint)
    whole = canvas.cover()
    if rng.random() < 0.25:
        _hide(rng, canvas, whole)
    return _labelled(photographed(rng, canvas), kind, paint, whole, canvas.cover())


def _pose(rng: np.random.Generator, parts: tuple[Part, ...], side: int) -> Pose:
    """A random rotation, possibly mirrored, tilted by up to 41 degrees, 0.65 to 0.95 of the image, fully inside it."""
    loose = loose_pose(rng, _roll)
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


def _hide(rng: np.random.Generator, canvas: Canvas, whole: Pixels) -> None:
    """Something in front of the object that may hide part of it, but never more than _MAX_HIDDEN."""
    rows, columns = np.nonzero(whole > 0.5)
    chosen = rng.integers(len(rows))
    centre = np.array([columns[chosen], rows[chosen]], dtype=float)
    radius = canvas.side * rng.uniform(0.08, 0.16)
    for _ in range(4):
        outline = distractor(rng, centre, radius)
        if canvas.hidden_by(outline) <= _MAX_HIDDEN:
            canvas.fill(outline, some_colour(rng))
            return
        radius *= 0.7


def _labelled(image: NDArray[np.uint8], kind: str, paint: Paint, whole: Pixels, seen: Pixels) -> Scene:
    shown = visible(seen)
    box = box_of(shown)
    hidden = 1 - float(seen.sum() / whole.sum())
    attributes = {name: int(name in (paint.name, paint.pattern)) for name in ATTRIBUTES}
    attributes["large"] = int(3 * max(box.width, box.height) >= 2 * image.shape[0])
    attributes["occluded"] = int(hidden >= _MIN_HIDDEN)
    return Scene(image, kind, box, shown, attributes)
