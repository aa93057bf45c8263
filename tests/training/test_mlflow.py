"""MLflow's SQLite store, read without MLflow, says what TensorBoard's files and metrics.jsonl say."""

import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mlflow", reason="the extra track is not installed")

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mobilenet.cli.main import main
from mobilenet.errors import ConfigError
from mobilenet.runs.metrics_log import read_metrics
from mobilenet.training.run import resume, train
from mobilenet.training.settings import TrainingSettings
from mobilenet.training.tracking.listener import Silence

_QUICK: dict[str, Any] = {"width_multiplier": 0.1, "resolution": 32, "epochs": 3, "batch_size": 8, "device": "cpu"}

Metrics = dict[tuple[str, int], list[float]]


class _Hears(Silence):
    """Keeps remarks, and presses Ctrl-C when an epoch is over."""

    def __init__(self, last: int = 0) -> None:
        self._last = last
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def epoch(self, line: dict[str, Any]) -> None:
        if line["epoch"] == self._last:
            raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def _own_store(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)


def _rows(store: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(store)) as connection:
        return connection.execute(query).fetchall()


def _metrics(store: Path) -> Metrics:
    found: Metrics = {}
    for name, step, value in _rows(store, "SELECT key, step, value FROM metrics"):
        found.setdefault((name, step), []).append(value)
    return found


def _recorded(run: Path) -> Metrics:
    """The numbers of metrics.jsonl."""
    found: Metrics = {}
    for line in read_metrics(run / "metrics.jsonl").lines:
        values = {f"seconds/{name}": value for name, value in line["seconds"].items()}
        values |= {name: value for name, value in line.items() if isinstance(value, float)}
        found |= {(name, line["epoch"]): [value] for name, value in values.items()}
    return found


def test_both_trackers_have_the_same_numbers(photos: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(TrainingSettings(photos, track=("tensorboard", "mlflow"), **_QUICK), run)
    told = _metrics(tmp_path / "mlflow.db")
    assert told == _recorded(run)
    board = EventAccumulator(str(run / "tensorboard")).Reload()
    shown = {(name, item.step): item.value for name in board.Tags()["scalars"] for item in board.Scalars(name)}
    assert shown == {key: pytest.approx(values[0]) for key, values in told.items()}
    assert _rows(tmp_path / "mlflow.db", "SELECT name, status FROM runs") == [("run", "FINISHED")]
    params = dict(_rows(tmp_path / "mlflow.db", "SELECT key, value FROM params"))
    chosen = {name: params[name] for name in ("architecture", "batch_size", "epochs", "photos", "precision", "seed")}
    assert chosen == {
        "architecture": "mobilenet_v1",
        "batch_size": "8",
        "epochs": "3",
        "photos": "40",
        "precision": params["precision"],
        "seed": "0",
    }
    assert float(params["learning_rate"]) > 0, "what the settings leave open is what the plan chose"
    assert ("photos",) in _rows(tmp_path / "mlflow.db", "SELECT name FROM experiments")


def test_a_run_that_goes_on_is_the_same_run_and_nothing_is_told_twice(photos: Path, tmp_path: Path) -> None:
    settings = TrainingSettings(photos, track=("mlflow",), **_QUICK)
    with pytest.raises(KeyboardInterrupt):
        train(settings, tmp_path / "run", listener=_Hears(2))
    assert _rows(tmp_path / "mlflow.db", "SELECT status FROM runs") == [("KILLED",)]
    resume(tmp_path / "run")
    assert _rows(tmp_path / "mlflow.db", "SELECT name, status FROM runs") == [("run", "FINISHED")]
    told, recorded = _metrics(tmp_path / "mlflow.db"), _recorded(tmp_path / "run")
    # The last epoch before the stop: the checkpoint that the run goes on from does not know what its own saving took.
    assert told.keys() - recorded.keys() == {("seconds/checkpoint", 2)}
    assert {len(values) for values in told.values()} == {1}
    same = {key for key in recorded if not key[0].startswith("seconds/")}
    assert {key: told[key] for key in same} == {key: recorded[key] for key in same}
    assert not (tmp_path / "run" / "tensorboard").exists()


def test_what_a_failing_store_missed_is_told_later_and_the_run_goes_on(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_batch, calls = MlflowClient.log_batch, []

    def fails_once(*parts: Any, **named: Any) -> Any:
        calls.append(named)
        if len(calls) == 2:
            raise MlflowException("the line\nis cut")
        return log_batch(*parts, **named)

    monkeypatch.setattr(MlflowClient, "log_batch", fails_once)
    heard = _Hears()
    train(TrainingSettings(photos, track=("mlflow",), **_QUICK), tmp_path / "run", listener=heard)
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    note = f"MLflow in {store} missed an epoch: the line is cut; it is logged again with the next"
    assert [text for text in heard.notes if "MLflow" in text] == [note]
    assert _metrics(tmp_path / "mlflow.db") == _recorded(tmp_path / "run")


def test_the_command_keeps_the_report_and_runs_share_a_store(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "noise")
    small = ["--width", "0.1", "--resolution", "32", "--epochs", "1", "--device", "cpu", "--track", "mlflow"]
    for name in ("one", "two"):
        assert main(["train", str(photos), *small, "--out", f"runs/{name}"]) == 0
    assert not [line for line in capsys.readouterr().err.splitlines() if "mlflow" in line.lower()]
    assert _rows(tmp_path / "runs" / "mlflow.db", "SELECT name FROM runs ORDER BY name") == [("one",), ("two",)]
    reports = sorted((tmp_path / "runs" / "mlflow-artifacts").rglob("report.html"))
    pages = [(tmp_path / "runs" / name / "report.html").read_bytes() for name in ("one", "two")]
    assert sorted(path.read_bytes() for path in reports) == sorted(pages)
    assert _rows(tmp_path / "runs" / "mlflow.db", "SELECT name FROM experiments WHERE name = 'noise'") == [("noise",)]


@pytest.mark.parametrize("address", ["file:///nowhere", "sqlite:////dev/null/x.db", "gopher://x"])
def test_a_store_that_cannot_be_used_is_one_line_before_anything_is_trained(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], address: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    out = ["--width", "0.1", "--resolution", "32", "--out", str(tmp_path / "run"), "--track", "mlflow"]
    assert main(["train", str(photos), *out]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"mobilenet: MLflow cannot use {address}: ")
    assert error.endswith("; set MLFLOW_TRACKING_URI to another")


def test_an_unknown_tracker_and_one_that_is_not_installed(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="unknown tracker 'paper'; use one of tensorboard, mlflow"):
        TrainingSettings(photos, track=("paper",))  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "mlflow.tracking", None)
    with pytest.raises(ConfigError, match=r"--track mlflow needs mlflow\S*; pip install 'mobilenet\[track\]'"):
        train(TrainingSettings(photos, track=("mlflow",), **_QUICK), tmp_path / "run")
