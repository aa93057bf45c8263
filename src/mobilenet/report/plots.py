"""Curves as inline SVG whose colours are the page's CSS variables, so that they follow light and dark."""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, PercentFormatter, ScalarFormatter

from mobilenet.metrics.classification import CalibrationBin

__all__ = ["Dot", "Series", "curves", "frontier", "reliability"]

_INK, _GRID, _FIRST, _SECOND = "#010203", "#040506", "#070809", "#0a0b0c"
"""Colours that stand for CSS variables until the SVG is written."""

_VARIABLES = {_INK: "var(--muted)", _GRID: "var(--line)", _FIRST: "var(--accent)", _SECOND: "var(--second)"}

_STYLE: Any = {"svg.fonttype": "none", "svg.hashsalt": "mobilenet", "font.size": 11}
"""Text stays text, in the page's font; ids do not change from one writing to the next."""


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a plot: a value for each epoch."""

    name: str
    epochs: Sequence[int]
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class Dot:
    """A candidate of a search: `x` is what it takes, `accuracy` None where it was not trained."""

    name: str
    x: float
    accuracy: float | None
    full: bool
    chosen: bool


def frontier(name: str, description: str, dots: Sequence[Dot], *, x_label: str, limit: float | None) -> str:
    """Accuracy against cost on a logarithmic axis, the limit as a line, as an SVG element.

    Full dots were trained in full, rings for a shorter time; candidates that were not trained are strokes at the foot.
    """
    with mpl.rc_context(_STYLE):
        figure, axes = _axes(9.6, 4.6)
        axes.set_xscale("log")
        trained = [dot for dot in dots if dot.accuracy is not None]
        foot = min((dot.accuracy or 0.0 for dot in trained), default=0.0) - 0.03
        axes.vlines([dot.x for dot in dots if dot.accuracy is None], foot, foot + 0.008, color=_INK, linewidth=1.5)
        for dot in trained:
            face = _SECOND if dot.chosen else _FIRST if dot.full else "none"
            edge = _SECOND if dot.chosen else _FIRST
            axes.scatter([dot.x], [dot.accuracy or 0.0], s=90 if dot.chosen else 45, facecolor=face, edgecolor=edge)
            place = (7, 5 if dot.full else -11)
            axes.annotate(dot.name, (dot.x, dot.accuracy or 0.0), place, textcoords="offset points", color=_INK, size=9)
        if limit is not None:
            axes.axvline(limit, color=_SECOND, linewidth=1.5, linestyle=(0, (4, 3)))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.set_xlabel(x_label, color=_INK)
        axes.set_ylabel("top-1 on validation photos", color=_INK)
        axes.margins(x=0.08, y=0.12)
        return _svg(figure, name, description)


def curves(name: str, description: str, series: Sequence[Series], *, unit: str = "") -> str:
    """Lines over epochs as an SVG element; `name` makes its ids unique on the page, `unit` is '%' for shares."""
    with mpl.rc_context(_STYLE):
        figure, axes = _axes(5.2, 3.2)
        for line, colour in zip(series, (_FIRST, _SECOND), strict=False):
            marker = "o" if len(line.values) < 2 else None
            axes.plot(line.epochs, line.values, color=colour, linewidth=2, marker=marker, label=line.name)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=True, min_n_ticks=1))
        axes.set_xlabel("epoch", color=_INK)
        if unit == "%":
            axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
        if len(series) > 1:
            axes.legend(frameon=False, labelcolor=_INK)
        return _svg(figure, name, description)


def reliability(name: str, description: str, bins: Sequence[CalibrationBin]) -> str:
    """Accuracy in each bin of confidence against the diagonal of a perfectly calibrated model, as an SVG element."""
    filled = [row for row in bins if row.accuracy is not None]
    with mpl.rc_context(_STYLE):
        figure, axes = _axes(5.2, 4.2)
        widths = [row.upper - row.lower for row in filled]
        axes.bar(
            [row.lower for row in filled],
            [row.accuracy or 0.0 for row in filled],
            [width * 0.92 for width in widths],
            align="edge",
            color=_FIRST,
            alpha=0.85,
        )
        axes.plot([0, 1], [0, 1], color=_SECOND, linewidth=1.5, linestyle=(0, (4, 3)))
        axes.set(xlim=(0, 1), ylim=(0, 1.02))
        axes.set_xlabel("confidence", color=_INK)
        axes.set_ylabel("accuracy", color=_INK)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        return _svg(figure, name, description)


def _axes(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(_GRID)
    axes.grid(axis="y", color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_INK, length=0)
    return figure, axes


def _svg(figure: Figure, name: str, description: str) -> str:
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    text = buffer.getvalue()
    body = text[text.index(">", text.index("<svg")) + 1 :]
    for colour, variable in _VARIABLES.items():
        body = body.replace(colour, variable)
    body = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", body)
    width, height = (72 * inches for inches in figure.get_size_inches())
    return f'<svg role="img" aria-label="{escape(description)}" viewBox="0 0 {width:g} {height:g}">{body}'
