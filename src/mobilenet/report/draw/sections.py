"""A task's sections about an evaluation -> blocks for the page template."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Literal

from mobilenet.evaluate import Mistake
from mobilenet.report.draw.formats import NOTHING, narrow
from mobilenet.report.draw.maps import DrawnMap, drawn_map
from mobilenet.report.draw.matrix import Drawing, drawing
from mobilenet.tasks.sections import (
    Bars,
    Cell,
    Column,
    Curves,
    Dots,
    Gallery,
    Map,
    Matrix,
    Part,
    Section,
    Table,
    in_words,
)

__all__ = ["Block", "DrawnCell", "DrawnMatrix", "DrawnSection", "DrawnTable", "Photo", "drawn_blocks", "drawn_section"]


@dataclass(frozen=True, slots=True)
class Photo:
    """A mistake with its thumbnail, a `data:` URL; None if the photo is gone."""

    mistake: Mistake
    image: str | None

    @property
    def wide(self) -> bool:
        """Whether the thumbnail shows the photo twice, as labelled and as predicted."""
        return bool(self.mistake.labelled_regions or self.mistake.predicted_regions)


@dataclass(frozen=True, slots=True)
class DrawnCell:
    """The text of a cell, and the length (0…1) of the bar beside it, if any."""

    text: str
    share: float | None = None


@dataclass(frozen=True, slots=True)
class DrawnTable:
    """`label` is for screen readers, `caption` is shown above the table unless empty."""

    label: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[DrawnCell, ...], ...]


@dataclass(frozen=True, slots=True)
class DrawnMatrix:
    """`heading` is empty where it repeats the section's title; `drawing` is None where there are too many rows."""

    heading: str
    drawing: Drawing | None
    too_large: str


@dataclass(frozen=True, slots=True)
class Block:
    """One block of the page, with the fields that its `kind` needs: `beside` has the diagram `svg` on the left and
    `blocks` on the right, `plots` have a title and an SVG element each."""

    kind: Literal["text", "table", "matrices", "gallery", "beside", "plots", "diagram", "map"]
    text: str = ""
    table: DrawnTable | None = None
    matrices: tuple[DrawnMatrix, ...] = ()
    photos: tuple[Photo, ...] = ()
    svg: str = ""
    blocks: tuple["Block", ...] = ()
    plots: tuple[tuple[str, str], ...] = ()
    map: DrawnMap | None = None


@dataclass(frozen=True, slots=True)
class DrawnSection:
    """A section of the page; `link` is its name in the navigation."""

    anchor: str
    link: str
    title: str
    note: str
    blocks: tuple[Block, ...]


def drawn_section(section: Section, photos: Sequence[Photo]) -> DrawnSection:
    """A section ready for the template; `photos` are the mistakes shown in a gallery."""
    link = section.anchor.replace("-", " ").capitalize()
    blocks = tuple(_blocks(section, section.parts, tuple(photos)))
    return DrawnSection(section.anchor, link, section.title, narrow(section.note), blocks)


def drawn_blocks(anchor: str, parts: Sequence[Part]) -> tuple[Block, ...]:
    """Parts that are in no section ready for the template; `anchor` makes their ids unique on the page."""
    return tuple(_blocks(Section(anchor, "", "", tuple(parts)), parts, ()))


def _blocks(section: Section, parts: Sequence[Part], photos: tuple[Photo, ...]) -> Iterator[Block]:
    """Consecutive matrices form one block; a reliability diagram stands beside all that follows it."""
    for kind, group in groupby(enumerate(parts), lambda part: type(part[1])):
        numbered = list(group)
        if kind is Matrix:
            matrices = (part for _, part in numbered if isinstance(part, Matrix))
            yield Block("matrices", matrices=tuple(_matrix(section, matrix) for matrix in matrices))
            continue
        for number, part in numbered:
            if isinstance(part, Bars):
                beside = tuple(_blocks(section, parts[number + 1 :], photos))
                yield Block("beside", svg=_diagram(section, part), blocks=beside)
                return
            yield _block(section, part, number, photos)


def _block(section: Section, part: Part, number: int, photos: tuple[Photo, ...]) -> Block:
    match part:
        case Table():
            return Block("table", table=_table(section, part))
        case Gallery():
            return Block("gallery", photos=tuple(_chosen(photos, part)))
        case Curves():
            return Block("plots", plots=tuple(_plots(f"{section.anchor}-{number}", part)))
        case Dots():
            return Block("diagram", svg=_dots(f"{section.anchor}-{number}", part))
        case Map():
            return Block("map", map=drawn_map(part))
        case str():
            return Block("text", text=narrow(part))
        case Matrix() | Bars():
            raise TypeError(f"{type(part).__name__} is not a block of its own")


def _chosen(photos: Sequence[Photo], gallery: Gallery) -> Iterator[Photo]:
    """Those of the mistakes that a gallery shows."""
    fitting = (photo for photo in photos if gallery.shows(photo.mistake.label, photo.mistake.predicted))
    return islice(fitting, gallery.most)


def _plots(name: str, part: Curves) -> Iterator[tuple[str, str]]:
    # Importing this module must not require matplotlib.
    from mobilenet.report.draw.plots import small_curve

    for number, curve in enumerate(part.plots):
        yield curve.title, small_curve(f"{name}-{number}", part.x, part.y, curve)


def _dots(name: str, part: Dots) -> str:
    # Importing this module must not require matplotlib.
    from mobilenet.report.draw.plots import dots

    return dots(name, part)


def _matrix(section: Section, matrix: Matrix) -> DrawnMatrix:
    heading = "" if matrix.title == section.title else matrix.title
    return DrawnMatrix(heading, drawing(matrix), matrix.too_large)


def _diagram(section: Section, bars: Bars) -> str:
    # Importing this module must not require matplotlib.
    from mobilenet.report.draw.plots import reliability

    return reliability(section.anchor, bars)


def _table(section: Section, table: Table) -> DrawnTable:
    caption = "" if table.caption == section.title else table.caption
    rows = tuple(
        tuple(_cell(value, column) for value, column in zip(row, table.columns, strict=True)) for row in table.rows
    )
    return DrawnTable(table.caption or section.title, caption, table.columns, rows)


def _cell(value: Cell, column: Column) -> DrawnCell:
    if isinstance(value, str):
        return DrawnCell(value)
    text = narrow(in_words(value, column.kind, column.digits) or NOTHING)
    bar = column.kind == "meter" and isinstance(value, int | float)
    return DrawnCell(text, float(value) if bar and isinstance(value, int | float) else None)
