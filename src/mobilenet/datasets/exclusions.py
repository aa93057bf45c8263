"""A list of photos to leave out: one name per line, relative to the data set, with `#` for comments.

A name that cannot be written as a line (with a line break, bytes that are not UTF-8, a leading `#` or quote, or
surrounding spaces) is written as a JSON string in double quotes.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mobilenet.datasets.remote.urls import whole_path
from mobilenet.errors import DataError
from mobilenet.files import atomic_write

__all__ = ["NOTHING", "Exclusions", "prefix_below", "read_exclusions", "write_exclusions"]


@dataclass(frozen=True, slots=True)
class Exclusions:
    """`names` as in the findings of a check: relative to the data set, or absolute; `path` is the file with them."""

    names: frozenset[str] = frozenset()
    path: Path | None = None

    def kept(self, annotations: Mapping[str, Any], prefix: str) -> dict[str, Any]:
        """{file: annotation} without the files whose `prefix` + file is excluded."""
        return {file: label for file, label in annotations.items() if prefix + file not in self.names}


NOTHING = Exclusions()


def prefix_below(base: Path, root: Path) -> str:
    """The prefix that makes a file in `root` a name relative to `base`: empty, folders and a slash, or `root`."""
    whole, above = whole_path(root), whole_path(base)
    if whole.is_relative_to(above):
        inner = whole.relative_to(above).as_posix()
        return "" if inner == "." else f"{inner}/"
    return f"{whole.as_posix()}/"


def read_exclusions(path: Path | None) -> Exclusions:
    """The list in a file, empty for None; DataError names the line that cannot be read."""
    if path is None:
        return NOTHING
    try:
        lines = path.read_bytes().decode("utf-8", "surrogateescape").split("\n")
    except OSError as error:
        raise DataError(f"cannot read the list {path}: {(error.strerror or str(error)).lower()}") from error
    names = set()
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if text and not text.startswith("#"):
            names.add(_quoted(path, number, text) if text.startswith('"') else text)
    return Exclusions(frozenset(names), path)


def write_exclusions(path: Path, photos: Iterable[tuple[str, str]]) -> None:
    """Write the list of (name, reason) atomically; StorageError."""
    lines = ["# Photos to leave out: mobilenet train DATA --exclude THIS. One name per line; delete those to keep."]
    for name, reason in photos:
        lines += [f"# {' '.join(reason.split())}", _line(name)]
    with atomic_write(path) as file:
        file.write(("\n".join(lines) + "\n").encode("utf-8", "backslashreplace"))


def _line(name: str) -> str:
    plain = name.isprintable() and name == name.strip() and not name.startswith(("#", '"'))
    return name if plain else json.dumps(name)


def _quoted(path: Path, number: int, text: str) -> str:
    try:
        name = json.loads(text)
    except ValueError as error:
        raise DataError(f"{path} line {number} begins with a quote but is not a JSON string: {error}") from error
    if not isinstance(name, str):
        raise DataError(f"{path} line {number} is not a JSON string")
    return name
