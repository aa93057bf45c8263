"""Distractors: shapes that are not the object, behind it, or in front of it and hiding part of it."""

from collections.abc import Callable

import numpy as np

from mobilenet.scenes.geometry import Points, ellipse, rectangle, ribbon, ring, rounded

__all__ = ["distractor"]


def distractor(rng: np.random.Generator, centre: Points, radius: float) -> Points:
    """An outline (n, 2) of about `radius` pixels around `centre` (2,), rotated at random and of no particular kind."""
    outline = _FORMS[rng.integers(len(_FORMS))](rng)
    angle = rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return np.asarray(outline @ turn * radius + centre)


def _block(rng: np.random.Generator) -> Points:
    return rectangle(-1, -rng.uniform(0.2, 0.9), 1, rng.uniform(0.2, 0.9))


def _disc(rng: np.random.Generator) -> Points:
    return ellipse((0, 0), 1, rng.uniform(0.4, 1))


def _hoop(rng: np.random.Generator) -> Points:
    return ring((0, 0), 1, rng.uniform(0.6, 1), rng.uniform(0.15, 0.4))


def _wedge(rng: np.random.Generator) -> Points:
    angle = np.array([0, 2, 4]) * np.pi / 3 + rng.uniform(-0.5, 0.5, 3)
    return np.stack([np.cos(angle), np.sin(angle)], 1)


def _pebble(rng: np.random.Generator) -> Points:
    angle = np.arange(7) * 2 * np.pi / 7
    radius = rng.uniform(0.5, 1.1, 7)
    return rounded(np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1))


def _wire(rng: np.random.Generator) -> Points:
    x = np.linspace(-1, 1, 12)
    wave = rng.uniform(0, 0.5) * np.sin(x * rng.uniform(1, 5) + rng.uniform(0, 6))
    return ribbon(np.stack([x, wave], 1), rng.uniform(0.06, 0.25))


_FORMS: tuple[Callable[[np.random.Generator], Points], ...] = (_block, _disc, _hoop, _wedge, _pebble, _wire)
