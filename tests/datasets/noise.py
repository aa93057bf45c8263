"""Photos of noise, and their pixels by the one path from a file to a network's input."""

from pathlib import Path

import numpy as np
from PIL import Image

from mobilenet.datasets import Photos
from mobilenet.images import Preprocessing
from mobilenet.tasks.classification import ClassTargets


def write_photo(path: Path, number: int, kind: str = "JPEG") -> None:
    generator = np.random.default_rng(number)
    height, width = generator.integers(20, 90, 2)
    image = Image.fromarray(generator.integers(0, 256, (height, width, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 1 + number % 8
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, kind, exif=exif)


def noise(root: Path, count: int) -> Photos:
    """Noise of many sizes and turns; file i has label i % 3."""
    for number in range(count):
        write_photo(root / f"{number:03}.jpg", number)
    return Photos(
        root, tuple(f"{number:03}.jpg" for number in range(count)), ClassTargets(np.arange(count, dtype=np.int64) % 3)
    )


def decoded(photos: Photos, side: int, crop_fraction: float | None = None) -> np.ndarray:
    preprocessing = Preprocessing(side, crop_fraction)
    return np.stack([preprocessing.prepare(photos.path(index)) for index in range(len(photos))])


def segment_files(directory: Path) -> list[Path]:
    return sorted(directory.rglob("*.pixels"))
