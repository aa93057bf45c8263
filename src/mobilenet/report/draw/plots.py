"""Learning curves and reliability diagrams as inline SVG."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from mobilenet.report.draw.svg import FIRST, FOURTH, INK, SECOND, STYLE, THIRD, new_axes, to_svg
from mobilenet.tasks.sections import Bars, Bin, Curve, Dots

__all__ = ["Series", "curves", "dots", "reliability", "small_curve"]


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a plot: a value per epoch."""

    name: str
    epochs: Sequence[int]
    values: Sequence[float]


def curves(name: str, description: str, series: Sequence[Series], *, unit: str = "") -> str:
    """Lines over epochs as an SVG element; `name` makes its ids unique on the page, `unit` is '%' for shares."""
    with mpl.rc_context(STYLE):
        figure, axes = new_axes(5.2, 3.2)
        for line, colour in zip(series, cycle((FIRST, SECOND, THIRD, FOURTH)), strict=False):
            marker = "o" if len(line.values) < 2 else None
            axes.plot(line.epochs, line.values, color=colour, linewidth=2, marker=marker, label=line.name)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=True, min_n_ticks=1))
        axes.set_xlabel("epoch", color=INK)
        if unit == "%":
            axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
        if len(series) > 1:
            axes.legend(frameon=False, labelcolor=INK)
        return to_svg(figure, name, description)


def _accuracies(axes: Axes, bins: Sequence[Bin], label: str, **look: Any) -> None:
    filled = [(lower, upper - lower, right) for lower, upper, _, _, right in bins if right is not None]
    lefts, widths, heights = (list(values) for values in zip(*filled, strict=True)) if filled else ([], [], [])
    axes.bar(lefts, heights, [width * 0.92 for width in widths], align="edge", label=label, **look)


def reliability(name: str, bars: Bars) -> str:
    """A reliability diagram, accuracy by confidence against the diagonal of perfect calibration, as an SVG element;
    `name` makes its ids unique on the page."""
    with mpl.rc_context(STYLE):
        figure, axes = new_axes(5.2, 4.2)
        _accuracies(axes, bars.bins, "after calibration", color=FIRST, alpha=0.85)
        if bars.before:
            _accuracies(axes, bars.before, "before", fill=False, edgecolor=INK, linewidth=1.2)
            # Above the axes: bars may be anywhere inside.
            axes.legend(frameon=False, labelcolor=INK, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
        axes.plot([0, 1], [0, 1], color=SECOND, linewidth=1.5, linestyle=(0, (4, 3)))
        axes.set(xlim=(0, 1), ylim=(0, 1.02))
        axes.set_xlabel("confidence", color=INK)
        axes.set_ylabel("accuracy", color=INK)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        return to_svg(figure, name, bars.description)


def small_curve(name: str, x: str, y: str, curve: Curve) -> str:
    """One curve of shares over shares with the level of guessing, as an SVG element; `name` makes its ids unique on the
    page, `x` and `y` are the titles of the axes."""
    with mpl.rc_context({**STYLE, "font.size": 9}):
        figure, axes = new_axes(2.5, 2.1)
        axes.axhline(curve.level, color=SECOND, linewidth=1.2, linestyle=(0, (4, 3)))
        across, up = zip(*curve.points, strict=True)
        axes.plot(across, up, color=FIRST, linewidth=2, drawstyle="steps-pre")
        if curve.marked is not None:
            axes.plot(*curve.marked, color=INK, marker="o", markersize=5)
        axes.set(xlim=(0, 1.02), ylim=(0, 1.04))
        axes.set_xlabel(x, color=INK)
        axes.set_ylabel(y, color=INK)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(nbins=4))
            axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        return to_svg(figure, name, f"{y} over {x}: {curve.title}")


def dots(name: str, plot: Dots) -> str:
    """Points and marks by two shares as an SVG element; `name` makes its ids unique on the page."""
    with mpl.rc_context(STYLE):
        figure, axes = new_axes(5.2, 4.2)
        axes.plot(*_apart(plot.points), "o", color=FIRST, alpha=0.45, markersize=3.5, label=plot.names[0])
        look: dict[str, Any] = {
            "markersize": 8,
            "markerfacecolor": "none",
            "markeredgecolor": SECOND,
            "markeredgewidth": 1.6,
        }
        axes.plot(*_apart(plot.marks), "s", label=plot.names[1], **look)
        axes.legend(frameon=False, labelcolor=INK, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        axes.set_xlabel(plot.x, color=INK)
        axes.set_ylabel(plot.y, color=INK)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        return to_svg(figure, name, plot.description)


def _apart(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]
