"""What a run folder records about itself; whatever is missing is None."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mobilenet.evaluate import Evaluation
from mobilenet.runs.config import RunConfig, finite, read_config
from mobilenet.runs.folder import open_run
from mobilenet.runs.metrics_log import read_metrics
from mobilenet.tasks.default import DEFAULT

__all__ = ["Run", "read_run", "task_of_run"]


@dataclass(frozen=True, slots=True)
class Run:
    """`config` as in config.json, `epochs` the lines of metrics.jsonl in order, each epoch once; `notes` report damage
    to them, one line each."""

    folder: Path
    config: RunConfig
    epochs: tuple[Mapping[str, Any], ...]
    evaluation: Evaluation | None
    notes: tuple[str, ...] = ()

    @property
    def task(self) -> str:
        """The name of the task that the model was trained for."""
        return self.evaluation.task if self.evaluation else self.text("settings", "task") or DEFAULT

    def section(self, name: str) -> Mapping[str, Any]:
        """An object of the configuration, such as `data`; empty where it is absent."""
        return self.config.section(name)

    def text(self, section: str, name: str) -> str | None:
        """A string or number of the configuration as text; None where it is absent."""
        return self.config.text(section, name)

    def number(self, section: str, name: str) -> float | None:
        """A finite number of the configuration; None where it is absent."""
        return self.config.number(section, name)

    def curve(self, name: str) -> tuple[list[int], list[float]]:
        """A figure by epoch: (epochs, values), without the epochs that lack it."""
        points = [
            (int(epoch["epoch"]), value) for epoch in self.epochs if (value := finite(epoch.get(name))) is not None
        ]
        return [epoch for epoch, _ in points], [value for _, value in points]


def read_run(path: Path) -> Run:
    """Read a run folder; DataError if it is not one or one of its files is damaged."""
    folder = open_run(path)
    log = read_metrics(folder.metrics)
    evaluation = Evaluation.read(folder.evaluation) if folder.evaluation.is_file() else None
    return Run(path, read_config(path), log.lines, evaluation, log.notes)


def task_of_run(path: Path) -> str:
    """The name of the task of the run folder at `path`, by its configuration alone; DataError."""
    return Run(path, read_config(path), (), None).task
