"""A full disk: one line, the exit code for bad input, and no partial files."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mobilenet.scenes import SceneSettings, write_scenes

_SIZES_KB = (64, 256, 700, 1500, 2500, 4000)
"""Size of the disk: from enough for the settings only, to enough for the first checkpoints."""


@pytest.fixture
def disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={request.param}k", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("disk", _SIZES_KB, indirect=True)
def test_a_full_disk_is_one_line(tmp_path: Path, disk: Path) -> None:
    write_scenes(tmp_path / "photos", SceneSettings(train=200, validation=50, side=48))
    options = ["--width", "0.25", "--resolution", "32", "--epochs", "2", "--out", str(disk / "run")]
    command = [sys.executable, "-m", "mobilenet", "train", str(tmp_path / "photos"), *options]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    errors = [line for line in done.stderr.splitlines() if not line.startswith("epoch ")]
    print(done.returncode, errors)
    assert done.returncode == 2
    assert len(errors) == 1
    assert "no space left" in errors[0]
    assert not list(disk.rglob("*.part"))
