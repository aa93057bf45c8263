"""Training on ten times as many photos needs no more anonymous memory."""

import resource
import subprocess
import sys
from pathlib import Path

from mobilenet.scenes import SceneSettings, write_scenes

_MEASURE = """
import resource, sys
from mobilenet.cli.main import main
code = main(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
sys.exit(code)
"""


def _peak_mb(data: Path, out: Path) -> float:
    options = ["--width", "0.25", "--resolution", "96", "--epochs", "1", "--out", str(out)]
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, "train", str(data), *options], check=True, capture_output=True, text=True
    )
    return float(done.stdout.splitlines()[-1])


def test_memory_does_not_grow_with_the_photos(tmp_path: Path) -> None:
    for count in (800, 8000):
        write_scenes(tmp_path / str(count), SceneSettings(train=count, validation=100, side=96))
    small, large = (_peak_mb(tmp_path / str(count), tmp_path / f"run{count}") for count in (800, 8000))
    pixels_mb = 7200 * 112 * 112 * 3 / 2**20
    print(f"800 photos: {small:.0f} MB, 8000 photos: {large:.0f} MB, of which {pixels_mb:.0f} MB are mapped pixels")
    # Pages of the memory-mapped cache count as resident; the system reclaims them on demand.
    assert large - small < pixels_mb + 100
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024 < 4096
