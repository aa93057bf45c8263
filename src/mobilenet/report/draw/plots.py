"""Curves and calibration as inline SVG."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.ticker import MaxNLocator, PercentFormatter

from mobilenet.metrics.classification import CalibrationBin
from mobilenet.report.draw.svg import FIRST, INK, SECOND, STYLE, new_axes, to_svg

__all__ = ["Series", "curves", "reliability"]


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a plot: a value for each epoch."""

    name: str
    epochs: Sequence[int]
    values: Sequence[float]


def curves(name: str, description: str, series: Sequence[Series], *, unit: str = "") -> str:
    """Lines over epochs as an SVG element; `name` makes its ids unique on the page, `unit` is '%' for shares."""
    with mpl.rc_context(STYLE):
        figure, axes = new_axes(5.2, 3.2)
        for line, colour in zip(series, (FIRST, SECOND), strict=False):
            marker = "o" if len(line.values) < 2 else None
            axes.plot(line.epochs, line.values, color=colour, linewidth=2, marker=marker, label=line.name)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=True, min_n_ticks=1))
        axes.set_xlabel("epoch", color=INK)
        if unit == "%":
            axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
        if len(series) > 1:
            axes.legend(frameon=False, labelcolor=INK)
        return to_svg(figure, name, description)


def reliability(name: str, description: str, bins: Sequence[CalibrationBin]) -> str:
    """Accuracy in each bin of confidence against the diagonal of a perfectly calibrated model, as an SVG element."""
    filled = [row for row in bins if row.accuracy is not None]
    with mpl.rc_context(STYLE):
        figure, axes = new_axes(5.2, 4.2)
        widths = [row.upper - row.lower for row in filled]
        axes.bar(
            [row.lower for row in filled],
            [row.accuracy or 0.0 for row in filled],
            [width * 0.92 for width in widths],
            align="edge",
            color=FIRST,
            alpha=0.85,
        )
        axes.plot([0, 1], [0, 1], color=SECOND, linewidth=1.5, linestyle=(0, (4, 3)))
        axes.set(xlim=(0, 1), ylim=(0, 1.02))
        axes.set_xlabel("confidence", color=INK)
        axes.set_ylabel("accuracy", color=INK)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        return to_svg(figure, name, description)
