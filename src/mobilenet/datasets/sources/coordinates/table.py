"""Positions in a table: a column of photos, one of latitudes and one of longitudes."""

from collections.abc import Sequence
from pathlib import Path

from mobilenet.datasets.sources.columns import LABELS, LATITUDES, LONGITUDES, find
from mobilenet.datasets.sources.coordinates.degrees import parse_position
from mobilenet.datasets.sources.coordinates.position import Coordinates, Fault, Reason
from mobilenet.datasets.sources.coordinates.position_set import PositionSet, refuse_swapped, separated
from mobilenet.datasets.sources.table import lacks, peek, read_cells

__all__ = ["is_of_positions", "table_positions"]

_Row = tuple[int, tuple[str, ...]]


def is_of_positions(table: Path) -> bool:
    """Whether it has columns of latitudes and longitudes, and none of classes; DataError."""
    header, _ = peek(table, 1)
    return header.file is not None and None not in _columns(header.names) and find(header.names, LABELS) is None


def table_positions(path: Path, table: Path, part: str | None = None) -> PositionSet:
    """The positions in a table, or in the `part` of its split, under the path that was given.

    DataError if a column is missing, or if latitudes and longitudes are swapped.
    """
    header, _ = peek(table, 1)
    latitude, longitude = _columns(header.names)
    if latitude is None or longitude is None:
        missing = "latitude" if latitude is None else "longitude"
        raise lacks(table, header.names, missing, f"{missing}s")
    cells = read_cells(table, (latitude, longitude), part)
    photos, faults = separated((photo, _of_rows(photo, rows)) for photo, rows in cells.rows.items())
    refuse_swapped(path, photos, faults)
    return PositionSet(path, table.parent, photos, faults, notes=cells.notes)


def _columns(names: Sequence[str]) -> tuple[int | None, int | None]:
    return find(names, LATITUDES), find(names, LONGITUDES)


def _of_rows(photo: str, rows: Sequence[_Row]) -> Coordinates | Fault:
    """The one position of a photo in all of its rows; blank ones are ignored beside others."""
    found: dict[Coordinates, int] = {}
    blank: list[Fault] = []
    for line, cells in rows:
        said = parse_position(*cells)
        if isinstance(said, Coordinates):
            found.setdefault(said, line)
        elif said is Reason.NO_POSITION:
            blank.append(Fault(photo, said, f"line {line}"))
        else:
            return Fault(photo, said, f"line {line}: {cells[0]}, {cells[1]}")
    if len(found) > 1:
        return Fault(photo, Reason.CONTRADICTORY, f"lines {' and '.join(map(str, list(found.values())[:3]))}")
    return next(iter(found), None) or blank[0]
