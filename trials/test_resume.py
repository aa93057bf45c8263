"""A run that is killed, again and again, ends with the weights of one that was not."""

import random
import subprocess
import sys
import time
from pathlib import Path

import torch
from safetensors.torch import load_file

from mobilenet.scenes import SceneSettings, write_scenes

_KILLS = 6


def _mobilenet(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "mobilenet", *map(str, arguments)]


def test_killed_at_random_moments_and_resumed(tmp_path: Path) -> None:
    data, whole, killed = tmp_path / "photos", tmp_path / "whole", tmp_path / "killed"
    write_scenes(data, SceneSettings(train=1500, validation=100, side=64))
    options = ("--width", 0.25, "--resolution", 64, "--epochs", 40, "--precision", "float32")
    subprocess.run(_mobilenet("train", data, *options, "--out", whole), check=True, capture_output=True)
    moments = random.Random(0)
    command = _mobilenet("train", data, *options, "--out", killed)
    for number in range(_KILLS):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not (killed / "config.json").exists() and process.poll() is None:
            time.sleep(0.05)
        time.sleep(moments.uniform(3, 10))
        process.kill()
        process.wait()
        lines = len((killed / "metrics.jsonl").read_text().splitlines()) if (killed / "metrics.jsonl").exists() else 0
        print(f"kill {number + 1}: after {lines} epochs")
        command = _mobilenet("train", "--resume", killed)
    subprocess.run(command, check=True, capture_output=True)
    want, got = load_file(whole / "model.safetensors"), load_file(killed / "model.safetensors")
    assert all(torch.equal(want[name], got[name]) for name in want)
    assert not list(killed.rglob("*.part"))
