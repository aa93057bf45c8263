"""A search that is killed repeatedly ends with the same file as an uninterrupted one."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mobilenet.benchmark.device.grid import GridSettings, measure_grid

_KILLS = 20
_EPOCHS = 12


def _mobilenet(*words: object) -> list[str]:
    return [sys.executable, "-m", "mobilenet", *map(str, words)]


def test_killed_at_random_moments_and_started_again(tmp_path: Path) -> None:
    """Two candidates, one pruned from a wider network: short trainings, a full one, proof and measurement."""
    data, device = tmp_path / "photos", tmp_path / "device.json"
    _paint(data)
    measure_grid(GridSettings(widths=(0.25, 0.375), resolutions=(32, 64), seconds=1)).write(device)
    weights: list[object] = []
    for width in ("0.25", "0.5"):
        run = tmp_path / f"weights-{width}"
        words = _mobilenet("train", data, "--width", width, "--resolution", 32, "--epochs", 3, "--out", run)
        subprocess.run(words, check=True, capture_output=True)
        weights += ["--weights", run]

    def search(out: Path) -> list[str]:
        budget = ["--size", "3MB", "--device", device, "--epochs", _EPOCHS, "--runtime", "litert"]
        return _mobilenet("fit", data, *budget, *weights, "--out", out, "--json")

    began = time.monotonic()
    whole = json.loads(subprocess.run(search(tmp_path / "whole"), check=True, capture_output=True).stdout)
    seconds = time.monotonic() - began
    moments, steps = random.Random(0), []
    for _ in range(_KILLS):
        with subprocess.Popen(
            search(tmp_path / "killed"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        ) as process:
            time.sleep(moments.uniform(1, seconds / 4))
            os.killpg(process.pid, signal.SIGKILL)
        steps.append(_steps(tmp_path / "killed"))
    found = json.loads(subprocess.run(search(tmp_path / "killed"), check=True, capture_output=True).stdout)
    print(f"{_KILLS} kills of a search of {seconds:.0f} s, with these numbers of steps complete: {steps}")
    assert _told(found) == _told(whole)
    files = [hashlib.sha256(Path(one["model"]).read_bytes()).hexdigest() for one in (whole, found)]
    assert files[0] == files[1]
    assert len(_told(whole)) == 2


def _paint(folder: Path) -> None:
    """Photos of three colours with noise."""
    generator = np.random.default_rng(0)
    for part, count in (("train", 64), ("validation", 40)):
        for channel, name in enumerate(("red", "green", "blue")):
            (folder / part / name).mkdir(parents=True)
            for number in range(count):
                pixels = generator.integers(0, 200, (64, 64, 3), dtype=np.uint8)
                pixels[..., channel] += 50
                Image.fromarray(pixels).save(folder / part / name / f"{number}.png")


def _steps(folder: Path) -> int:
    """The number of recorded steps."""
    path = folder / "search.json"
    return len(json.loads(path.read_text())["steps"]) if path.exists() else 0


def _told(found: dict[str, Any]) -> dict[tuple[float, int], list[tuple[int, float, float]]]:
    """Epochs, accuracy and promise of each candidate's trials."""
    return {
        (row["width_multiplier"], row["resolution"]): [
            (one["epochs"], one["accuracy"], one["promise"]) for one in row["trials"]
        ]
        for row in found["candidates"]
        if row["trials"]
    }
