"""What a cell, or a field of JSON, says of attributes."""

import math
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from mobilenet.errors import DataError
from mobilenet.tasks.attributes.targets import UNKNOWN

__all__ = [
    "NOTHING_KNOWN",
    "SEPARATOR",
    "Fields",
    "Said",
    "check_names",
    "fields_of",
    "from_names",
    "from_values",
    "is_list",
    "joined",
    "value_of",
    "values_of",
]

SEPARATOR = ";"
"""Between the names in one cell of labels."""

_NONE, _NOT_KNOWN = "-", "?"
"""A cell of labels of a photo with none of them; a name after the second is not known, and alone it says nothing."""

_VALUES = {
    "1": 1,
    "1.0": 1,
    "true": 1,
    "0": 0,
    "0.0": 0,
    "false": 0,
    "": UNKNOWN,
    "-1": UNKNOWN,
    "-1.0": UNKNOWN,
    "?": UNKNOWN,
    "nan": UNKNOWN,
}


_IN_WORDS = (("yes", "no"), ("y", "n"), ("t", "f"), ("on", "off"), ("x", ""), ("+", "-"))
"""What people write in place of 1 and 0. It is recognised to be refused by name, and never taken for them."""


@dataclass(frozen=True, slots=True)
class Said:
    """What is said of one photo: a value (1, 0, -1 for unknown) for each of `names`, and one for all `others`."""

    names: tuple[str, ...]
    values: tuple[int, ...]
    others: int


NOTHING_KNOWN = Said((), (), UNKNOWN)


def value_of(cell: object) -> int | None:
    """1, 0 or -1 (unknown) for a cell of a table or a value of JSON; None for anything else."""
    if cell is None:
        return UNKNOWN
    if isinstance(cell, float) and math.isnan(cell):
        return UNKNOWN
    if isinstance(cell, bool | int | float):
        return int(cell) if cell in (0, 1, -1) else None
    return _VALUES.get(cell.strip().casefold()) if isinstance(cell, str) else None


def is_list(label: str) -> bool:
    """Whether a label is several names, or says that names are unknown, or none is there."""
    return SEPARATOR in label or label == _NONE or label.startswith(_NOT_KNOWN)


def from_names(label: str | Iterable[str]) -> Said:
    """A cell such as `red;round;?large`, or a list of such names: what is not named is not there. An empty cell says
    nothing; `-`, like an empty list, says that there are none."""
    if isinstance(label, str):
        if label.strip() in ("", _NOT_KNOWN):
            return NOTHING_KNOWN
        label = label.split(SEPARATOR)
    found = {
        unicodedata.normalize("NFC", name.removeprefix(_NOT_KNOWN).strip()): UNKNOWN if name[0] == _NOT_KNOWN else 1
        for name in map(str.strip, label)
        if name not in ("", _NONE, _NOT_KNOWN)
    }
    return Said(tuple(found), tuple(found.values()), 0)


def from_values(names: tuple[str, ...], values: Sequence[int]) -> Said:
    """A value for each of `names`; others are unknown."""
    return Said(names, tuple(values), UNKNOWN)


def check_names(where: object, names: Sequence[str], owner: str = "attributes") -> None:
    """DataError unless names can be told apart, and stand in a cell of labels; `owner` says what bears them."""
    twice = next((name for number, name in enumerate(names) if name in names[:number]), None)
    if twice is not None:
        raise DataError(f"{where} has two {owner} {twice!r}; rename or remove one")
    odd = next((name for name in names if not name or SEPARATOR in name or name[0] in _NONE + _NOT_KNOWN), None)
    if odd is not None:
        what = "is empty" if not odd else f"contains {SEPARATOR} or begins with {_NOT_KNOWN} or {_NONE}"
        raise DataError(f"{where}: the name {odd!r} among its {owner} {what}; rename it")


def joined(one: Said, other: Said) -> Said | None:
    """What two rows say of a photo together; None where one says yes and the other no.

    Names in lists add up: a table may have a row for each.
    """
    if 0 in (one.others, other.others):
        lists = {**dict(zip(one.names, one.values, strict=True)), **dict(zip(other.names, other.values, strict=True))}
        return Said(tuple(lists), tuple(lists.values()), 0)
    pairs = list(zip(one.values, other.values, strict=True))
    if any(UNKNOWN not in pair and pair[0] != pair[1] for pair in pairs):
        return None
    return Said(one.names, tuple(max(pair) for pair in pairs), UNKNOWN)


def values_of(said: Sequence[Said], names: Sequence[str]) -> NDArray[np.int8]:
    """(N, attributes) int8 of N photos for these `names`; what is said of others is passed over."""
    place = {name: index for index, name in enumerate(names)}
    values = np.empty((len(said), len(names)), np.int8)
    together: dict[tuple[str, ...], list[int]] = {}
    for row, one in enumerate(said):
        values[row] = one.others
        together.setdefault(one.names, []).append(row)
    for own, rows in together.items():
        known = [number for number, name in enumerate(own) if name in place]
        if known:
            block = np.array([said[row].values for row in rows], np.int8)
            values[np.ix_(rows, [place[own[number]] for number in known])] = block[:, known]
    return values


def names_in(said: Iterable[Said]) -> tuple[str, ...]:
    """All names, in the order of columns; sorted if any come from lists."""
    distinct = {one.names: one.others for one in said}
    names = tuple(dict.fromkeys(name for own in distinct for name in own))
    return tuple(sorted(names)) if 0 in distinct.values() else names


def _are_words(said: set[str]) -> bool:
    """Whether distinct texts are a yes and a no, one of them alone if nothing else is meant by it."""
    return said == {"no"} or any({yes} <= said <= {yes, no} for yes, no in _IN_WORDS)


@dataclass(frozen=True, slots=True)
class Fields:
    """The names of fields by what they hold: `values` of attributes, words `in_words` in place of them, or neither."""

    values: tuple[str, ...]
    in_words: tuple[str, ...]
    others: tuple[str, ...]


def fields_of(about: Iterable[Mapping[str, object]], most: int) -> Fields:
    """The fields of the first `most` rows: those of which at least half of what is known are values of attributes, and
    those that say everything in words, such as yes and no."""
    fit: dict[str, int] = {}
    others: dict[str, set[str]] = {}
    for row in islice(about, most):
        for name, cell in row.items():
            value = value_of(cell)
            fit[name] = fit.get(name, 0) + (0 if value == UNKNOWN else 1 if value is not None else -1)
            if value is None:
                others.setdefault(name, set()).add(str(cell).strip().casefold())
    values = tuple(name for name, balance in fit.items() if balance >= 0)
    rest = [name for name in fit if name not in values]
    in_words = tuple(name for name in rest if _are_words(others[name]))
    return Fields(values, in_words, tuple(name for name in rest if name not in in_words))
