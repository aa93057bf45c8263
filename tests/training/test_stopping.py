"""Runs that are stopped anywhere go on as if they had not been; what differs is refused and named."""

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file

from mobilenet.errors import ConfigError, Interrupted
from mobilenet.runs.metrics_log import read_metrics
from mobilenet.runtimes.torch import TorchPredictor
from mobilenet.training.run import resume, train
from mobilenet.training.settings import TrainingSettings
from mobilenet.training.tracking.listener import Silence
from mobilenet.training.tracking.tracker import TIMING

Undisturbed = Callable[..., Path]

_QUICK = {"width_multiplier": 0.1, "resolution": 32, "epochs": 3, "batch_size": 8, "device": "cpu"}


def _settings(photos: Path, **changes: Any) -> TrainingSettings:
    return TrainingSettings(photos, **{**_QUICK, **changes})


class _Presses(Silence):
    """Sends a signal at the n-th step, or when so many photos are decoded; keeps the remarks."""

    def __init__(self, step: int = 0, number: int = signal.SIGINT, *, decoded: int = 0) -> None:
        self._step, self._decoded, self._number = step, decoded, number
        self.steps = 0
        self.notes: list[str] = []

    def stepping(self, done: int, total: int) -> None:
        self.steps += 1
        if self.steps == self._step:
            os.kill(os.getpid(), self._number)

    def caching(self, done: int, total: int) -> None:
        if done == self._decoded:
            os.kill(os.getpid(), self._number)

    def note(self, text: str) -> None:
        self.notes.append(text)


def _same(one: Path, other: Path) -> None:
    """Weights, the whole last checkpoint and the metrics are the same, bit for bit."""
    for pattern in ("model.safetensors", "checkpoint/*.safetensors"):
        files = [max(run.glob(pattern)) for run in (one, other)]
        want, got = map(load_file, files)
        assert want.keys() == got.keys()
        assert all(torch.equal(want[name], got[name]) for name in want)
    lines = [read_metrics(run / "metrics.jsonl").lines for run in (one, other)]
    untimed = [[json.dumps({k: v for k, v in line.items() if k not in TIMING}) for line in part] for part in lines]
    assert untimed[0] == untimed[1]
    assert [list(line) for line in lines[0]] == [list(line) for line in lines[1]]


@pytest.mark.parametrize("step", [1, 7, 10, 15])
def test_a_run_stopped_at_any_step_goes_on_with_the_next_sample(
    photos: Path, tmp_path: Path, undisturbed: Undisturbed, step: int
) -> None:
    settings = _settings(photos)
    first, second = _Presses(step), _Presses()
    with pytest.raises(Interrupted, match="interrupted"):
        train(settings, tmp_path / "stopped", listener=first)
    resume(tmp_path / "stopped", listener=second)
    # 40 photos in batches of 8: 5 steps an epoch.
    assert (first.steps, second.steps) == (step, 15 - step)
    _same(undisturbed(), tmp_path / "stopped")
    assert not list((tmp_path / "stopped").rglob("*.part"))


def test_a_run_that_starts_from_weights_goes_on_the_same(
    photos: Path, tmp_path: Path, undisturbed: Undisturbed
) -> None:
    fine_tuning = {"weights": str(undisturbed()), "unfreeze": 0.9, "width_multiplier": None, "epochs": 4, "patience": 3}
    with pytest.raises(Interrupted):
        train(_settings(photos, **fine_tuning), tmp_path / "stopped", listener=_Presses(3))
    for step in (1, 4):
        with pytest.raises(Interrupted):
            resume(tmp_path / "stopped", listener=_Presses(step))
    resume(tmp_path / "stopped")
    _same(undisturbed(**fine_tuning), tmp_path / "stopped")


def _stopping_predict(call: int, number: int) -> Callable[..., Any]:
    """TorchPredictor.predict that sends a signal at its n-th call."""
    calls, predict = iter(range(1, 10_000)), TorchPredictor.predict

    def predict_or_stop(self: TorchPredictor, images: NDArray[np.uint8]) -> Any:
        if next(calls) == call:
            os.kill(os.getpid(), number)
        return predict(self, images)

    return predict_or_stop


@pytest.mark.parametrize(("call", "start"), [(1, "random"), (1, "weights"), (3, "random")])
def test_a_run_stopped_while_it_evaluates(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: Undisturbed, call: int, start: str
) -> None:
    changes = {} if start == "random" else {"weights": str(undisturbed()), "width_multiplier": None}
    with monkeypatch.context() as patch:
        patch.setattr(TorchPredictor, "predict", _stopping_predict(call, signal.SIGTERM))
        with pytest.raises(Interrupted, match="stopped by SIGTERM"):
            train(_settings(photos, **changes), tmp_path / "stopped")
    resume(tmp_path / "stopped")
    _same(undisturbed(**changes), tmp_path / "stopped")


