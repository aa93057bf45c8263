"""What a run folder says about itself; what it does not say stays None."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mobilenet.errors import DataError
from mobilenet.evaluate import Evaluation
from mobilenet.tasks import DEFAULT

__all__ = ["Run", "finite", "read_run", "task_of_run"]


@dataclass(frozen=True, slots=True)
class Run:
    """`config` as in config.json, `epochs` as the lines of metrics.jsonl in order, each epoch once."""

    folder: Path
    config: Mapping[str, Any]
    epochs: tuple[Mapping[str, Any], ...]
    evaluation: Evaluation | None

    @property
    def task(self) -> str:
        """The name of the task that it was trained for."""
        return self.evaluation.task if self.evaluation else self.text("settings", "task") or DEFAULT

    def section(self, name: str) -> Mapping[str, Any]:
        """An object of the configuration, such as `data`; empty where it is absent."""
        value = self.config.get(name)
        return value if isinstance(value, dict) else {}

    def text(self, section: str, name: str) -> str | None:
        """A string or number of the configuration as text; None where it is absent."""
        value = self.section(section).get(name)
        return str(value) if isinstance(value, str | int | float) and value != "" else None

    def number(self, section: str, name: str) -> float | None:
        """A finite number of the configuration; None where it is absent."""
        return finite(self.section(section).get(name))

    def curve(self, name: str) -> tuple[list[int], list[float]]:
        """A figure of each epoch: (epochs, values), without the epochs that lack it."""
        points = [
            (int(epoch["epoch"]), value) for epoch in self.epochs if (value := finite(epoch.get(name))) is not None
        ]
        return [epoch for epoch, _ in points], [value for _, value in points]


def read_run(folder: Path) -> Run:
    """Read a run folder; DataError when it is none, or when one of its files is damaged."""
    config = _read_config(folder)
    evaluation = folder / "evaluation.json"
    return Run(
        folder=folder,
        config=config,
        epochs=_read_epochs(folder / "metrics.jsonl"),
        evaluation=Evaluation.read(evaluation) if evaluation.is_file() else None,
    )


def task_of_run(folder: Path) -> str:
    """The name of the task of a run, by its configuration alone; DataError when there is none, or it is damaged."""
    return Run(folder, _read_config(folder), (), None).task


def finite(value: object) -> float | None:
    """`value` when it is a finite number, else None: JSON may hold anything."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def _read_config(folder: Path) -> Mapping[str, Any]:
    config = folder / "config.json"
    if not config.is_file():
        raise DataError(f"no run at {folder}: it has no config.json; name the folder that mobilenet train wrote")
    return _read_object(config)


def _read_object(path: Path) -> Mapping[str, Any]:
    try:
        # names of files may hold bytes that are no UTF-8
        value = json.loads(path.read_text("utf-8", "surrogateescape"))
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path}: {error}; the run is damaged, train again or restore the file") from error
    if not isinstance(value, dict):
        raise DataError(f"cannot read {path}: not a JSON object; the run is damaged, train again or restore the file")
    return value


def _read_epochs(path: Path) -> tuple[Mapping[str, Any], ...]:
    if not path.is_file():
        return ()
    epochs: dict[int, Mapping[str, Any]] = {}
    for line in path.read_text("utf-8", "replace").splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            # a run that was killed leaves half a line; the epoch is written again when it resumes
            continue
        if isinstance(value, dict) and isinstance(value.get("epoch"), int):
            epochs[value["epoch"]] = value
    return tuple(epochs[number] for number in sorted(epochs))
