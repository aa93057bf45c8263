"""The rows of a table of file names, as text: CSV as spreadsheets and other tools write it, or Parquet.

Separators of a CSV file are commas, semicolons, tabs or bars.
"""

import csv
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from mobilenet.datasets.sources.columns import FILE_NAMES, LABELS, find
from mobilenet.errors import DataError

__all__ = ["Rows", "is_table", "opened_rows"]

_ENDINGS = (".csv", ".tsv")
_PARQUET = ".parquet"
_SEPARATORS = ",;\t|"

_SEPARATOR_LINE = re.compile(r'^"?sep=(.)"?$', re.IGNORECASE)
"""What Excel reads and writes before the header."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The cells of the header, which is on line `first`, and the rows after it with the numbers of their lines."""

    first: int
    header: list[str]
    rest: Iterator[tuple[int, list[str]]]


def is_table(path: Path) -> bool:
    """Whether the path is a CSV file, one with tabs, or a Parquet file with names of photos in place of photos."""
    ending = path.suffix.lower()
    if ending not in (*_ENDINGS, _PARQUET) or not path.is_file():
        return False
    if ending != _PARQUET:
        return True
    try:
        # It needs an optional package; without it, whoever reads photos from the file says so.
        from mobilenet.datasets.sources.parquet_rows import names_photos
    except ModuleNotFoundError:
        return False
    return names_photos(path)


@contextmanager
def opened_rows(path: Path) -> Iterator[Rows]:
    """The rows of the file; DataError if it cannot be read.

    A CSV file is in UTF-8, or in UTF-16 with its mark, as Excel writes it. A row of a Parquet file has the number of
    the line that it would have in a CSV file.
    """
    if path.suffix.lower() == _PARQUET:
        from mobilenet.datasets.sources.parquet_rows import read_rows

        header, rows = read_rows(path)
        yield Rows(1, header, ((number, row) for number, row in enumerate(rows, 2)))
        return
    try:
        with path.open("rb") as file:
            mark = file.read(2)
        encoding = "utf-16" if mark in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        with path.open(encoding=encoding, newline="") as text:
            yield _lines(text)
    except (UnicodeError, csv.Error) as error:
        raise DataError(f"{path} is not a CSV file in UTF-8: {error}") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error


def _lines(text: TextIO) -> Rows:
    """Lines before the header may be empty, name the separator, or be comments."""
    separators, first, header, separator = _SEPARATORS, 0, list[str](), ","
    for line in iter(text.readline, ""):
        first += 1
        stripped = line.strip("\r\n")
        if told := _SEPARATOR_LINE.match(stripped):
            separators = told[1]
            continue
        separator, header = _header(stripped, separators)
        if any(header) and (not stripped.startswith("#") or find(header, FILE_NAMES) is not None):
            break
    reader = csv.reader(text, delimiter=separator, skipinitialspace=True, strict=True)
    return Rows(first, header, ((first + reader.line_num, row) for row in reader))


def _header(line: str, separators: str) -> tuple[str, list[str]]:
    """The separator with which a line has the columns that are needed, else the most columns; and its cells."""
    cut = {
        separator: next(csv.reader([line], delimiter=separator, skipinitialspace=True), []) for separator in separators
    }

    def fitness(separator: str) -> tuple[int, int]:
        cells = cut[separator]
        return sum(find(cells, names) is not None for names in (FILE_NAMES, LABELS)), len(cells)

    best = max(separators, key=fitness)
    return best, cut[best]
