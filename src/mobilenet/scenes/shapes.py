"""The ten kinds of object, each a few outlines with random proportions, upright, about 2 units across."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mobilenet.scenes.geometry import Points, ellipse, mirrored, rectangle, ribbon, ring, rounded

__all__ = ["KINDS", "Part", "Tone", "shape"]

Tone = Literal["body", "deep", "accent", "ink", "paper"]
"""The colour of a part: the object's colour, a darker shade of it, a second colour, nearly black, nearly white."""


@dataclass(frozen=True, slots=True)
class Part:
    """One closed outline, painted over the parts before it."""

    outline: Points
    tone: Tone


def shape(kind: str, rng: np.random.Generator) -> tuple[Part, ...]:
    """An object of `kind`, one of KINDS, with proportions drawn from `rng`."""
    return tuple(_SHAPES[kind](rng))


def _bottle(rng: np.random.Generator) -> list[Part]:
    body, neck = rng.uniform(0.3, 0.42), rng.uniform(0.1, 0.15)
    shoulder, throat = rng.uniform(-0.2, 0.1), rng.uniform(-0.6, -0.45)
    bend = shoulder - rng.uniform(0.08, 0.25)
    profile = [[neck, -0.95], [neck, throat], [body * 0.75, bend], [body, shoulder], [body, 0.9], [body * 0.85, 1.0]]
    parts = [Part(mirrored(np.array(profile)), "body")]
    cap = neck * rng.uniform(1.1, 1.5)
    parts.append(Part(rectangle(-cap, -1.05, cap, rng.uniform(-0.9, -0.8)), "accent"))
    if rng.random() < 0.7:
        top = shoulder + rng.uniform(0.1, 0.25)
        parts.append(Part(rectangle(-body, top, body, top + rng.uniform(0.3, 0.5)), "paper"))
    shine = body * rng.uniform(0.5, 0.7)
    parts.append(Part(rectangle(-shine - 0.05, shoulder, -shine, 0.85), "deep"))
    return parts


def _fish(rng: np.random.Generator) -> list[Part]:
    height, root = rng.uniform(0.32, 0.55), rng.uniform(0.5, 0.62)
    tail, notch = rng.uniform(0.3, 0.55), rng.uniform(0.7, 0.85)
    fork = np.array([[root - 0.15, 0], [1.05, -tail], [notch, 0], [1.05, tail]])
    fin_top = -height - rng.uniform(0.12, 0.3)
    fin = np.array([[-0.35, -height * 0.7], [0.05, fin_top], [0.25, fin_top], [0.3, -height * 0.5]])
    x = np.linspace(-0.95, root + 0.1, 16)
    half_width = height * np.sin(np.linspace(0.12, np.pi - 0.2, 16)) ** rng.uniform(0.6, 1.0)
    body = np.concatenate([np.stack([x, -half_width], 1), np.stack([x, half_width], 1)[::-1]])
    eye = (-0.62, -height * 0.25)
    angle = np.linspace(-1.0, 1.0, 8)
    gill = np.stack([-0.48 + 0.12 * np.cos(angle), height * 0.6 * np.sin(angle)], 1)
    parts = [Part(fork, "accent"), Part(fin, "accent"), Part(body, "body"), Part(ribbon(gill, 0.05), "deep")]
    if rng.random() < 0.6:
        parts.append(Part(np.array([[-0.2, 0.02], [0.2, 0.2], [0.15, -0.05]]), "accent"))
    return [*parts, Part(ellipse(eye, 0.1, 0.1, 14), "paper"), Part(ellipse(eye, 0.05, 0.05, 10), "ink")]


def _glasses(rng: np.random.Generator) -> list[Part]:
    apart, radius = rng.uniform(0.48, 0.56), rng.uniform(0.34, 0.43)
    flat, pen = rng.uniform(0.7, 1.0), rng.uniform(0.08, 0.15)
    lens: Tone = "ink" if rng.random() < 0.4 else "paper"
    drop = rng.uniform(-0.5, -0.2)
    parts: list[Part] = []
    for side in (-1.0, 1.0):
        centre = (side * apart, 0.0)
        hinge = side * (apart + radius - pen / 2)
        temple = np.array([[hinge, -0.05], [hinge + side * 0.14, drop * 0.6], [hinge + side * 0.08, drop - 0.2]])
        parts.append(Part(ribbon(temple, pen), "deep"))
        parts.append(Part(ellipse(centre, radius - pen / 2, (radius - pen / 2) * flat), lens))
        parts.append(Part(ring(centre, radius, radius * flat, pen), "body"))
    reach = apart - radius + pen * 0.6
    bridge = np.array([[-reach, 0.0], [-reach / 2, -0.08], [reach / 2, -0.08], [reach, 0.0]])
    return [*parts, Part(ribbon(bridge, pen), "body")]