def test_a_run_stopped_while_photos_are_decoded_leaves_nothing_but_the_photos(photos: Path, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted):
        train(_settings(photos), tmp_path / "run", listener=_Presses(decoded=9))
    assert not (tmp_path / "run").exists()
    assert list((tmp_path / "cache").rglob("*.pixels"))
    assert signal.getsignal(signal.SIGINT) is before
    train(_settings(photos, epochs=1), tmp_path / "run")


def test_time_makes_checkpoints_within_an_epoch(photos: Path, tmp_path: Path) -> None:
    settings = _settings(photos, checkpoint_minutes=0, keep_checkpoints=100, epochs=1)
    train(settings, tmp_path / "run")
    # One after each step, and one with the epoch's metrics.
    assert len(list((tmp_path / "run" / "checkpoint").glob("*.json"))) == 6


def test_the_checkpoint_before_a_damaged_one_is_taken_and_said_so(
    photos: Path, tmp_path: Path, undisturbed: Undisturbed
) -> None:
    with pytest.raises(Interrupted):
        train(_settings(photos, checkpoint_minutes=0), tmp_path / "run", listener=_Presses(8))
    newest = max((tmp_path / "run" / "checkpoint").glob("*.safetensors"))
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1
    newest.write_bytes(data)
    listener = _Presses()
    resume(tmp_path / "run", listener=listener)
    (note,) = (text for text in listener.notes if "damaged" in text)
    assert note.startswith(str(newest.with_suffix(".json")))
    assert note.endswith("the checksum of its tensors differs: resuming from the one before, at step 7")
    _same(undisturbed(), tmp_path / "run")


def _repaint(path: Path) -> None:
    """Another photo in a file of the same size."""
    size = path.stat().st_size
    Image.fromarray(np.full((48, 40, 3), 7, np.uint8)).save(path)
    path.write_bytes(path.read_bytes().ljust(size, b"\0"))


def _copy(path: Path) -> None:
    path.with_name("new.png").write_bytes(path.read_bytes())


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (lambda photo: photo.unlink(), "photos removed: 'dark/0.png'; restore it, or start a new run"),
        (_repaint, "photos changed: 'dark/0.png'; restore it"),
        (_copy, "photos added: 'dark/new.png'"),
        (lambda photo: photo.rename(photo.with_name("new.png")), "added: 'dark/new.png'; removed: 'dark/0.png'"),
        (lambda photo: photo.rename(photo.parents[1] / "bright" / "x.png"), "added: 'bright/x.png'; removed"),
        (
            lambda photo: photo.parent.rename(photo.parents[1] / "grey"),
            "classes are now without 'dark' and with 'grey'",
        ),
    ],
)
def test_other_photos_or_classes_are_refused_and_named(
    photos: Path, tmp_path: Path, change: Callable[[Path], None], difference: str
) -> None:
    with pytest.raises(Interrupted):
        train(replace(_settings(photos), validation=photos / "validation"), tmp_path / "run", listener=_Presses(2))
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*.*") if path.is_file()}
    photo = photos / "train" / "dark" / "0.png"
    change(photo)
    if not photo.parent.exists():
        (photos / "validation" / "dark").rename(photos / "validation" / "grey")
    with pytest.raises(ConfigError) as raised:
        resume(tmp_path / "run")
    assert str(raised.value).startswith(f"{tmp_path / 'run'} was trained on something else: ")
    assert difference in str(raised.value)
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*.*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("name", "value", "difference"),
    [("seed", 1, "seed was 0 and is 1"), ("label_smoothing", 0.2, "label smoothing was 0.1 and is 0.2")],
)
def test_other_settings_are_refused_and_named(
    photos: Path, tmp_path: Path, name: str, value: float, difference: str
) -> None:
    with pytest.raises(Interrupted):
        train(_settings(photos), tmp_path / "run", listener=_Presses(2))
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    config["settings"][name] = value
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError, match=f"made with different settings: {difference}"):
        resume(tmp_path / "run")


def test_another_recipe_of_a_later_version_is_refused_and_named(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Interrupted):
        train(_settings(photos), tmp_path / "run", listener=_Presses(2))
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    config["plan"]["weight_decay"] = 0.3
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError, match=r"weight decay was 0.3 and is 0.1"):
        resume(tmp_path / "run")
