"""Accuracy against cost of every candidate of a search, as inline SVG."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from mobilenet.report.draw.labels import Box, place
from mobilenet.report.draw.svg import FIRST, INK, SECOND, STYLE, new_axes, to_svg

__all__ = ["Dot", "Kind", "Lines", "frontier"]

Kind = Literal["chosen", "beaten", "failed", "short", "untried"]

_LOOKS: dict[Kind, tuple[str, dict[str, Any]]] = {
    "chosen": ("chosen", {"s": 90, "facecolor": SECOND, "edgecolor": SECOND}),
    "beaten": ("fully trained, file fits", {"s": 45, "facecolor": FIRST, "edgecolor": FIRST}),
    "failed": ("fully trained, file fails", {"s": 55, "marker": "x", "color": FIRST, "linewidth": 2}),
    "short": ("short training", {"s": 45, "facecolor": "none", "edgecolor": FIRST}),
    "untried": ("not trained", {"s": 45, "marker": "|", "color": INK, "linewidth": 1.5}),
}
"""The name of each kind in the legend, and its style."""

_NAME_SIZE = 9.0
_DOT = 5.0
"""Clearance of names from a dot's centre, in points."""

_FOOT = 0.03
"""Where strokes of untrained candidates stand, as a fraction of the plot's height."""

_TICKS = ((1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 5.0, 7.0), tuple(number / 10 for number in range(10, 100)))


@dataclass(frozen=True, slots=True)
class Dot:
    """A candidate: `x` is its cost, `accuracy` is None if it was not trained; `note` follows its name."""

    name: str
    x: float
    accuracy: float | None
    kind: Kind
    note: str = ""

    @property
    def label(self) -> str:
        """The text beside the dot."""
        return f"{self.name}, {self.note}" if self.note else self.name


@dataclass(frozen=True, slots=True)
class Lines:
    """Limits to draw, None for none: the budget, the budget less the reserve, the required accuracy."""

    budget: float | None = None
    choosing: float | None = None
    accuracy: float | None = None


def frontier(name: str, description: str, dots: Sequence[Dot], lines: Lines, x_label: str, noun: str) -> str:
    """An SVG element with a logarithmic axis, a legend, and names that do not overlap; `noun` is what the task calls
    accuracy."""
    with mpl.rc_context(STYLE):
        figure, axes = new_axes(9.6, 4.9)
        axes.set_xscale("log")
        _scale(axes, dots, lines)
        _draw_lines(axes, lines, noun)
        for kind in _LOOKS:
            _draw_dots(axes, kind, [dot for dot in dots if dot.kind == kind])
        axes.set_xlabel(x_label, color=INK)
        axes.set_ylabel(f"{noun} on validation photos", color=INK)
        figure.legend(loc="outside lower center", ncols=4, frameon=False, labelcolor=INK, fontsize=10)
        _name(figure, axes, sorted((dot for dot in dots if dot.accuracy is not None), key=_importance), lines)
        return to_svg(figure, name, description)


def _scale(axes: Axes, dots: Sequence[Dot], lines: Lines) -> None:
    """Scale both axes to hold every dot and line, with ticks at round numbers and no two labels alike."""
    across = [dot.x for dot in dots] + [x for x in (lines.budget, lines.choosing) if x is not None]
    left, right = min(across), max(across)
    room = (right / left) ** 0.08 if right > left else 1.5
    axes.set_xlim(left / room, right * room)
    axes.xaxis.set_major_locator(FixedLocator(_round_numbers(left / room, right * room)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:.3g}"))
    up = [dot.accuracy for dot in dots if dot.accuracy is not None]
    up += [] if lines.accuracy is None else [lines.accuracy]
    low, high = (min(up), max(up)) if up else (0.0, 1.0)
    room = max(0.12 * (high - low), 0.01)
    axes.set_ylim(low - 1.5 * room, high + room)
    bottom, top = axes.get_ylim()
    ticks = MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]).tick_values(bottom, top)
    ticks = [tick for tick in ticks if bottom <= tick <= min(top, 1 + 1e-9)]
    digits = next((few for few in range(3) if all(_is_whole(100 * tick * 10**few) for tick in ticks)), 3)
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{100 * y:.{digits}f}\u202f%"))


