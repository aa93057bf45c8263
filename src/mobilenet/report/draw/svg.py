"""Axes and SVG for all plots; colours are the page's CSS variables, so plots follow light and dark mode."""

import io
import re
from html import escape
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = ["FIRST", "FOURTH", "GRID", "INK", "SECOND", "STYLE", "THIRD", "new_axes", "to_svg"]

INK, GRID, FIRST, SECOND, THIRD, FOURTH = "#010203", "#040506", "#070809", "#0a0b0c", "#0d0e0f", "#101112"
"""Placeholder colours, replaced by CSS variables when the SVG is written."""

_VARIABLES = {
    INK: "var(--muted)",
    GRID: "var(--line)",
    FIRST: "var(--accent)",
    SECOND: "var(--second)",
    THIRD: "var(--t3)",
    FOURTH: "var(--t4)",
}

STYLE: Any = {"svg.fonttype": "none", "svg.hashsalt": "mobilenet", "font.size": 11}
"""Text stays text, in the page's font; ids are the same every time."""


def new_axes(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure of `width` by `height` inches, and its only axes."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(GRID)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, length=0)
    return figure, axes


def to_svg(figure: Figure, name: str, description: str) -> str:
    """An SVG element; `name` makes its ids unique on the page."""
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
