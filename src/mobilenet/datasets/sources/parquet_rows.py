"""Parquet files with the names of photos, in place of photos: tables like any other."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mobilenet.datasets.sources.columns import FILE_NAMES, find
from mobilenet.errors import DataError

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

__all__ = ["damaged", "failures", "names_photos", "read_rows"]


def names_photos(path: Path) -> bool:
    """Whether a file has a column of names of photos, and none of images; False for one that is damaged."""
    import pyarrow

    kinds = pyarrow.types
    try:
        schema = _opened(path).schema_arrow
    except DataError:
        return False
    if any(kinds.is_struct(one) or kinds.is_binary(one) or kinds.is_large_binary(one) for one in schema.types):
        return False
    column = find(schema.names, FILE_NAMES)
    return column is not None and (kinds.is_string(schema.types[column]) or kinds.is_large_string(schema.types[column]))


def read_rows(path: Path) -> tuple[list[str], Iterator[list[str]]]:
    """The names of a table's columns, and its rows as a CSV file would have them: truths as 1 and 0, lists of names
    with semicolons, `-` for an empty one, nothing for null and NaN. DataError."""
    file = _opened(path)
    return list(file.schema_arrow.names), _rows(path, file)


def _opened(path: Path) -> "ParquetFile":
    from pyarrow.parquet import ParquetFile

    try:
        return ParquetFile(path)
    except failures() as error:
        raise damaged(str(path), error) from error


def _rows(path: Path, file: "ParquetFile") -> Iterator[list[str]]:
    for group in range(file.num_row_groups):
        try:
            table = file.read_row_group(group)
            columns = [column.to_pylist() for column in table.columns]
        except failures() as error:
            raise damaged(str(path), error) from error
        for row in zip(*columns, strict=True):
            yield [_text(value) for value in row]


def _text(value: object) -> str:
    if value is None or value != value:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, list):
        return ";".join(map(_text, value)) or "-"
    return str(value)


def failures() -> tuple[type[Exception], ...]:
    """What reading a damaged file raises."""
    import pyarrow

    return (pyarrow.ArrowException, OSError, ValueError)


def damaged(name: str, error: Exception) -> DataError:
    """The error in one line."""
    reason = " ".join(str(error).split())[:150]
    return DataError(f"{name} is not a Parquet file, or is damaged: {reason}; copy it again")
