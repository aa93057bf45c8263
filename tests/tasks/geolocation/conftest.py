"""Photos whose colour says where they were taken."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Run = Callable[..., str]

PLACES = ((48.0, 2.0), (-33.0, 151.0), (37.0, -122.0), (-18.0, 179.9))
"""The last is near the date line, so that photos around it are on both sides."""

_COLOURS = ((220, 40, 40), (40, 200, 60), (50, 70, 220), (210, 200, 50))


def write_places(root: Path, photos: int, *, first: int = 0) -> Path:
    """A table of so many photos around each of four places, within about 200 km of it; none is the same as any with
    another number."""
    root.mkdir(parents=True, exist_ok=True)
    rows = []
    for place, ((latitude, longitude), colour) in enumerate(zip(PLACES, _COLOURS, strict=True)):
        for number in range(first, first + photos):
            random = np.random.default_rng([place, number])
            north, east = random.uniform(-2, 2, 2)
            pixels = np.array(colour) + random.integers(-30, 31, (32, 32, 3))
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(root / f"{place}-{number:03}.png")
            east = (longitude + east + 180) % 360 - 180
            rows.append((f"{place}-{number:03}.png", f"{latitude + north:.6f}", f"{east:.6f}"))
    with (root / "photos.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file_name", "latitude", "longitude"), *rows])
    return root / "photos.csv"


@pytest.fixture(scope="session")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 photos around each of four places."""
    return write_places(tmp_path_factory.mktemp("places") / "photos", 30)


@pytest.fixture
def mobilenet(capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in this process and returns what it prints, on stdout or with `stderr` there; it has to exit with
    `exit_code`, any if None."""
    from mobilenet.cli.main import main

    def run(*words: object, exit_code: int | None = 0, stderr: bool = False) -> str:
        found = main([str(word) for word in words])
        printed = capfd.readouterr()
        assert exit_code in (None, found), printed.err
        return printed.err if stderr else printed.out

    return run
