"""metrics.jsonl: one JSON line per epoch of a run, rewritten atomically each time."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mobilenet.errors import DataError
from mobilenet.files import atomic_write

__all__ = ["Line", "MetricsLog", "read_metrics", "write_metrics"]

Line = dict[str, Any]
"""One epoch: `epoch` counts from 1 (0 is the start of fine-tuning); the other values are its figures."""


@dataclass(frozen=True, slots=True)
class MetricsLog:
    """`lines` in the order of their epochs; if an epoch occurs twice, the later line.

    `damaged` are the numbers, from 1, of lines that cannot be read.
    """

    file: Path
    lines: tuple[Line, ...]
    damaged: tuple[int, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """One line for the user if any lines are damaged; empty otherwise."""
        if not self.damaged:
            return ()
        named = ", ".join(map(str, self.damaged[:5])) + (", …" if len(self.damaged) > 5 else "")
        lines, verb = ("line", "is") if len(self.damaged) == 1 else ("lines", "are")
        return (f"{self.file}: {lines} {named} cannot be read and {verb} ignored; restore the file, or resume the run",)


def read_metrics(file: Path) -> MetricsLog:
    """The log in `file`, empty if there is none; DataError if it cannot be opened.

    An unterminated last line that cannot be parsed was interrupted while being written: it is dropped, and the epoch is
    recorded again when the run resumes. Any other line that cannot be parsed is reported as damaged.
    """
    if not file.is_file():
        return MetricsLog(file, ())
    try:
        texts = file.read_bytes().split(b"\n")
    except OSError as error:
        raise DataError(f"cannot read {file}: {(error.strerror or str(error)).lower()}; restore the file") from error
    found: dict[int, Line] = {}
    damaged = []
    for number, text in enumerate(texts, 1):
        line = _parsed(text)
        if line is not None:
            found[line["epoch"]] = line
        elif text.strip() and number < len(texts):
            damaged.append(number)
    return MetricsLog(file, tuple(found[epoch] for epoch in sorted(found)), tuple(damaged))


def write_metrics(file: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    """Write the log atomically; StorageError."""
    with atomic_write(file) as sink:
        sink.writelines(json.dumps(line).encode() + b"\n" for line in lines)


def _parsed(text: bytes) -> Line | None:
    try:
        line = json.loads(text)
    except ValueError:
        return None
    # True is an int to Python.
    return line if isinstance(line, dict) and type(line.get("epoch")) is int else None
