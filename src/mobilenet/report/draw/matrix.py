"""A matrix of labels against answers as geometry for the page's SVG, readable from 2 to about 200 rows."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from mobilenet.report.draw.formats import short
from mobilenet.tasks.sections import Matrix

__all__ = ["Drawing", "Heading", "Square", "drawing"]

_MOST_ROWS = 200
"""Beyond this, squares would be smaller than 6 pixels."""

_WIDTH = 1040
_NUMBERED_SIDE = 22
"""Squares at least this wide show their count."""


@dataclass(frozen=True, slots=True)
class Square:
    """A square of the matrix, `x` and `y` in pixels; `share` (0…1) is its fraction of the row, for the colour."""

    x: float
    y: float
    count: int
    share: float
    label: str
    answer: str


@dataclass(frozen=True, slots=True)
class Heading:
    """A name beside its row and above its column: `at` is the centre of both, in pixels."""

    at: float
    text: str
    label: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """Sizes in pixels; empty squares are not drawn. The grid starts at (`margin`, `margin`); `right` of `total` counts
    are on its diagonal."""

    title: str
    side: float
    margin: float
    grid: float
    font: float
    numbered: bool
    squares: tuple[Square, ...]
    headings: tuple[Heading, ...]
    right: int
    total: int


def drawing(matrix: Matrix) -> Drawing | None:
    """The drawing of a matrix; None for more than 200 rows."""
    rows = len(matrix.labels)
    if rows > _MOST_ROWS:
        return None
    font = 12.5 if rows <= 40 else 9.0 if rows <= 100 else 5.0
    names = [short(name) for name in matrix.names or matrix.labels]
    # letters of ordinary names average at most 0.64 em; 12 pixels keep the names off the grid
    margin = max(len(name) for name in names) * font * 0.64 + 12
    side = min(56.0, (_WIDTH - margin) / rows)
    return Drawing(
        title=matrix.title,
        side=side,
        margin=margin,
        grid=side * rows,
        font=font,
        numbered=side >= _NUMBERED_SIDE,
        squares=tuple(_squares(matrix, side, margin)),
        headings=tuple(
            Heading(margin + (number + 0.5) * side, name, label)
            for number, (name, label) in enumerate(zip(names, matrix.labels, strict=True))
        ),
        right=sum(count for true, predicted, count in matrix.cells if true == predicted),
        total=sum(count for _, _, count in matrix.cells),
    )


def _squares(matrix: Matrix, side: float, margin: float) -> Iterator[Square]:
    rows: Counter[int] = Counter()
    for line, _, count in matrix.cells:
        rows[line] += count
    for line, column, count in matrix.cells:
        x, y = margin + column * side, margin + line * side
        yield Square(x, y, count, count / rows[line], matrix.labels[line], matrix.labels[column])
