"""The demo as `make demo` runs it: how good its file is, and how long everything takes on an otherwise idle machine."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

_LEAST_TOP1, _MOST_SECONDS = 0.9, 300.0


def _json(*words: object, folder: Path) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "mobilenet", *map(str, words), "--json"],
        cwd=folder,
        env={**os.environ, "MOBILENET_CACHE": str(folder / "cache")},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return json.loads(done.stdout)


def test_the_demo_ends_in_five_minutes_with_a_file_that_is_right_on_nine_of_ten_scenes(tmp_path: Path) -> None:
    """Nothing is cached, neither a profile of this machine nor decoded photos. The file is judged a second time."""
    demo = _json("demo", folder=tmp_path)
    print(demo)
    assert demo["seconds"] <= _MOST_SECONDS
    assert demo["top1"] >= _LEAST_TOP1
    assert demo["p95_ms"] <= demo["latency_limit_ms"]
    file = tmp_path / demo["model"]
    assert file.suffix == ".tflite"
    assert file.stat().st_size == demo["size_bytes"]
    again = _json("evaluate", demo["model"], demo["scenes"], folder=tmp_path)
    assert again["photos"] == 1000
    assert again["top1"] == demo["top1"]
