"""The colours of objects. Every kind comes in every colour, so that colour does not give away the kind."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from mobilenet.scenes.background import Pixels
from mobilenet.scenes.geometry import Points, ellipse, rectangle
from mobilenet.scenes.shapes import Tone

__all__ = ["COLOURS", "PATTERNS", "Colour", "Paint", "Pattern", "any_colour", "mix_paint"]

COLOURS = {
    "red": (205, 45, 45),
    "yellow": (235, 200, 50),
    "green": (60, 150, 70),
    "blue": (50, 95, 200),
    "purple": (140, 70, 170),
    "white": (235, 233, 228),
}
"""Named colours of objects, RGB 0–255, before lighting."""

_JITTER = 14
_MIN_CONTRAST = 110
"""Smallest distance in RGB between an object and its background; with less, people cannot find the object either."""

Colour = tuple[int, int, int]

Pattern = Literal["plain", "striped", "dotted"]

PATTERNS: tuple[Pattern, ...] = ("plain", "striped", "dotted")

_PATTERN_OF_FOUR: tuple[Pattern, ...] = ("plain", "plain", "striped", "dotted")

_REACH = 1.3
"""Half the side of the square in the object's plane that is covered by a pattern."""


@dataclass(frozen=True, slots=True)
class Paint:
    """How one object is painted.

    `name` is that of its colour; `motif` are the outlines of its pattern, in the object's plane, painted in the colour
    `second`; `contour` is the width in pixels of the dark line around it, 0 for none.
    """

    name: str
    tones: dict[Tone, Colour]
    second: Colour
    pattern: Pattern
    motif: tuple[Points, ...]
    contour: float


def mix_paint(rng: np.random.Generator, behind: Pixels) -> Paint:
    """Paint that stands out from the colour `behind` (3,) and differs from its own accent and pattern."""
    names = [name for name in COLOURS if _distance(COLOURS[name], behind) >= _MIN_CONTRAST]
    name = names[rng.integers(len(names))]
    body = _vary(rng, COLOURS[name])
    deep = _tinted(body, rng.uniform(0.5, 0.75))
    accent = _vary(rng, _other(rng, name)) if rng.random() < 0.3 else _tinted(body, rng.uniform(0.6, 0.8))
    second = _tinted(body, rng.uniform(0.6, 0.8))
    pattern = _PATTERN_OF_FOUR[rng.integers(4)]
    contour = rng.uniform(0.7, 1.8) if rng.random() < 0.4 else 0.0
    ink, paper = int(rng.integers(15, 60)), int(rng.integers(215, 250))
    tones: dict[Tone, Colour] = {
        "body": body,
        "deep": deep,
        "accent": accent,
        "ink": (ink, ink, ink),
        "paper": (paper, paper, paper),
    }
    return Paint(name, tones, second, pattern, _motif(rng, pattern), contour)


def any_colour(rng: np.random.Generator) -> Pixels:
    """A random colour (3,) for backgrounds and clutter, biased towards grey."""
    colour = rng.uniform(25, 235, 3)
    grey = rng.uniform(0.5, 1)
    return np.asarray(colour * (1 - grey) + colour.mean() * grey, dtype=np.float32)


def _motif(rng: np.random.Generator, pattern: Pattern) -> tuple[Points, ...]:
    if pattern == "plain":
        return ()
    pitch, angle = rng.uniform(0.22, 0.42), rng.uniform(0, np.pi)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    grid = np.arange(-_REACH, _REACH, pitch)
    if pattern == "striped":
        stripe = pitch * rng.uniform(0.35, 0.6)
        return tuple(rectangle(-_REACH, left, _REACH, left + stripe) @ turn for left in grid)
    dot = ellipse((0, 0), pitch * 0.3, pitch * 0.3, 10)
    return tuple((dot + np.array([x, y])) @ turn for x in grid for y in grid)


def _other(rng: np.random.Generator, name: str) -> Colour:
    names = [other for other in COLOURS if other != name]
    return COLOURS[names[rng.integers(len(names))]]


def _vary(rng: np.random.Generator, colour: Colour) -> Colour:
    return _rounded(np.array(colour) + rng.uniform(-_JITTER, _JITTER, 3))


def _tinted(colour: Colour, factor: float) -> Colour:
    return _rounded(np.array(colour) * factor)


def _rounded(colour: np.ndarray) -> Colour:
    red, green, blue = np.clip(colour, 0, 255).astype(int).tolist()
    return red, green, blue


def _distance(colour: Colour, behind: Pixels) -> float:
    return float(np.linalg.norm(np.array(colour) - behind))
