"""What a report shows of an evaluation, as plain data: a task says what, the report and the terminal draw it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["Bars", "Cell", "Column", "Figure", "Gallery", "Matrix", "Part", "Section", "Table", "in_words"]

Cell = str | int | float | tuple[float, float] | None
"""Text, a count, a number, a share (0…1), or an interval of shares; None where there is nothing to say."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number: `value` is a share (0…1) unless `unit` says otherwise, `interval` its 95 % interval; `note`
    says what it is. What is not `prominent` stands in the table of `mobilenet evaluate` alone."""

    name: str
    value: float | None
    interval: tuple[float, float] | None = None
    note: str = ""
    unit: Literal["share", "number"] = "share"
    prominent: bool = True


@dataclass(frozen=True, slots=True)
class Column:
    """`kind` says how a cell is written: as text, as a number of things, as a measured number, as a share, as a share
    with a bar beside it, or as an interval of shares; shares have so many `digits` behind the point."""

    title: str
    kind: Literal["text", "count", "number", "share", "meter", "interval"] = "text"
    digits: int = 1


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells, one for each column; the first column names the row. Without a caption of its own it goes by the
    title of its section."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""
    on_terminal: bool = True


@dataclass(frozen=True, slots=True)
class Matrix:
    """`counts[true][answer]` of things named `labels`; `names`, where given, stand at rows and columns instead.
    `too_large` is said where there are too many of them to draw."""

    title: str
    labels: tuple[str, ...]
    counts: Sequence[Sequence[int]]
    names: tuple[str, ...] | None = None
    too_large: str = ""


@dataclass(frozen=True, slots=True)
class Bars:
    """A reliability diagram: for each range (lower, upper) of confidence how many answers, their mean confidence and
    how many of them were right."""

    description: str
    bins: tuple[tuple[float, float, int, float | None, float | None], ...]


@dataclass(frozen=True, slots=True)
class Gallery:
    """The worst mistakes of the evaluation, each with its photo."""


Part = Table | Matrix | Bars | Gallery | str
"""A string is a paragraph."""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page; `anchor` is its id in HTML, a word or several with hyphens. A reliability diagram stands
    beside what follows it."""

    anchor: str
    title: str
    note: str
    parts: tuple[Part, ...]


def in_words(value: Cell, kind: str = "text", digits: int = 1) -> str | None:
    """A cell of a column of that kind as people read it: `83.6 %`, `76.3 % to 88.9 %`, `1,204`; None stays None."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, tuple):
        return f"{100 * value[0]:.{digits}f} % to {100 * value[1]:.{digits}f} %"
    if kind in {"share", "meter"}:
        return f"{100 * value:.{digits}f} %"
    if kind == "number":
        return f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}"
    return f"{value:,}"