def _house(rng: np.random.Generator) -> list[Part]:
    half, eaves = rng.uniform(0.55, 0.8), rng.uniform(0.08, 0.2)
    roof_line, ridge = rng.uniform(-0.25, 0.05), rng.uniform(0.0, 0.25)
    parts: list[Part] = []
    if rng.random() < 0.7:
        x = half * rng.uniform(0.35, 0.6)
        parts.append(Part(rectangle(x, -0.9, x + 0.2, roof_line), "deep"))
    parts.append(Part(rectangle(-half, roof_line - 0.02, half, 0.9), "body"))
    roof = [[-half - eaves, roof_line], [-ridge, -0.95], [ridge, -0.95], [half + eaves, roof_line]]
    parts.append(Part(np.array(roof), "accent"))
    door, width = half * rng.uniform(-0.6, 0.3), half * rng.uniform(0.3, 0.42)
    parts.append(Part(rectangle(door, rng.uniform(0.3, 0.45), door + width, 0.9), "deep"))
    pane = half * rng.uniform(0.26, 0.36)
    for x in (-half * 0.75, half * 0.75 - pane):
        top = roof_line + 0.12
        parts.append(Part(rectangle(x, top, x + pane, top + pane), "paper"))
        parts.append(Part(rectangle(x + pane * 0.44, top, x + pane * 0.56, top + pane), "ink"))
    return parts


def _key(rng: np.random.Generator) -> list[Part]:
    bow, tall = rng.uniform(0.27, 0.37), rng.uniform(0.8, 1.25)
    pen, shaft = rng.uniform(0.1, 0.15), rng.uniform(0.055, 0.085)
    neck = -1 + 2 * bow
    parts = [Part(rectangle(neck - pen * 0.8, -shaft, 1.0, shaft), "body")]
    width = rng.uniform(0.1, 0.14)
    for tooth in range(int(rng.integers(2, 4))):
        right = 1.0 - tooth * width * 1.7
        parts.append(Part(rectangle(right - width, 0.0, right, shaft + rng.uniform(0.15, 0.32)), "body"))
    parts.append(Part(ring((-1 + bow, 0), bow, bow * tall, pen), "body"))
    return [*parts, Part(rectangle(neck, -shaft * 1.7, neck + 0.08, shaft * 1.7), "deep")]


def _leaf(rng: np.random.Generator) -> list[Part]:
    width, fullest = rng.uniform(0.38, 0.6), rng.uniform(0.75, 1.3)
    y = np.linspace(-1.0, 0.6, 24)
    profile = width * np.sin(np.pi * np.linspace(0, 1, 24) ** fullest)
    if rng.random() < 0.5:
        profile[1:-1:2] *= rng.uniform(0.75, 0.88)
    parts = [Part(mirrored(np.stack([profile, y], 1)), "body")]
    bend = rng.uniform(-0.2, 0.2)
    stem = np.array([[0, -0.8], [0, 0.0], [0, 0.55], [bend, 1.0]])
    for start in np.linspace(-0.45, 0.35, int(rng.integers(3, 5))):
        reach = 0.7 * float(np.interp(start - 0.15, y, profile))
        for side in (-1.0, 1.0):
            vein = np.array([[0, start], [side * reach, start - 0.9 * reach]])
            parts.append(Part(ribbon(vein, np.array([0.05, 0.02])), "deep"))
    return [*parts, Part(ribbon(stem, np.array([0.03, 0.05, 0.07, 0.1])), "deep")]


