"""The rows that a task adds to a network's body, and their outputs, with their JSON form."""

import reprlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, get_args

from mobilenet.errors import ModelError
from mobilenet.model.outputs import Output, read_output
from mobilenet.spec.rows import Activation, Concat, Conv, GlobalPool, Linear, Padding, Pool, Row

__all__ = ["Head", "read_head"]

_KINDS: dict[str, type[Row]] = {kind.__name__: kind for kind in (Conv, Pool, GlobalPool, Concat, Linear)}

_MOST_ROWS = 1000


def _is_count(value: object) -> bool:
    return type(value) is int and value > 0


def _is_kernel(value: object) -> bool:
    return all(map(_is_count, value)) and len(value) == 2 if isinstance(value, tuple) else _is_count(value)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and all(part.isidentifier() for part in value.split("."))


def _are_names(value: object) -> bool:
    return isinstance(value, tuple) and all(map(_is_name, value))


_FITS: dict[str, Callable[[object], bool]] = {
    "name": _is_name,
    "inputs": _are_names,
    "kernel_size": _is_kernel,
    "kind": lambda value: value in ("max", "average"),
    "padding": lambda value: value in get_args(Padding),
    "activation": lambda value: value in get_args(Activation),
    "epsilon": lambda value: isinstance(value, float) and 0 < value < 1,
    **dict.fromkeys(("bias", "batch_norm", "ceil"), lambda value: isinstance(value, bool)),
    **dict.fromkeys(("in_channels", "out_channels", "in_features", "out_features", "stride", "groups"), _is_count),
}
"""Whether a value is valid for a field of a row."""


@dataclass(frozen=True, slots=True)
class Head:
    """`rows` follow those of the body, whose last is the global pool; a row may read any earlier row by name."""

    rows: tuple[Row, ...]
    outputs: tuple[Output, ...]

    def to_json(self) -> dict[str, Any]:
        """As an object for `json.dumps`."""
        rows = [{"row": type(row).__name__, **asdict(row)} for row in self.rows]
        return {"rows": rows, "outputs": [output.to_json() for output in self.outputs]}


def read_head(document: Mapping[str, Any]) -> Head:
    """The inverse of `Head.to_json`; ModelError, ValueError, KeyError or TypeError if `document` is not a head."""
    rows, outputs = document["rows"], document["outputs"]
    if len(rows) > _MOST_ROWS:
        raise ModelError(f"its head has {len(rows):,} rows; the limit is {_MOST_ROWS:,}")
    return Head(tuple(map(_read_row, rows)), tuple(map(read_output, outputs)))


def _read_row(document: Mapping[str, Any]) -> Row:
    values = dict(document)
    kind = _KINDS.get(values.pop("row"))
    if kind is None:
        raise ModelError(f"its head has a row of unknown kind {document['row']!r}; install a newer mobilenet")
    if unknown := values.keys() - {field.name for field in fields(kind)}:
        raise ModelError(f"row {values.get('name')} has unknown fields {sorted(unknown)}; install a newer mobilenet")
    for name in ("kernel_size", "inputs"):
        if isinstance(values.get(name), list):
            values[name] = tuple(values[name])
    if wrong := [field for field, value in values.items() if not _FITS[field](value)]:
        raise ModelError(
            f"row {reprlib.repr(values.get('name'))} has an unknown {wrong[0]}, {reprlib.repr(values[wrong[0]])}; "
            "install a newer mobilenet"
        )
    return kind(**values)
