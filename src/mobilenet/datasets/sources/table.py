"""A table with a column of file names and one of labels, or several.

File names are relative to the folder of the table, or to one below it that has the photos; those of another system
(backslashes, another case) are found where they are unambiguous.
"""

import itertools
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from mobilenet.datasets.sources.columns import FILE_NAMES, LABELS, SPLITS, find, normal
from mobilenet.datasets.sources.endings import ending_of, is_photo
from mobilenet.datasets.sources.folders import list_tree
from mobilenet.datasets.sources.rows import Rows, opened_rows
from mobilenet.datasets.sources.spellings import Files, one_line, same_name
from mobilenet.datasets.sources.split_names import Named, is_training, split_of_values
from mobilenet.errors import DataError

__all__ = ["CellTable", "Header", "Table", "lacks", "peek", "read_cells", "read_table", "table_split"]

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Table:
    """{file: label} of the photos; `notes` say what was assumed and left out."""

    labels: Mapping[str, str]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Header:
    """The names of a table's columns, and the places of those of file names, classes and the split; None where there is
    none."""

    names: tuple[str, ...]
    file: int | None
    label: int | None
    split: int | None

    @property
    def others(self) -> tuple[int, ...]:
        """The places of all columns but those of file names and the split."""
        return tuple(place for place in range(len(self.names)) if place not in (self.file, self.split))


@dataclass(frozen=True, slots=True)
class CellTable:
    """The cells of the chosen `columns` of each photo's rows, usually one, with the numbers of their lines; `notes` say
    what was assumed and left out."""

    columns: tuple[str, ...]
    rows: Mapping[str, Sequence[tuple[int, tuple[str, ...]]]]
    notes: tuple[str, ...] = ()


_AnyTable = TypeVar("_AnyTable", bound=Table | CellTable)


@dataclass(frozen=True, slots=True)
class _Columns:
    """The indices of the columns, and the names of all; `split` is None if there is none."""

    names: tuple[str, ...]
    file: int
    label: int
    split: int | None = None


@dataclass(slots=True)
class _Seen:
    """What has been read: the line of each file, the files that do not exist, and rows that are left out, with
    reasons."""

    lines: dict[str, int] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def file(self, files: Files, line: int, named: str) -> str:
        """The file that a row is about, as it is spelled here."""
        found = files.find(named)
        if found is None:
            found = named
            self.missing.append(found)
        self.lines.setdefault(found, line)
        return found

    @property
    def lost(self) -> bool:
        """Whether there are files, but none exists."""
        return bool(self.lines) and len(set(self.missing)) == len(self.lines)

    def check(self, path: Path) -> None:
        """DataError if there are rows, but none that can be used."""
        if self.left_out and not self.lines:
            raise DataError(f"{path} {self.left_out[0]}")
        if self.lost:
            others = len(self.lines) - 1
            more = (
                f", nor {'does the other file' if others == 1 else f'do the other {others:,} files'}" if others else ""
            )
            first = self.missing[0]
            raise DataError(
                f"{path} line {self.lines[first]}: {one_line(first)} does not exist in {path.parent}{more}; "
                "file names must be relative to the folder of the table"
            )


def read_table(path: Path, part: str | None = None) -> Table:
    """The labels in a table, or in the `part` of its split.

    Rows without a file name or a label are left out; files that do not exist are listed, and are left out like photos
    that cannot be read. DataError if a column is missing, no file exists, or a file has two labels.
    """
    return _read(path, lambda files: _labels(path, part, files))


def peek(path: Path, rows: int) -> tuple[Header, list[list[str]]]:
    """The header of a table and the cells of its first `rows` rows, as many as the header has; DataError."""
    with _opened(path) as found:
        header, places = _described(found.header), range(len(found.header))
        full = ([_cell(row, place) for place in places] for _, row in found.rest)
        return header, list(itertools.islice(full, rows))


def read_cells(path: Path, columns: Sequence[int], part: str | None = None) -> CellTable:
    """The cells in the `columns` of a table, by their places, or in the `part` of its split.

    As in `read_csv`, rows without a file name are left out, and missing files are listed. DataError if all files are
    missing, or the table has no column of file names.
    """
    return _read(path, lambda files: _cells(path, columns, part, files))


def table_split(path: Path) -> tuple[Named | None, tuple[str, ...]]:
    """The split that a column tells, by the values of its parts, and notes on rows without one, or on why
    the column is not used; DataError."""
    with _opened(path) as found:
        header = found.header
        column = find(header, SPLITS)
        if column is None or find(header, FILE_NAMES) is None:
            return None, ()
        counts = Counter(_cell(row, column) for _, row in found.rest)
    name, without = header[column].strip(), counts.pop("", 0)
    values = list({value.casefold(): value for value in sorted(counts, reverse=True)}.values())
    split = split_of_values(values)
    if split is not None:
        return split, (f"{path}: rows without a {name} are not used: {without:,}",) if without else ()
    told = normal(name) == "split" and not all(map(is_training, values))
    return None, (_unused(path, name, sorted(values)),) if told else ()


def _unused(path: Path, column: str, values: Sequence[str]) -> str:
    shown = ", ".join(values[:_SHOWN]) + (", …" if len(values) > _SHOWN else "")
    return f"{path}: the column {column} is not used: its values ({shown}) do not name training and validation photos"


def _read(path: Path, read: "Callable[[Files], tuple[_Seen, _AnyTable]]") -> "_AnyTable":
    """A table whose file names are relative to its folder or, if none of those exists, to the only folder below that
    has the first of them; DataError."""
    found, table = read(Files(path.parent))
    folder = _folder_with(path.parent, found.missing[0]) if found.lost else None
    if folder is None:
        found.check(path)
        return table
    found, moved = read(Files(path.parent, f"{folder}/"))
    found.check(path)
    return replace(moved, notes=(f"{path}: its file names are relative to {folder}/", *moved.notes))


