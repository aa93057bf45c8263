"""Large data sets need little time and memory: a million names or places, and fifty thousand images."""

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilenet.tasks.geolocation.cells import bounds, leaves_of
from mobilenet.tasks.geolocation.partition import default_limits, numbers_in, partition

_NAMES, _CLASSES = 1_000_000, 100

_OPEN = """
import json, resource, sys, time
from pathlib import Path
from mobilenet.tasks import open_dataset
began = time.perf_counter()
dataset = open_dataset(Path(sys.argv[1]))
took = time.perf_counter() - began
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
counts = {"train": len(dataset.train), "validation": len(dataset.validation)}
print(json.dumps({"seconds": took, "peak_mb": peak, **counts}))
"""

_TRAIN = """
import json, sys
from pathlib import Path
from mobilenet.cli.main import main
code = main(sys.argv[1:])
fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(json.dumps({name: int(fields[name].split()[0]) / 1024 for name in ("VmHWM", "RssAnon", "RssFile")}))
sys.exit(code)
"""


def _names(folder: Path, *, split: bool) -> None:
    """Empty files: listing and splitting reads names, and content only if necessary."""
    parts = ("train", "validation") if split else ("",)
    for number in range(_CLASSES):
        for part in parts:
            (folder / part / f"class {number:03d}").mkdir(parents=True)
    for number in range(_NAMES):
        part = "validation" if split and number % 10 == 0 else parts[0]
        path = folder / part / f"class {number // 10 % _CLASSES:03d}" / f"photo {number:07d}.jpg"
        path.touch()


def test_a_million_names_are_listed_and_split(tmp_path: Path) -> None:
    _names(tmp_path / "photos", split=True)
    done = subprocess.run([sys.executable, "-c", _OPEN, str(tmp_path / "photos")], check=True, stdout=subprocess.PIPE)
    found = json.loads(done.stdout)
    print(found)
    assert found["train"] + found["validation"] == _NAMES
    assert found["seconds"] <= 20
    assert found["peak_mb"] <= 1024


def test_a_million_lines_of_a_table_are_read_and_split(tmp_path: Path) -> None:
    """A CSV file next to one folder of photos; the split is by content, of files of 32 bytes each."""
    lines = ["file_name,label"]
    (tmp_path / "photos").mkdir()
    for number in range(_NAMES):
        lines.append(f"photos/{number:07d}.jpg,class {number % _CLASSES:03d}")
        (tmp_path / "photos" / f"{number:07d}.jpg").write_bytes(number.to_bytes(32, "little"))
    (tmp_path / "photos.csv").write_text("\n".join(lines))
    done = subprocess.run(
        [sys.executable, "-c", _OPEN, str(tmp_path / "photos.csv")], check=True, stdout=subprocess.PIPE
    )
    found = json.loads(done.stdout)
    print(found)
    assert found["train"] + found["validation"] == _NAMES
    assert found["peak_mb"] <= 1024


def test_a_million_places_are_divided_into_cells() -> None:
    """Most of them in a few towns, some anywhere, a few at the poles and on the date line."""
    random = np.random.default_rng(0)
    towns = np.column_stack([np.degrees(np.arcsin(random.uniform(-1, 1, 2000))), random.uniform(-180, 180, 2000)])
    towns[:4] = (90, 0), (-90, 0), (0, 180), (65, -180)
    chosen = towns[(2000 * random.random(_NAMES) ** 4).astype(np.int64)]
    degrees = chosen + random.normal(size=(_NAMES, 2)) * (0.001 + 0.2 * random.random((_NAMES, 1)) ** 3)
    degrees[:50_000] = np.column_stack([random.uniform(-90, 90, 50_000), random.uniform(-180, 180, 50_000)])
    latitudes = 90 - abs(90 - abs(degrees[:, 0]))
    degrees = np.column_stack([np.copysign(latitudes, degrees[:, 0]), (degrees[:, 1] + 180) % 360 - 180])
    most, least = default_limits(_NAMES)
    began = time.perf_counter()
    leaves = leaves_of(degrees)
    cells = partition(leaves, most, least)
    numbers = numbers_in(cells, leaves)
    took = time.perf_counter() - began
    counts = np.bincount(numbers[numbers >= 0], minlength=len(cells))
    print(f"{len(cells):,} cells of {counts.min()} to {counts.max()} photos in {took:.1f} s (target 10)")
    print(f"{(numbers < 0).sum():,} photos are in none")
    assert took <= 10
    assert least <= counts.min()
    assert counts.max() <= most
    # No two of those that are kept share a leaf.
    first, last = bounds(cells)
    assert (first[1:] > last[:-1]).all()


def _images(folder: Path, count: int) -> None:
    random = np.random.default_rng(count)
    for number in range(count + 100):
        part = "train" if number < count else "validation"
        path = folder / part / str(number % 4) / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.full((36, 36, 3), 60 * (number % 4), np.uint8) + random.integers(0, 60, (36, 36, 3), np.uint8)
        Image.fromarray(pixels).save(path, quality=60)


@pytest.mark.parametrize("cache", ["8GB", "1MB"])
def test_training_from_fifty_thousand_images_takes_no_more_memory(tmp_path: Path, cache: str) -> None:
    found = {}
    for count in (1000, 50_000):
        _images(tmp_path / str(count), count)
        options = ["--width", "0.1", "--resolution", "32", "--epochs", "1", "--cache-size", cache]
        command = [sys.executable, "-c", _TRAIN, "train", str(tmp_path / str(count)), *options]
        began = time.perf_counter()
        environment = {**os.environ, "MOBILENET_CACHE": str(tmp_path / "cache")}
        whole = [*command, "--out", str(tmp_path / f"run-{count}")]
        done = subprocess.run(whole, check=True, stdout=subprocess.PIPE, env=environment)
        found[count] = json.loads(done.stdout.splitlines()[-1])
        print(f"{count} images, cache {cache}: {found[count]} MB, {time.perf_counter() - began:.0f} s")
    grown = found[50_000]["VmHWM"] - found[1000]["VmHWM"]
    print(f"{grown:.0f} MB more at the peak, {found[50_000]['RssAnon'] - found[1000]['RssAnon']:.0f} of them anonymous")
    assert grown <= 200
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024 < 4096
