"""The main use case on real photos: ten kinds of clothing, from random weights."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

_DATA = Path(__file__).parents[2] / "shared" / "data" / "clothing"

pytestmark = pytest.mark.skipif(not _DATA.is_dir(), reason="the photos of clothing are not beside the project")


def _train(out: Path, *options: str) -> dict[str, float]:
    command = [
        sys.executable,
        "-m",
        "mobilenet",
        "train",
        str(_DATA),
        "--out",
        str(out),
        "--json",
        "--seed",
        "0",
        *options,
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    result: dict[str, float] = json.loads(done.stdout)
    print(*options, {name: result[name] for name in ("top1", "seconds")})
    return result


def test_half_width_at_128_pixels_learns_in_eight_minutes(tmp_path: Path) -> None:
    result = _train(tmp_path / "run", "--width", "0.5", "--resolution", "128", "--epochs", "48")
    assert result["top1"] >= 0.82
    assert result["seconds"] <= 480


def test_separable_convolutions_lose_at_most_two_points(tmp_path: Path) -> None:
    same = ("--width", "1.0", "--resolution", "128", "--epochs", "48")
    separable = _train(tmp_path / "separable", *same, "--arch", "mobilenet_v1")
    standard = _train(tmp_path / "standard", *same, "--arch", "mobilenet_v1_standard")
    assert separable["top1"] >= standard["top1"] - 0.02
