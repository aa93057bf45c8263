"""A CSV file with a column of file names and one of labels, as spreadsheets and other tools write it.

Separators are commas, semicolons, tabs or bars. File names are relative to the folder of the CSV file, or to one below
it that has the photos; those of another system (backslashes, another case) are found where they are unambiguous.
"""

import csv
import itertools
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TextIO, TypeVar

from mobilenet.datasets.sources.endings import ending_of, is_photo
from mobilenet.datasets.sources.folders import list_tree
from mobilenet.datasets.sources.split_names import Named, is_training, split_of_values
from mobilenet.errors import DataError

__all__ = ["CellTable", "Header", "Table", "is_table", "peek", "read_cells", "read_csv", "table_split"]

_ENDINGS = (".csv", ".tsv")
_SEPARATORS = ",;\t|"

_FILE_NAME = (
    "filename",
    "file",
    "filenames",
    "files",
    "filepath",
    "filepaths",
    "path",
    "paths",
    "imagepath",
    "imagepaths",
    "imgpath",
    "imagename",
    "imgname",
    "imagefile",
    "imagefilename",
    "image",
    "images",
    "img",
    "photo",
    "photos",
    "picture",
    "imageid",
    "imgid",
    "photoid",
    "id",
    "name",
)
_LABEL = (
    "label",
    "labels",
    "class",
    "classname",
    "classes",
    "classlabel",
    "category",
    "categoryname",
    "target",
    "targets",
    "labelname",
    "species",
)
_SPLIT = ("split", "datasplit", "subset", "partition", "dataset", "set", "phase", "usage")
"""Headers of columns, in order of preference, without case and punctuation: `File_Name` is `filename`."""

_SEPARATOR_LINE = re.compile(r'^"?sep=(.)"?$', re.IGNORECASE)
"""What Excel reads and writes before the header."""

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
class _Rows:
    """What has been read: the line of each file, the files that do not exist, and rows that are left out, with
    reasons."""

    lines: dict[str, int] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def file(self, files: "_Files", line: int, named: str) -> str:
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
                f"{path} line {self.lines[first]}: {first} does not exist in {path.parent}{more}; file names must be "
                "relative to the folder of the CSV file"
            )


class _Files:
    """The files in a folder and below, found by names that may be spelled as on another system, and that follow
    `below`."""

    def __init__(self, folder: Path, below: str = "") -> None:
        self._folder, self._below = str(folder), below
        self._listed: dict[str, dict[str, list[str]]] = {}

    def find(self, name: str) -> str | None:
        """The file as it is spelled here; None if there is none, or more than one.

        Unless a file matches exactly, backslashes are read as slashes, case is ignored, and a name without an ending
        matches a photo of that name with one.
        """
        name = self._below + name
        slashes = name.replace("\\", "/")
        for spelling in dict.fromkeys((name, slashes)):
            if os.path.exists(os.path.join(self._folder, spelling)):  # noqa: PTH110, PTH118 - a million files
                return spelling
        if slashes.startswith("/"):
            return None
        below = ""
        for part in slashes.split("/"):
            same = [part] if part in ("", ".", "..") else self._alike(below, part)
            if len(same) != 1:
                return None
            below += f"{same[0]}/"
        return below.removesuffix("/")

    def _alike(self, below: str, name: str) -> list[str]:
        if below not in self._listed:
            self._listed[below] = self._list(below)
        return self._listed[below].get(_key(name), [])

    def _list(self, below: str) -> dict[str, list[str]]:
        """Names in a folder by what identifies them; a photo also by its name without the ending."""
        try:
            names = sorted(os.listdir(os.path.join(self._folder, below)))  # noqa: PTH118, PTH208
        except (OSError, ValueError):
            return {}
        found: dict[str, list[str]] = {}
        stems: dict[str, list[str]] = {}
        for name in names:
            found.setdefault(_key(name), []).append(name)
            if is_photo(ending := ending_of(name)):
                stems.setdefault(_key(name[: -len(ending)]), []).append(name)
        return stems | found


def is_table(path: Path) -> bool:
    """Whether the path is a CSV file, or one with tabs."""
    return path.suffix.lower() in _ENDINGS and path.is_file()


def read_csv(path: Path, part: str | None = None) -> Table:
    """The labels in a CSV file, or in the `part` of its split.

    Rows without a file name or a label are left out; files that do not exist are listed, and are left out like photos
    that cannot be read. DataError if a column is missing, no file exists, or a file has two labels.
    """
    return _read(path, lambda files: _csv(path, part, files))


