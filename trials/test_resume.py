"""A run that is killed repeatedly ends with the same weights as an uninterrupted one."""

import contextlib
import json
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from mobilenet.runs.metrics_log import read_metrics
from mobilenet.scenes import SceneSettings, write_scenes
from mobilenet.training.tracking.tracker import TIMING

_KILLS = 50
_SAVES_BETWEEN = 8
"""At most this many: there is one after each of 300 steps and each epoch."""

_OPTIONS = ("--width", "0.25", "--resolution", "32", "--epochs", "12", "--batch-size", "8", "--precision", "float32")


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_killed_at_random_moments_and_resumed(tmp_path: Path, forks: Any, workers: int) -> None:
    """Nothing is cached, so workers decode each photo every time; half of the kills are in the middle of a save."""
    data, whole, killed = tmp_path / "photos", tmp_path / "whole", tmp_path / "killed"
    write_scenes(data, SceneSettings(train=200, validation=40, side=48))
    options = [*_OPTIONS, "--workers", str(workers), "--cache-size", "0", "--checkpoint-minutes", "0"]
    assert forks.run("train", data, *options, "--out", whole) == 0
    moments = random.Random(workers)
    inside, outside = 0, 0
    steps = []
    while inside + outside < _KILLS:
        resume = (killed / "config.json").exists()
        arguments = ["--resume", str(killed)] if resume else [str(data), *options, "--out", str(killed)]
        process = forks.fork("train", arguments)
        forks.go(process)
        _kill(process, killed / "checkpoint", moments, in_save=2 * inside < _KILLS and moments.random() < 0.6)
        assert forks.wait(process) == -signal.SIGKILL, forks.log.read_text()[-2000:]
        saving = _in_a_save(killed / "checkpoint")
        if saving or 2 * outside < _KILLS:
            inside, outside = inside + saving, outside + (not saving)
        steps.append(_step(killed / "checkpoint"))
    assert forks.run("train", "--resume", killed) == 0, forks.log.read_text()[-2000:]
    print(f"{workers} workers: {len(steps)} kills, {inside} inside a save, at steps {steps}")
    assert inside >= _KILLS // 2
    for pattern in ("model.safetensors", "checkpoint/*.safetensors"):
        want, got = (load_file(max(run.glob(pattern))) for run in (whole, killed))
        assert want.keys() == got.keys()
        assert all(torch.equal(want[name], got[name]) for name in want)
    assert _untimed(whole) == _untimed(killed)
    assert not list(killed.rglob("*.part"))
    print(f"{len(want)} tensors of network, average and optimiser and {len(_untimed(killed))} lines: bit-identical")


def _kill(process: int, checkpoints: Path, moments: random.Random, *, in_save: bool) -> None:
    """SIGKILL at a random time after a random number of checkpoints, or while the next one is written."""
    wanted = _newest(checkpoints) + moments.randint(1, _SAVES_BETWEEN)
    while _newest(checkpoints) < wanted and _lives(process):
        time.sleep(0.001)
    time.sleep(moments.uniform(0, 0.05))
    while in_save and _lives(process) and not _in_a_save(checkpoints):
        pass
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def _newest(checkpoints: Path) -> int:
    return max((int(name[:6]) for name in _names(checkpoints) if name.endswith(".json")), default=0)


def _lives(process: int) -> bool:
    """Whether a process is running: an ended one is a zombie until it is waited for."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()] if folder.exists() else []


def _in_a_save(folder: Path) -> bool:
    """Whether there are partial files, or tensors without their JSON file."""
    names = {*_names(folder)}
    return any(
        n.endswith(".part") or (n.endswith("s") and n.replace("safetensors", "json") not in names) for n in names
    )


def _step(checkpoints: Path) -> int:
    files = sorted(checkpoints.glob("*.json"))
    return int(json.loads(files[-1].read_text())["fields"]["step"]) if files else 0


def _untimed(run: Path) -> list[str]:
    lines = read_metrics(run / "metrics.jsonl").lines
    return [json.dumps({name: value for name, value in line.items() if name not in TIMING}) for line in lines]