def _is_whole(number: float) -> bool:
    return math.isclose(number, round(number), abs_tol=1e-6)


def _round_numbers(low: float, high: float) -> list[float]:
    """At least three round numbers from `low` to `high`, if tenths of a power of ten are fine enough."""
    found: list[float] = []
    for digits in _TICKS:
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        found = [digit * 10.0**power for power in powers for digit in digits if low <= digit * 10.0**power <= high]
        if len(found) >= 3:
            break
    return found[:: math.ceil(len(found) / 12)]


def _draw_lines(axes: Axes, lines: Lines, noun: str) -> None:
    look: dict[str, Any] = {"color": SECOND, "linewidth": 1.5, "linestyle": (0, (4, 3))}
    if lines.budget is not None:
        axes.axvline(lines.budget, label="budget", gid="budget", **look)
    if lines.choosing is not None:
        axes.axvline(lines.choosing, label="budget less reserve", gid="choosing", **{**look, "alpha": 0.45})
    if lines.accuracy is not None:
        axes.axhline(lines.accuracy, label=f"required {noun}", gid="accuracy", **look)


def _draw_dots(axes: Axes, kind: Kind, dots: Sequence[Dot]) -> None:
    if not dots:
        return
    label, look = _LOOKS[kind]
    # Strokes stand at the bottom, whatever the accuracies are.
    transform = axes.get_xaxis_transform() if kind == "untried" else axes.transData
    up = [_FOOT if dot.accuracy is None else dot.accuracy for dot in dots]
    axes.scatter([dot.x for dot in dots], up, zorder=3, label=label, gid=kind, transform=transform, **look)


def _importance(dot: Dot) -> int:
    return list(_LOOKS).index(dot.kind)


def _name(figure: Figure, axes: Axes, dots: Sequence[Dot], lines: Lines) -> None:
    figure.draw_without_rendering()
    points = [_points(figure, axes, dot.x, dot.accuracy or 0.0) for dot in dots]
    taken = [Box(x - _DOT, y - _DOT, x + _DOT, y + _DOT) for x, y in points]
    corners = zip(axes.get_xlim(), axes.get_ylim(), strict=True)
    first, last = (_points(figure, axes, *corner) for corner in corners)
    within = Box(*first, *last)
    taken += list(_line_boxes(figure, axes, lines, within))
    boxes = place([dot.label for dot in dots], points, taken, within, _NAME_SIZE)
    for dot, (x, y), box in zip(dots, points, boxes, strict=True):
        words = axes.annotate(
            dot.label,
            (dot.x, dot.accuracy or 0.0),
            (box.left - x, box.bottom - y + 0.2 * _NAME_SIZE),
            textcoords="offset points",
            color=INK,
            size=_NAME_SIZE,
        )
        words.set_in_layout(False)


def _points(figure: Figure, axes: Axes, x: float, y: float) -> tuple[float, float]:
    """The position of a data point in the figure, in points."""
    across, up = axes.transData.transform((x, y)) * 72 / figure.dpi
    return float(across), float(up)


def _line_boxes(figure: Figure, axes: Axes, lines: Lines, within: Box) -> Iterator[Box]:
    for x in (lines.budget, lines.choosing):
        if x is not None:
            across, _ = _points(figure, axes, x, axes.get_ylim()[0])
            yield Box(across - 2, within.bottom, across + 2, within.top)
    if lines.accuracy is not None:
        _, up = _points(figure, axes, axes.get_xlim()[0], lines.accuracy)
        yield Box(within.left, up - 2, within.right, up + 2)