def peek(path: Path, rows: int) -> tuple[Header, list[list[str]]]:
    """The header of a CSV file and the cells of its first `rows` rows, as many as the header has; DataError."""
    with _opened(path) as text:
        _, cells, lines = _lines(text)
        header = _described(cells)
        full = ([_cell(row, place) for place in range(len(cells))] for _, row in lines if any(map(str.strip, row)))
        return header, list(itertools.islice(full, rows))


def read_cells(path: Path, columns: Sequence[int], part: str | None = None) -> CellTable:
    """The cells in the `columns` of a CSV file, by their places, or in the `part` of its split.

    As in `read_csv`, rows without a file name are left out, and missing files are listed. DataError if all files are
    missing, or the table has no column of file names.
    """
    return _read(path, lambda files: _cells(path, columns, part, files))


def table_split(path: Path) -> tuple[Named | None, tuple[str, ...]]:
    """The split that a column tells, by the values of its parts, and notes on rows without one, or on why
    the column is not used; DataError."""
    with _opened(path) as text:
        _, header, rows = _lines(text)
        column = _find(header, _SPLIT)
        if column is None or _find(header, _FILE_NAME) is None:
            return None, ()
        counts = Counter(_cell(row, column) for _, row in rows if any(map(str.strip, row)))
    name, without = header[column].strip(), counts.pop("", 0)
    values = list({value.casefold(): value for value in sorted(counts, reverse=True)}.values())
    split = split_of_values(values)
    if split is not None:
        return split, (f"{path}: rows without a {name} are not used: {without:,}",) if without else ()
    told = _normal(name) == "split" and not all(map(is_training, values))
    return None, (_unused(path, name, sorted(values)),) if told else ()


def _unused(path: Path, column: str, values: Sequence[str]) -> str:
    shown = ", ".join(values[:_SHOWN]) + (", …" if len(values) > _SHOWN else "")
    return f"{path}: the column {column} is not used: its values ({shown}) do not name training and validation photos"


def _read(path: Path, read: "Callable[[_Files], tuple[_Rows, _AnyTable]]") -> "_AnyTable":
    """A table whose file names are relative to its folder or, if none of those exists, to the only folder below that
    has the first of them; DataError."""
    found, table = read(_Files(path.parent))
    folder = _folder_with(path.parent, found.missing[0]) if found.lost else None
    if folder is None:
        found.check(path)
        return table
    found, moved = read(_Files(path.parent, f"{folder}/"))
    found.check(path)
    return replace(moved, notes=(f"{path}: its file names are relative to {folder}/", *moved.notes))


def _folder_with(root: Path, name: str) -> str | None:
    """The folder below `root`, relative to it, in which there is a photo of that name; None if there are none or
    several."""
    end = "/" + name.replace("\\", "/")
    folders = {file[: -len(end)] for file in list_tree(root).files if _key(f"/{file}").endswith(_key(end))}
    return folders.pop() if len(folders) == 1 and not name.startswith("/") else None


def _csv(path: Path, part: str | None, files: "_Files") -> tuple["_Rows", Table]:
    found, labels = _Rows(), dict[str, str]()
    with _opened(path) as text:
        columns, rows = _table(path, text, files)
        for line, row in _of_part(rows, columns.split, part):
            named, said = _cell(row, columns.file), unicodedata.normalize("NFC", _cell(row, columns.label))
            if not named or not said:
                found.left_out.append(f"line {line}: {'label' if named else 'file_name'} is empty")
                continue
            file = found.file(files, line, named)
            if labels.setdefault(file, said) != said:
                raise DataError(
                    f"{path} line {line}: {file} is labelled {said}, but {labels[file]} on line {found.lines[file]}"
                )
    return found, Table(labels, tuple(_notes(path, columns, found)))


def _cells(path: Path, columns: Sequence[int], part: str | None, files: "_Files") -> tuple["_Rows", CellTable]:
    found, cells = _Rows(), dict[str, list[tuple[int, tuple[str, ...]]]]()
    with _opened(path) as text:
        _, names, rows = _lines(text)
        header = _described(names)
        if header.file is None:
            raise _lacks(path, header.names, "file_name", "file names")
        for line, row in _of_part(rows, header.split, part):
            if not (named := _cell(row, header.file)):
                found.left_out.append(f"line {line}: file_name is empty")
                continue
            said = tuple(_cell(row, place) for place in columns)
            cells.setdefault(found.file(files, line, named), []).append((line, said))
    return found, CellTable(tuple(header.names[place] for place in columns), cells, tuple(_left_out(path, found)))


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    """The text of the file in UTF-8, or in UTF-16 with its mark, as Excel writes it; DataError."""
    try:
        with path.open("rb") as file:
            mark = file.read(2)
        encoding = "utf-16" if mark in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        with path.open(encoding=encoding, newline="") as text:
            yield text
    except (UnicodeError, csv.Error) as error:
        raise DataError(f"{path} is not a CSV file in UTF-8: {error}") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error


