"""Where the numbers of a run go: one JSON line an epoch, and TensorBoard."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from mobilenet.files import atomic_write, storage_errors

__all__ = ["TIMING", "Tracker", "read_metrics"]

Line = dict[str, Any]


TIMING = ("seconds", "images_per_second")
"""What differs from one run to the next: everything else in a line follows from settings, photos and machine."""


class Tracker:
    """Writes the metrics of each epoch to `metrics.jsonl` and `tensorboard/` in a run folder.

    `lines` are those of the checkpoint that a run goes on from. Whatever the folder says beyond them is dropped; the
    last of them is told once more to TensorBoard, which may have missed it when the run was stopped.
    """

    def __init__(self, run: Path, lines: Sequence[Line] = ()) -> None:
        self._file = run / "metrics.jsonl"
        self._lines = [dict(line) for line in lines]
        self._write()
        with storage_errors(run):
            last = self._lines[-1]["epoch"] if self._lines else 0
            self._board = SummaryWriter(str(run / "tensorboard"), purge_step=last)
        if self._lines:
            self._tell(self._lines[-1])

    @property
    def lines(self) -> tuple[Line, ...]:
        """What is recorded so far, an epoch a line."""
        return tuple(self._lines)

    def keep(self, line: Line) -> None:
        """Record one epoch in `metrics.jsonl` alone; a line of the same epoch is replaced."""
        self._lines = [other for other in self._lines if other["epoch"] != line["epoch"]] + [line]
        self._write()

    def log(self, line: Line) -> None:
        """Record one epoch: `line["epoch"]` counts from 1; nested values get names such as seconds/input."""
        self.keep(line)
        self._tell(line)

    def close(self) -> None:
        """Close the files."""
        self._board.close()

    def _tell(self, line: Line) -> None:
        for name, value in _scalars(line).items():
            self._board.add_scalar(name, value, line["epoch"])
        with storage_errors(self._file.parent):
            self._board.flush()

    def _write(self) -> None:
        with atomic_write(self._file) as file:
            file.writelines(json.dumps(line).encode() + b"\n" for line in self._lines)


def read_metrics(file: Path) -> list[Line]:
    """The lines of a metrics.jsonl; none where there is no file. A last line that was cut off is dropped."""
    if not file.is_file():
        return []
    lines: list[Line] = []
    for text in file.read_text("utf-8").splitlines():
        try:
            lines.append(json.loads(text))
        except ValueError:
            break
    return lines


def _scalars(line: Line) -> dict[str, float]:
    scalars: dict[str, float] = {}
    for name, value in line.items():
        if isinstance(value, dict):
            scalars |= {f"{name}/{key}": number for key, number in _scalars(value).items()}
        elif isinstance(value, int | float) and name != "epoch":
            scalars[name] = float(value)
    return scalars
