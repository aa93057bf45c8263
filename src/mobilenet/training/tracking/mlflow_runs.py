"""MLflow: a run's metrics next to those of other runs, in an SQLite store or on a server.

The store is `mlflow.db` next to the run folder, unless MLFLOW_TRACKING_URI names another. A store that fails during
training does not end the run: what it missed is logged again after the next epoch, and on resume.
"""

import contextlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mobilenet.datasets.remote.urls import short_name
from mobilenet.errors import ConfigError
from mobilenet.extras import pip_install
from mobilenet.files import atomic_write
from mobilenet.home import missing_home
from mobilenet.runs.folder import RunFolder

if TYPE_CHECKING:
    from mlflow.entities import Metric
    from mlflow.tracking import MlflowClient

__all__ = ["STORE", "MlflowRun", "add_artifact"]

STORE = "mlflow.db"
"""The store, next to the run folders."""

_ARTIFACTS = "mlflow-artifacts"
"""The folder of artifacts, next to the store."""

_SKIPPED = frozenset({"augmentation", "style", "mean", "std", "track"})
_MOST_METRICS = 500
_MOST_LETTERS = 500


class MlflowRun:
    """One run in an MLflow store, which is resumed with the run folder.

    `config` is that of `config.json`. `metrics` turns a line of metrics.jsonl into numbers by name; those whose name
    begins with one in `timing` differ each time they are measured, and are logged once. ConfigError if the store cannot
    be used; `note` receives later failures, one line each.
    """

    def __init__(
        self,
        run: Path,
        config: Mapping[str, Any],
        metrics: Callable[[Mapping[str, Any]], dict[str, float]],
        timing: Sequence[str],
        note: Callable[[str], None],
    ) -> None:
        self._metrics, self._timing, self._note = metrics, tuple(timing), note
        self._uri = _store(run)
        with _refused(self._uri):
            self._client = _client(self._uri)
            self._id, new = self._find(run, config)
            self._told: dict[tuple[str, int], float] = {} if new else self._history()
        if new:
            record = {"store": self._uri, "run_id": self._id}
            with atomic_write(RunFolder(run).mlflow) as file:
                file.write(json.dumps(record).encode())

    def tell(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Log what has not been logged yet of all epochs so far."""
        wanted = {(name, int(line["epoch"])): value for line in lines for name, value in self._metrics(line).items()}
        new = {key: value for key, value in wanted.items() if not self._knows(key, value)}
        try:
            for start in range(0, len(new), _MOST_METRICS):
                part = dict(list(new.items())[start : start + _MOST_METRICS])
                self._client.log_batch(self._id, metrics=_entities(part))
                self._told |= part
        except _failures() as error:
            self._note(f"MLflow in {self._uri} missed an epoch: {_reason(error)}; it is logged again with the next")

    def close(self, status: str) -> None:
        """End the run: `FINISHED`, `KILLED` if the user stopped it, `FAILED`."""
        try:
            self._client.set_terminated(self._id, status)
        except _failures() as error:
            self._note(f"MLflow in {self._uri} could not record the end of the run: {_reason(error)}")

    def _find(self, run: Path, config: Mapping[str, Any]) -> tuple[str, bool]:
        """The run of this folder, and whether it is new."""
        from mlflow.exceptions import MlflowException

        known = _recorded(run)
        if known is not None and known["store"] == self._uri:
            with contextlib.suppress(MlflowException):
                self._client.update_run(known["run_id"], status="RUNNING")
                return known["run_id"], False
        made = self._client.create_run(self._experiment(run, config), run_name=_text(run.absolute().name))
        run_id: str = made.info.run_id
        for name, value in _params(config).items():
            self._client.log_param(run_id, name, value)
        self._client.set_tag(run_id, "mobilenet.run_folder", _text(str(run.absolute())))
        self._client.set_tag(run_id, "mobilenet.data_hash", config["data"]["hash"])
        return run_id, True

    def _experiment(self, run: Path, config: Mapping[str, Any]) -> str:
        """The experiment that MLFLOW_EXPERIMENT_NAME names, or that of the data set."""
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or short_name(Path(config["data"]["root"])) or "mobilenet"
        name = _text(name)
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        place = (run.absolute().parent / _ARTIFACTS).as_uri() if self._uri == _own_store(run) else None
        return str(self._client.create_experiment(name, artifact_location=place))

    def _history(self) -> dict[tuple[str, int], float]:
        names = self._client.get_run(self._id).data.metrics
        return {
            (name, metric.step): metric.value
            for name in names
            for metric in self._client.get_metric_history(self._id, name)
        }

    def _knows(self, key: tuple[str, int], value: float) -> bool:
        known = self._told.get(key)
        return known is not None and (known == value or key[0].startswith(self._timing))


def add_artifact(run: Path, file: Path) -> str | None:
    """Log a file of a run folder as an artifact; None if that worked or the run is in no store, else why it failed, in
    one line."""
    known = _recorded(run)
    if known is None:
        return None
    try:
        _client(known["store"]).log_artifact(known["run_id"], str(file))
    except _failures() as error:
        return f"MLflow in {known['store']} could not store {file.name}: {_reason(error)}"
    return None


def _own_store(run: Path) -> str:
    return f"sqlite:///{run.absolute().parent / STORE}"


def _store(run: Path) -> str:
    return os.environ.get("MLFLOW_TRACKING_URI") or _own_store(run)


def _recorded(run: Path) -> dict[str, str] | None:
    try:
        value = json.loads(RunFolder(run).mlflow.read_text("utf-8"))
        return {"store": str(value["store"]), "run_id": str(value["run_id"])}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _client(uri: str) -> "MlflowClient":
    # Telemetry is for users to turn on.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow.tracking import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return MlflowClient(tracking_uri=uri)


def _params(config: Mapping[str, Any]) -> dict[str, str]:
    """What determines the run, one value each: settings, and the plan in place of those that leave a choice open."""
    values = {**config["settings"], **config["plan"], **config["network"], "precision": config["precision"]}
    values["photos"] = config["data"]["train_photos"]
    plain = {name: value for name, value in values.items() if name not in _SKIPPED and value is not None}
    return {name: _text(str(value))[:_MOST_LETTERS] for name, value in plain.items()}


def _text(name: str) -> str:
    """File names may contain bytes that are not valid UTF-8, which no store accepts."""
    return name.encode("utf-8", "backslashreplace").decode()


def _entities(values: Mapping[tuple[str, int], float]) -> "list[Metric]":
    from mlflow.entities import Metric

    now = time.time_ns() // 1_000_000
    return [Metric(name, value, now, step) for (name, step), value in values.items()]


def _failures() -> tuple[type[Exception], ...]:
    from mlflow.exceptions import MlflowException

    # On a full disk or a lost connection, the libraries of a store raise errors of many types.
    return (MlflowException, OSError, RuntimeError, ValueError)


@contextlib.contextmanager
def _refused(uri: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise ConfigError(f"--track mlflow needs {error.name}; {pip_install('mlflow')}") from error
    except _failures() as error:
        if reason := missing_home(error):
            raise ConfigError(f"--track mlflow: {reason}") from error
        raise ConfigError(f"MLflow cannot use {uri}: {_reason(error)}; set MLFLOW_TRACKING_URI to another") from error


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
