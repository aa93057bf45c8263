"""Identities from folders, CSV files and shards, as classes are; pairs from a CSV file of two columns of photos."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mobilenet.datasets.reader import Place, Source
from mobilenet.datasets.remote.urls import spelled
from mobilenet.datasets.sources.find import read_source
from mobilenet.errors import DataError
from mobilenet.tasks.embedding.targets import Identities, Pairings

__all__ = ["identities", "is_pairs", "read_identities", "source_of", "targets_of"]

_HEADER = ("first", "second", "same")
_REMEDY = "give a row for each pair: first, second (two photos) and same (1 or 0)"
_SAME = {"1": True, "0": False, "true": True, "false": False, "same": True, "different": False}


@dataclass(frozen=True, slots=True)
class _Paired:
    """What a list of pairs says of a photo: the others that it is compared with, and whether they show the same."""

    others: tuple[tuple[str, bool], ...]


def is_pairs(place: object) -> bool:
    """Whether a place is a CSV file with the columns first, second and same."""
    if not isinstance(place, Path) or place.suffix.lower() != ".csv" or not place.is_file():
        return False
    try:
        with place.open(newline="", encoding="utf-8-sig") as file:
            return _columns(next(csv.reader(file), [])) is not None
    except (OSError, ValueError, csv.Error):
        return False


def source_of(place: Place) -> Source:
    """The class of each photo, or its pairs; DataError."""
    return _read_pairs(place) if isinstance(place, Path) and is_pairs(place) else read_source(place)


def read_identities(
    data: Path, train: Source, judges: Source | None
) -> tuple[Identities, Identities | Pairings | None]:
    """Those of the training photos, and the targets of the validation photos; DataError for pairs to train on, and for
    a single class."""
    if _are_pairs(train.annotations):
        raise DataError(f"{spelled(data)} contains pairs, which only measure a model; train on a folder for each class")
    found = identities(train)
    if len(found.names) < 2:
        raise DataError(
            f"{spelled(data)} has only one class, {found.names[0]}; put the photos of each class in a folder of its own"
        )
    return found, None if judges is None else targets_of(judges)


def targets_of(source: Source) -> Identities | Pairings:
    """The targets of the photos of a source, in their order."""
    return _pairings(source) if _are_pairs(source.annotations) else identities(source)


def identities(source: Source) -> Identities:
    """The classes of a source, sorted, and that of each photo."""
    names = tuple(sorted(set(source.annotations.values())))
    numbers = {name: number for number, name in enumerate(names)}
    found = (numbers[name] for name in source.annotations.values())
    return Identities(names, np.fromiter(found, np.int64, len(source.annotations)))


def _are_pairs(annotations: Mapping[str, Any]) -> bool:
    return any(isinstance(value, _Paired) for value in annotations.values())


def _pairings(source: Source) -> Pairings:
    place = {name: number for number, name in enumerate(source.annotations)}
    found = [
        (place[name], place[other], same)
        for name, paired in source.annotations.items()
        for other, same in paired.others
        if other in place
    ]
    pairs = np.array([pair[:2] for pair in found], np.int64).reshape(-1, 2)
    return Pairings(len(place), pairs, np.array([pair[2] for pair in found], np.bool_))


def _columns(header: list[str]) -> tuple[int, int, int] | None:
    names = [name.strip().casefold() for name in header]
    if not all(name in names for name in _HEADER):
        return None
    first, second, same = (names.index(name) for name in _HEADER)
    return first, second, same


def _read_pairs(path: Path) -> Source:
    """File names are relative to the folder of the list; rows that say nothing usable are left out, with a note."""
    others: dict[str, list[tuple[str, bool]]] = {}
    bad: list[int] = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            columns = _columns(next(reader, []))
            for row in reader:
                pair = _pair(row, columns)
                if pair is None:
                    bad.append(reader.line_num)
                    continue
                first, second, same = pair
                others.setdefault(first, []).append((second, same))
                others.setdefault(second, [])
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"cannot read {path}: {error}; write the columns {', '.join(_HEADER)} in UTF-8") from error
    lines = ", ".join(map(str, bad[:5])) + (f" and {len(bad) - 5:,} more" if len(bad) > 5 else "")
    notes = (f"{path}: rows without two files and a 0 or 1 are left out, in lines {lines}",) if bad else ()
    return Source(
        path, path.parent, {name: _Paired(tuple(pairs)) for name, pairs in others.items()}, notes=notes, remedy=_REMEDY
    )


def _pair(row: list[str], columns: tuple[int, int, int] | None) -> tuple[str, str, bool] | None:
    if columns is None or len(row) <= max(columns):
        return None
    first, second, said = (row[column].strip() for column in columns)
    same = _SAME.get(said.casefold())
    return (first, second, same) if first and second and first != second and same is not None else None
