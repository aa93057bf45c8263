"""A CSV file with the columns `file_name` and `label`; file names are relative to the folder of the CSV file."""

import csv
import os
import unicodedata
from pathlib import Path

from mobilenet.errors import DataError

__all__ = ["read_csv"]

_COLUMNS = ("file_name", "label")


def read_csv(path: Path) -> dict[str, str]:
    """{file: label}; DataError names the line of a problem: a missing column, an empty field, a missing file."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            labels, lines = _read_rows(path, csv.DictReader(file, strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not a CSV file in UTF-8: {error}") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error
    _check_files(path, lines)
    return labels


def _read_rows(path: Path, reader: "csv.DictReader[str]") -> tuple[dict[str, str], dict[str, int]]:
    found = tuple(reader.fieldnames or ())
    for column in _COLUMNS:
        if column not in found:
            raise DataError(f"{path} has no column {column}; it has: {', '.join(found) or 'none'}")
    labels: dict[str, str] = {}
    lines: dict[str, int] = {}
    for row in reader:
        file, label = ((row[column] or "").strip() for column in _COLUMNS)
        if not file or not label:
            raise DataError(f"{path} line {reader.line_num}: {'label' if file else 'file_name'} is empty")
        label = unicodedata.normalize("NFC", label)
        if labels.setdefault(file, label) != label:
            raise DataError(
                f"{path} line {reader.line_num}: {file} is labelled {label}, but {labels[file]} on line {lines[file]}"
            )
        lines.setdefault(file, reader.line_num)
    return labels, lines


def _check_files(path: Path, lines: dict[str, int]) -> None:
    folder = str(path.parent)
    missing = [file for file in lines if not os.path.exists(os.path.join(folder, file))]  # noqa: PTH110, PTH118
    if missing:
        others = f", nor do {len(missing) - 1} other files" if len(missing) > 1 else ""
        raise DataError(f"{path} line {lines[missing[0]]}: {missing[0]} does not exist in {folder}{others}")
