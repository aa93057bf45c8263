"""The files of a run folder, and how a folder is recognised as one."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mobilenet.errors import DataError
from mobilenet.files import atomic_write

__all__ = ["MODEL", "RunFolder", "open_run", "write_json"]

MODEL = "model.safetensors"
"""The name of the model file in a run folder."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The paths of a run's files, whether they exist or not."""

    path: Path

    @property
    def is_run(self) -> bool:
        """Whether a run has been started there: its configuration is written first."""
        return self.config.is_file()

    @property
    def config(self) -> Path:
        """The configuration, see `runs.config`."""
        return self.path / "config.json"

    @property
    def metrics(self) -> Path:
        """One line per epoch, see `runs.metrics_log`."""
        return self.path / "metrics.jsonl"

    @property
    def photos(self) -> Path:
        """The recorded split, see `runs.split`."""
        return self.path / "photos.jsonl"

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.path / "checkpoint"

    @property
    def tensorboard(self) -> Path:
        """The folder of TensorBoard's files."""
        return self.path / "tensorboard"

    @property
    def mlflow(self) -> Path:
        """The MLflow store and run that the metrics are logged to."""
        return self.path / "mlflow.json"

    @property
    def model(self) -> Path:
        """The trained network."""
        return self.path / MODEL

    @property
    def evaluation(self) -> Path:
        """The evaluation on the validation photos."""
        return self.path / "evaluation.json"

    @property
    def report(self) -> Path:
        """The report on the run."""
        return self.path / "report.html"

    @property
    def exports(self) -> Path:
        """The default folder for exported files."""
        return self.path / "export"

    @property
    def lock(self) -> Path:
        """The lock held by the process that trains in the folder."""
        return self.path / ".lock"


def open_run(path: Path) -> RunFolder:
    """The run folder at `path`; DataError if it is not one."""
    folder = RunFolder(path)
    if not folder.is_run:
        raise DataError(f"{path} is not a run folder: it has no config.json; give a folder written by mobilenet train")
    return folder


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write `document` to `path` atomically; file names may contain bytes that are not UTF-8. StorageError."""
    with atomic_write(path) as file:
        file.write(json.dumps(document, indent=1, ensure_ascii=False).encode("utf-8", "surrogateescape"))
