"""The confusion matrix as geometry for the page's SVG: readable from 2 to about 200 classes."""

from collections.abc import Sequence
from dataclasses import dataclass

from mobilenet.evaluate import Evaluation
from mobilenet.report.draw.formats import short

__all__ = ["Cell", "Confused", "Heading", "Matrix", "matrix", "most_confused"]

_MOST_CLASSES = 200
"""Beyond this a cell would be thinner than 6 pixels: the list of confusions says more."""

_WIDTH = 1040
_NUMBERED_SIDE = 22
"""Cells at least this wide carry their number."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A square of the matrix, `x` and `y` in pixels; `share` (0…1) is its part of the row, for the colour."""

    x: float
    y: float
    photos: int
    share: float
    label: str
    predicted: str


@dataclass(frozen=True, slots=True)
class Heading:
    """A class beside its row and above its column: `at` is the middle of both, in pixels."""

    at: float
    text: str
    label: str


@dataclass(frozen=True, slots=True)
class Matrix:
    """Sizes in pixels; empty cells are not drawn. The grid starts at (`margin`, `margin`); `right` photos are on its
    diagonal, of `photos` in all."""

    side: float
    margin: float
    grid: float
    font: float
    numbered: bool
    cells: tuple[Cell, ...]
    headings: tuple[Heading, ...]
    right: int
    photos: int


@dataclass(frozen=True, slots=True)
class Confused:
    """`photos` of `label` were taken for `predicted`; `share` of the photos of `label`."""

    label: str
    predicted: str
    photos: int
    share: float


def matrix(
    labels: Sequence[str], confusion: Sequence[Sequence[int]], names: Sequence[str] | None = None
) -> Matrix | None:
    """The drawing of `confusion[true][predicted]`; None with more than 200 classes.

    `names`, one for each label, stand at the rows and columns instead of the labels.
    """
    classes = len(labels)
    if classes > _MOST_CLASSES:
        return None
    font = 12.5 if classes <= 40 else 9.0 if classes <= 100 else 5.0
    names = [short(name) for name in names or labels]
    # no usual name has wider letters than 0.64 em in the mean; 12 pixels keep the names off the grid
    margin = max(len(name) for name in names) * font * 0.64 + 12
    side = min(56.0, (_WIDTH - margin) / classes)
    return Matrix(
        side=side,
        margin=margin,
        grid=side * classes,
        font=font,
        numbered=side >= _NUMBERED_SIDE,
        cells=tuple(_cells(labels, confusion, side, margin)),
        headings=tuple(
            Heading(margin + (number + 0.5) * side, name, label)
            for number, (name, label) in enumerate(zip(names, labels, strict=True))
        ),
        right=sum(row[number] for number, row in enumerate(confusion)),
        photos=sum(map(sum, confusion)),
    )


def most_confused(evaluation: Evaluation, most: int = 12) -> tuple[Confused, ...]:
    """The commonest wrong answers, most photos first."""
    pairs = [
        Confused(evaluation.labels[true], evaluation.labels[predicted], photos, photos / sum(row))
        for true, row in enumerate(evaluation.confusion)
        for predicted, photos in enumerate(row)
        if photos and true != predicted
    ]
    return tuple(sorted(pairs, key=lambda pair: (-pair.photos, -pair.share, pair.label, pair.predicted))[:most])


def _cells(labels: Sequence[str], confusion: Sequence[Sequence[int]], side: float, margin: float) -> list[Cell]:
    return [
        Cell(margin + column * side, margin + line * side, photos, photos / sum(row), label, predicted)
        for line, (label, row) in enumerate(zip(labels, confusion, strict=True))
        for column, (predicted, photos) in enumerate(zip(labels, row, strict=True))
        if photos
    ]