def _lines(text: TextIO) -> tuple[int, list[str], Iterator[tuple[int, list[str]]]]:
    """The number of the header's line, its cells, and the rows after it with the numbers of their lines.

    Lines before the header may be empty, name the separator, or be comments.
    """
    separators, first, header, separator = _SEPARATORS, 0, list[str](), ","
    for line in iter(text.readline, ""):
        first += 1
        stripped = line.strip("\r\n")
        if told := _SEPARATOR_LINE.match(stripped):
            separators = told[1]
            continue
        separator, header = _header(stripped, separators)
        if any(header) and (not stripped.startswith("#") or _find(header, _FILE_NAME) is not None):
            break
    reader = csv.reader(text, delimiter=separator, skipinitialspace=True, strict=True)
    return first, header, ((first + reader.line_num, row) for row in reader)


def _header(line: str, separators: str) -> tuple[str, list[str]]:
    """The separator with which a line has the columns that are needed, else the most columns; and its cells."""
    cut = {
        separator: next(csv.reader([line], delimiter=separator, skipinitialspace=True), []) for separator in separators
    }

    def fitness(separator: str) -> tuple[int, int]:
        cells = cut[separator]
        return sum(_find(cells, names) is not None for names in (_FILE_NAME, _LABEL)), len(cells)

    best = max(separators, key=fitness)
    return best, cut[best]


def _table(path: Path, text: TextIO, files: _Files) -> tuple[_Columns, Iterator[tuple[int, list[str]]]]:
    """The columns and the rows; DataError if a column is missing."""
    number, header, rows = _lines(text)
    names = tuple(name.strip() for name in header)
    file, label, split = (_find(header, known) for known in (_FILE_NAME, _LABEL, _SPLIT))
    if file is None and len(names) == 2 and is_photo(ending_of(names[0])) and files.find(names[0]) is not None:
        # No header: the first line is already a photo and its label.
        return _Columns((), 0, 1), itertools.chain([(number, header)], rows)
    others = [column for column in range(len(names)) if column not in (file, split)]
    if label is None and len(others) == 1:
        label = others[0]
    if file is None or label is None:
        raise _lacks(path, names, *(("file_name", "file names") if file is None else ("label", "labels")))
    return _Columns(names, file, label, split), rows


def _lacks(path: Path, names: Sequence[str], missing: str, meaning: str) -> DataError:
    return DataError(
        f"{path} has no column {missing}; it has: {', '.join(names) or 'none'}; rename that of the {meaning}"
    )


def _described(cells: Sequence[str]) -> Header:
    names = tuple(unicodedata.normalize("NFC", name.strip()) for name in cells)
    return Header(names, *(_find(cells, known) for known in (_FILE_NAME, _LABEL, _SPLIT)))


def _of_part(
    rows: Iterator[tuple[int, list[str]]], split: int | None, part: str | None
) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not empty, those of one part of the split if that is asked for."""
    for line, row in rows:
        if not any(map(str.strip, row)):
            continue
        if part is None or split is None or _cell(row, split).casefold() == part.casefold():
            yield line, row


def _find(header: Sequence[str], known: Sequence[str]) -> int | None:
    """The column with the first of these names that there is."""
    names = [_normal(name) for name in header]
    return next((names.index(name) for name in known if name in names), None)


def _normal(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()


def _cell(row: Sequence[str], column: int) -> str:
    """The text in a column, without surrounding spaces; empty beyond the end of a row."""
    return row[column].strip() if column < len(row) else ""


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _notes(path: Path, columns: _Columns, found: _Rows) -> Iterator[str]:
    if not columns.names:
        yield f"{path} has no header; its columns are taken for file_name and label"
    else:
        names = [columns.names[column] for column in (columns.file, columns.label)]
        if [_normal(name) for name in names] != ["filename", "label"]:
            yield f"{path}: the file names are in column {names[0]}, the labels in column {names[1]}"
    yield from _left_out(path, found)


def _left_out(path: Path, found: _Rows) -> Iterator[str]:
    if found.left_out:
        more = f" and {len(found.left_out) - _SHOWN:,} more" if len(found.left_out) > _SHOWN else ""
        yield f"{path}: rows left out: {', '.join(found.left_out[:_SHOWN])}{more}"