def _folder_with(root: Path, name: str) -> str | None:
    """The folder below `root`, relative to it, in which there is a photo of that name; None if there are none or
    several."""
    end = "/" + name.replace("\\", "/")
    folders = {file[: -len(end)] for file in list_tree(root).files if same_name(f"/{file}").endswith(same_name(end))}
    return folders.pop() if len(folders) == 1 and not name.startswith("/") else None


@contextmanager
def _opened(path: Path) -> Iterator[Rows]:
    """The rows that are not empty; DataError if there are none."""
    with opened_rows(path) as found:
        rows = ((line, row) for line, row in found.rest if any(map(str.strip, row)))
        first = next(rows, None)
        if first is None and found.header and not _is_photo_and_label(found.header):
            raise DataError(f"{path} contains no rows; add them below its header")
        yield replace(found, rest=rows if first is None else itertools.chain([first], rows))


def _is_photo_and_label(cells: Sequence[str]) -> bool:
    """Whether a first line may be a row of a table without a header."""
    return len(cells) == 2 and is_photo(ending_of(cells[0].strip()))


def _labels(path: Path, part: str | None, files: Files) -> tuple[_Seen, Table]:
    found, labels = _Seen(), dict[str, str]()
    with _opened(path) as opened:
        columns, rows = _table(path, opened, files)
        for line, row in _of_part(rows, columns.split, part):
            named, said = _cell(row, columns.file), unicodedata.normalize("NFC", _cell(row, columns.label))
            if not named or not said:
                found.left_out.append(f"line {line}: {'label' if named else 'file_name'} is empty")
                continue
            file = found.file(files, line, named)
            if labels.setdefault(file, said) != said:
                raise DataError(
                    f"{path} line {line}: {one_line(file)} is labelled {one_line(said)}, but {one_line(labels[file])} "
                    f"on line {found.lines[file]}"
                )
    return found, Table(labels, tuple(_notes(path, columns, found)))


def _cells(path: Path, columns: Sequence[int], part: str | None, files: Files) -> tuple[_Seen, CellTable]:
    found, cells = _Seen(), dict[str, list[tuple[int, tuple[str, ...]]]]()
    with _opened(path) as opened:
        header = _described(opened.header)
        if header.file is None:
            raise lacks(path, header.names, "file_name", "file names")
        for line, row in _of_part(opened.rest, header.split, part):
            if not (named := _cell(row, header.file)):
                found.left_out.append(f"line {line}: file_name is empty")
                continue
            said = tuple(_cell(row, place) for place in columns)
            cells.setdefault(found.file(files, line, named), []).append((line, said))
    return found, CellTable(tuple(header.names[place] for place in columns), cells, tuple(_left_out(path, found)))


def _table(path: Path, opened: Rows, files: Files) -> tuple[_Columns, Iterator[tuple[int, list[str]]]]:
    """The columns and the rows; DataError if a column is missing."""
    header, rows = opened.header, opened.rest
    names = tuple(name.strip() for name in header)
    file, label, split = (find(header, known) for known in (FILE_NAMES, LABELS, SPLITS))
    if file is None and _is_photo_and_label(names) and files.find(names[0]) is not None:
        # No header: the first line is already a photo and its label.
        return _Columns((), 0, 1), itertools.chain([(opened.first, header)], rows)
    others = [column for column in range(len(names)) if column not in (file, split)]
    if label is None and len(others) == 1:
        label = others[0]
    if file is None or label is None:
        raise lacks(path, names, *(("file_name", "file names") if file is None else ("label", "labels")))
    return _Columns(names, file, label, split), rows


def lacks(path: Path, names: Sequence[str], missing: str, meaning: str) -> DataError:
    """The error of a table without the column `missing`, that of the `meaning`, but with those of these names."""
    told = ", ".join(map(one_line, names)) or "none"
    return DataError(f"{path} has no column {missing}; it has: {told}; rename that of the {meaning}")


def _described(cells: Sequence[str]) -> Header:
    names = tuple(unicodedata.normalize("NFC", name.strip()) for name in cells)
    return Header(names, *(find(cells, known) for known in (FILE_NAMES, LABELS, SPLITS)))


def _of_part(
    rows: Iterator[tuple[int, list[str]]], split: int | None, part: str | None
) -> Iterator[tuple[int, list[str]]]:
    """The rows of one part of the split if that is asked for."""
    for line, row in rows:
        if part is None or split is None or _cell(row, split).casefold() == part.casefold():
            yield line, row


def _cell(row: Sequence[str], column: int) -> str:
    """The text in a column, without surrounding spaces; empty beyond the end of a row."""
    return row[column].strip() if column < len(row) else ""


def _notes(path: Path, columns: _Columns, found: _Seen) -> Iterator[str]:
    if not columns.names:
        yield f"{path} has no header; its columns are taken for file_name and label"
    else:
        names = [columns.names[column] for column in (columns.file, columns.label)]
        if [normal(name) for name in names] != ["filename", "label"]:
            yield f"{path}: the file names are in column {names[0]}, the labels in column {names[1]}"
    yield from _left_out(path, found)


def _left_out(path: Path, found: _Seen) -> Iterator[str]:
    if found.left_out:
        more = f" and {len(found.left_out) - _SHOWN:,} more" if len(found.left_out) > _SHOWN else ""
        yield f"{path}: rows left out: {', '.join(found.left_out[:_SHOWN])}{more}"
