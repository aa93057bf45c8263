"""Where the metrics of a run are logged: one JSON line per epoch, TensorBoard, MLflow."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from mobilenet.files import storage_errors
from mobilenet.runs.folder import RunFolder
from mobilenet.runs.metrics_log import Line, write_metrics
from mobilenet.training.tracking.mlflow_runs import MlflowRun

__all__ = ["TIMING", "Tracker"]

TIMING = ("seconds", "images_per_second")
"""What varies between runs: everything else in a line follows from settings, photos and machine."""


class Tracker:
    """Writes the metrics of each epoch to `metrics.jsonl` in a run folder, and to what `track` names: `tensorboard`, in
    the folder of that name, and `mlflow` (see `mlflow_runs`), which gets `config` as the description of the run.

    `lines` are those of the checkpoint that a run is resumed from. Anything beyond them in the folder is dropped; the
    last of them is logged again, in case it was missed when the run was stopped. `note` receives the failures of
    trackers. As a context manager it ends with the run, and records how that ended.
    """

    def __init__(
        self,
        run: Path,
        lines: Sequence[Line] = (),
        track: Sequence[str] = ("tensorboard",),
        config: Mapping[str, Any] | None = None,
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._file = RunFolder(run).metrics
        self._lines = [dict(line) for line in lines]
        self._write()
        self._board = _Board(run, self._lines) if "tensorboard" in track else None
        self._mlflow = MlflowRun(run, config or {}, _scalars, TIMING, note) if "mlflow" in track else None
        if self._lines:
            self._tell(self._lines[-1])

    def __enter__(self) -> "Tracker":
        return self

    def __exit__(self, kind: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        if self._board is not None:
            self._board.close()
        if self._mlflow is not None:
            stopped = kind is not None and issubclass(kind, KeyboardInterrupt)
            self._mlflow.close("FINISHED" if kind is None else "KILLED" if stopped else "FAILED")

    @property
    def lines(self) -> tuple[Line, ...]:
        """The lines recorded so far, one per epoch."""
        return tuple(self._lines)

    def keep(self, line: Line) -> None:
        """Record one epoch in `metrics.jsonl` only; a line of the same epoch is replaced."""
        self._lines = [other for other in self._lines if other["epoch"] != line["epoch"]] + [line]
        self._write()

    def log(self, line: Line) -> None:
        """Record one epoch: `line["epoch"]` counts from 1; nested values get names such as seconds/input."""
        self.keep(line)
        self._tell(line)

    def _tell(self, line: Line) -> None:
        if self._board is not None:
            self._board.tell(line)
        if self._mlflow is not None:
            self._mlflow.tell(self._lines)

    def _write(self) -> None:
        write_metrics(self._file, self._lines)


class _Board:
    """TensorBoard's files in a run folder."""

    def __init__(self, run: Path, lines: Sequence[Line]) -> None:
        # Importing it takes a second.
        from torch.utils.tensorboard import SummaryWriter

        self._run = run
        with storage_errors(run):
            self._writer = SummaryWriter(str(RunFolder(run).tensorboard), purge_step=lines[-1]["epoch"] if lines else 0)

    def tell(self, line: Line) -> None:
        for name, value in _scalars(line).items():
            self._writer.add_scalar(name, value, line["epoch"])
        with storage_errors(self._run):
            self._writer.flush()

    def close(self) -> None:
        self._writer.close()


def _scalars(line: Mapping[str, Any]) -> dict[str, float]:
    scalars: dict[str, float] = {}
    for name, value in line.items():
        if isinstance(value, dict):
            scalars |= {f"{name}/{key}": number for key, number in _scalars(value).items()}
        elif isinstance(value, int | float) and name != "epoch":
            scalars[name] = float(value)
    return scalars
