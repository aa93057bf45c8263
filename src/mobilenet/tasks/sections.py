"""The contents of an evaluation report as plain data: a task provides them, the report and the terminal render them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = [
    "Area",
    "Bars",
    "Bin",
    "Cell",
    "Circle",
    "Column",
    "Curve",
    "Curves",
    "Degrees",
    "Dots",
    "Figure",
    "Gallery",
    "Map",
    "Matrix",
    "Part",
    "Section",
    "Spot",
    "Table",
    "in_words",
]

Cell = str | int | float | tuple[float, float] | None
"""Text, a count, a number, a share (0…1), or an interval of shares; None for no value."""


Bin = tuple[float, float, int, float | None, float | None]
"""A range of confidence: lower and upper bound, number of predictions, mean confidence, accuracy; None for no value."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number: `value` is a share (0…1) unless `unit` says otherwise, `interval` its 95 % interval, `note`
    an explanation. Figures that are not `prominent` are shown only in the table of `mobilenet evaluate`."""

    name: str
    value: float | None
    interval: tuple[float, float] | None = None
    note: str = ""
    unit: Literal["share", "number"] = "share"
    prominent: bool = True


@dataclass(frozen=True, slots=True)
class Column:
    """`kind` is the format of the cells: text, a count, a measured number, a share, a share with a bar beside it, or an
    interval of shares; shares have `digits` decimals."""

    title: str
    kind: Literal["text", "count", "number", "share", "meter", "interval"] = "text"
    digits: int = 1


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells, one per column; the first column names the row. The default caption is the section's title."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""
    on_terminal: bool = True


@dataclass(frozen=True, slots=True)
class Matrix:
    """`cells` (true, predicted, count) for `labels`, by their indices, row by row; all others are zero. `names`, if
    given, label the rows and columns instead. `too_large` is shown if there are too many to draw."""

    title: str
    labels: tuple[str, ...]
    cells: Sequence[tuple[int, int, int]]
    names: tuple[str, ...] | None = None
    too_large: str = ""


@dataclass(frozen=True, slots=True)
class Bars:
    """A reliability diagram: for each range (lower, upper) of confidence the number of predictions, their mean
    confidence and their accuracy; `before`, if given, the same before calibration, drawn as outlines."""

    description: str
    bins: tuple[Bin, ...]
    before: tuple[Bin, ...] = ()


@dataclass(frozen=True, slots=True)
class Gallery:
    """The worst mistakes of the evaluation, each with its photo; only those with one of these predictions and one of
    these labels, if given, and `most` of them."""

    predicted: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    most: int = 24

    def shows(self, label: str, predicted: str) -> bool:
        """Whether mistakes with that label and prediction belong here."""
        return (not self.predicted or predicted in self.predicted) and (not self.labels or label in self.labels)


@dataclass(frozen=True, slots=True)
class Curve:
    """A curve through `points` (x, y), shares 0…1; `level` is the height of guessing, `marked` the point in use."""

    title: str
    points: tuple[tuple[float, float], ...]
    level: float
    marked: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Curves:
    """Small plots side by side, with the same titles of their axes."""

    x: str
    y: str
    plots: tuple[Curve, ...]


@dataclass(frozen=True, slots=True)
class Dots:
    """A plot of `points` (x, y), shares of 0 or more, and of `marks` among them; `x` and `y` are the titles of its
    axes, `names` say what points and marks are."""

    description: str
    x: str
    y: str
    names: tuple[str, str]
    points: tuple[tuple[float, float], ...]
    marks: tuple[tuple[float, float], ...]


Degrees = tuple[float, float]
"""A place: latitude (-90…90, north) and longitude (-180…180, east)."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A place on a map: the true one of a photo, or a predicted one; `title` is shown for the mouse."""

    place: Degrees
    kind: Literal["true", "predicted"]
    title: str = ""


@dataclass(frozen=True, slots=True)
class Area:
    """A part of the Earth: its corners with the inside on the left (counterclockwise from above), joined by great
    circles; the more intense its colour, the larger `value` (0…1)."""

    corners: tuple[Degrees, ...]
    value: float
    title: str = ""


@dataclass(frozen=True, slots=True)
class Circle:
    """All within `radius_km` of a place."""

    centre: Degrees
    radius_km: float
    title: str = ""


@dataclass(frozen=True, slots=True)
class Map:
    """A map with areas, circles, lines from true to predicted places, and spots, drawn in this order.

    `description` is for those who cannot see it, `key` says below it what is what. It shows the whole world, or with
    `extent="content"` only what is around its contents.
    """

    description: str
    spots: tuple[Spot, ...] = ()
    errors: tuple[tuple[Degrees, Degrees], ...] = ()
    areas: tuple[Area, ...] = ()
    circles: tuple[Circle, ...] = ()
    key: tuple[tuple[Literal["true", "predicted", "error", "area", "circle"], str], ...] = ()
    extent: Literal["world", "content"] = "world"


Part = Table | Matrix | Bars | Gallery | Curves | Dots | Map | str
"""A string is a paragraph."""


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the page; `anchor` is its id in HTML, one or more words joined by hyphens. A reliability diagram is
    placed beside the part that follows it."""

    anchor: str
    title: str
    note: str
    parts: tuple[Part, ...]


def in_words(value: Cell, kind: str = "text", digits: int = 1) -> str | None:
    """A cell formatted for its kind of column: `83.6 %`, `76.3 % to 88.9 %`, `1,204`; None stays None."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, tuple):
        return f"{100 * value[0]:.{digits}f} % to {100 * value[1]:.{digits}f} %"
    if kind in {"share", "meter"}:
        return f"{100 * value:.{digits}f} %"
    if kind == "number":
        return f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}"
    return f"{value:,}"