def _mug(rng: np.random.Generator) -> list[Part]:
    half, tall = rng.uniform(0.48, 0.62), rng.uniform(0.55, 0.85)
    foot, lip = half * rng.uniform(0.75, 1.0), rng.uniform(0.09, 0.17)
    grip, pen = tall * rng.uniform(0.5, 0.68), rng.uniform(0.11, 0.17)
    handle = ring((half * 0.92, rng.uniform(-0.1, 0.08)), rng.uniform(0.38, 0.5), grip, pen)
    angle = np.linspace(0, np.pi, 12)
    base = np.stack([foot * np.cos(angle), tall + lip * np.sin(angle)], 1)
    body = np.concatenate([[[-half, -tall], [half, -tall]], base])
    parts = [Part(handle, "body"), Part(body, "body")]
    if rng.random() < 0.4:
        parts.append(Part(rectangle(-foot * 0.98, 0.0, foot * 0.98, rng.uniform(0.15, 0.3)), "accent"))
    inside: Tone = "ink" if rng.random() < 0.5 else "deep"
    parts.append(Part(ellipse((0, -tall), half, lip), "paper"))
    return [*parts, Part(ellipse((0, -tall), half * 0.88, lip * 0.75), inside)]


def _scissors(rng: np.random.Generator) -> list[Part]:
    opening, length = rng.uniform(0.12, 0.42), rng.uniform(0.95, 1.2)
    bow, pen, blade = rng.uniform(0.24, 0.32), rng.uniform(0.08, 0.12), rng.uniform(0.14, 0.2)
    parts: list[Part] = []
    for side in (-1.0, 1.0):
        along = np.array([side * np.sin(opening), -np.cos(opening)])
        across = np.array([-along[1], along[0]]) * side
        edge = np.stack([-0.35 * along, length * along, 0.1 * along - blade * across, -0.35 * along - 0.1 * across])
        parts.append(Part(edge, "body"))
        apart = max(bow * 1.02, 0.75 * float(np.sin(opening)) + 0.05)
        centre = (-side * apart, 0.42 + bow)
        arm = np.array([[0.0, 0.0], [-side * apart * 0.55, 0.48]])
        parts.append(Part(ribbon(arm, 0.13), "accent"))
        parts.append(Part(ring(centre, bow, bow * 1.25, pen), "accent"))
    return [*parts, Part(ellipse((0, 0), 0.06, 0.06, 10), "ink")]


def _star(rng: np.random.Generator) -> list[Part]:
    tips = int(rng.integers(5, 8))
    waist = rng.uniform(0.38, 0.55)
    angle = np.arange(2 * tips) * np.pi / tips - np.pi / 2
    radius = np.where(np.arange(2 * tips) % 2 == 0, 1.0, waist)
    outline = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
    if rng.random() < 0.3:
        outline = rounded(outline)
    parts = [Part(outline, "body")]
    if rng.random() < 0.5:
        parts.append(Part(outline * rng.uniform(0.45, 0.65), "accent" if rng.random() < 0.5 else "deep"))
    return parts


def _umbrella(rng: np.random.Generator) -> list[Part]:
    dome, hook = rng.uniform(0.6, 0.95), rng.uniform(0.12, 0.2)
    scallops = int(rng.integers(3, 6))
    angle = np.linspace(np.pi, 2 * np.pi, 20)
    top = np.stack([np.cos(angle), dome * np.sin(angle)], 1)
    x = np.linspace(1, -1, 8 * scallops + 1)
    hem = np.stack([x, -rng.uniform(0.1, 0.2) * np.abs(np.sin(np.pi * scallops * (x + 1) / 2))], 1)
    end = rng.uniform(0.7, 0.95)
    turn = np.linspace(0, np.pi, 10)
    curl = np.stack([hook - hook * np.cos(turn), end + hook * np.sin(turn)], 1)
    pole = np.concatenate([[[0, -dome - 0.12], [0, 0], [0, end - 0.05]], curl])
    parts = [Part(ribbon(pole, rng.uniform(0.07, 0.11)), "accent"), Part(np.concatenate([top, hem]), "body")]
    for knot in np.linspace(-1, 1, scallops + 1)[1:-1]:
        bow = np.array([[0, -dome], [knot * 0.65, -dome * 0.7], [knot, -0.02]])
        parts.append(Part(ribbon(bow, 0.035), "deep"))
    return parts


_SHAPES: dict[str, Callable[[np.random.Generator], list[Part]]] = {
    "bottle": _bottle,
    "fish": _fish,
    "glasses": _glasses,
    "house": _house,
    "key": _key,
    "leaf": _leaf,
    "mug": _mug,
    "scissors": _scissors,
    "star": _star,
    "umbrella": _umbrella,
}

KINDS = tuple(_SHAPES)
"""The ten kinds, in alphabetical order."""
