"""A checkpoint is written atomically: killed at each system call, each one refused, damaged in every way."""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mobilenet.scenes import SceneSettings, write_scenes
from mobilenet.training.resume.checkpoint import Checkpoints
from mobilenet.training.run import train
from mobilenet.training.settings import TrainingSettings

_FLIPS, _CUTS = 1000, 200
_MOST_CALLS = 2000


@pytest.fixture
def strace() -> str:
    found = shutil.which("strace")
    if found is None:
        pytest.skip("strace is not installed")
    return found


def _two_checkpoints(forks: Any, folder: Path) -> dict[str, bytes]:
    for step in (1, 2):
        assert forks.run("save", folder, step) == 0
    return _content(folder)


def _content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _save_under(strace: str, forks: Any, folder: Path, *options: str) -> int:
    """The exit code of a process that saves a third checkpoint while strace watches or interferes."""
    process = forks.fork("save", [str(folder), "3"])
    command = [strace, "-f", "-p", str(process), *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr is not None
        line = tracer.stderr.readline()
        assert "attached" in line, line
        forks.go(process)
        return int(forks.wait(process))


def _calls(strace: str, forks: Any, folder: Path) -> list[tuple[str, int]]:
    """Each system call of a save in order: its name, and its number among those of that name."""
    log = folder.with_suffix(".strace")
    assert _save_under(strace, forks, folder, "-o", str(log)) == 0
    names = re.findall(r"^\d+ +(\w+)\(", log.read_text(), re.MULTILINE)
    return [(name, names[: place + 1].count(name)) for place, name in enumerate(names)]


def _loads(folder: Path) -> int:
    """The step of the checkpoint that loads; checks that its values are right and no other is damaged."""
    saved = Checkpoints(folder, 2).load()
    assert saved is not None
    assert saved.damaged == ()
    step = int(saved.fields["step"])
    assert torch.equal(saved.tensors["a"], torch.full((40, 50), float(step)))
    return step


def test_killed_at_each_system_call_of_a_save(tmp_path: Path, strace: str, forks: Any) -> None:
    before = _two_checkpoints(forks, tmp_path / "before")
    shutil.copytree(tmp_path / "before", tmp_path / "watched")
    calls = _calls(strace, forks, tmp_path / "watched")
    loaded = []
    for number, (name, count) in enumerate(calls):
        folder = tmp_path / str(number)
        shutil.copytree(tmp_path / "before", folder)
        inject = ("-o", os.devnull, "-e", f"inject={name}:signal=KILL:when={count}")
        assert _save_under(strace, forks, folder, *inject) == -signal.SIGKILL, name
        loaded.append(_loads(folder))
        Checkpoints(folder, 2).tidy()
        assert len(list(folder.iterdir())) % 2 == 0
        if loaded[-1] == 2:
            assert _content(folder) == before
    old, new = loaded.count(2), loaded.count(3)
    print(f"killed at each of {len(calls)} system calls of a save: {old} load the old one, {new} the new one")
    assert loaded == sorted(loaded)
    assert old > 12
    assert new > 1


@pytest.mark.parametrize("call", ["write", "fsync", "rename", "openat", "mkdir", "chmod"])
@pytest.mark.parametrize("lasting", ["once", "from then on"])
def test_a_disk_that_refuses_a_call(tmp_path: Path, strace: str, forks: Any, call: str, lasting: str) -> None:
    before = _two_checkpoints(forks, tmp_path / "before")
    refused = 0
    for number in range(1, _MOST_CALLS):
        folder = tmp_path / str(number)
        shutil.copytree(tmp_path / "before", folder)
        forks.log.write_bytes(b"")
        when = f"{number}{'' if lasting == 'once' else '+'}"
        status = _save_under(strace, forks, folder, "-o", os.devnull, "-e", f"inject={call}:error=ENOSPC:when={when}")
        if status == 0:
            break
        refused += 1
        assert status == 2
        said = forks.log.read_text().splitlines()
        if call != "write" or lasting == "once":
            assert len(said) == 1
            assert "no space left on device; free some space and run again" in said[0].lower()
        assert _content(folder) == before or (_loads(folder) == 3 and len(_content(folder)) in (4, 6))
    print(f"ENOSPC at each of {refused} {call} calls, {lasting}: one line, and the folder is unchanged")
    assert refused or call == "mkdir"


def test_flipped_bits_and_cuts_are_noticed(tmp_path: Path) -> None:
    write_scenes(tmp_path / "photos", SceneSettings(train=64, validation=16, side=32))
    settings = TrainingSettings(tmp_path / "photos", width_multiplier=0.1, resolution=32, epochs=2, device="cpu")
    train(settings, tmp_path / "run")
    folder = tmp_path / "run" / "checkpoint"
    newest = sorted(folder.iterdir())[-2:]
    whole = [path.read_bytes() for path in newest]
    generator = np.random.default_rng(0)
    noticed = 0
    for number in range(_FLIPS + _CUTS):
        # Half of them in the JSON file, which is much smaller.
        path, data = newest[number % 2], whole[number % 2]
        place = int(generator.integers(len(data)))
        damaged = bytearray(data if number < _FLIPS else data[:place])
        if number < _FLIPS:
            damaged[place] ^= 1 << int(generator.integers(8))
        path.write_bytes(damaged)
        saved = Checkpoints(folder, 3).load()
        noticed += saved is not None and saved.fields["epoch"] == 1 and len(saved.damaged) == 1
        path.write_bytes(data)
    print(f"{noticed} of {_FLIPS} flipped bits and {_CUTS} cuts detected, and the previous checkpoint used")
    assert noticed == _FLIPS + _CUTS
