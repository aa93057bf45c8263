"""A data set that trains in a second: two kinds of noise."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of 2 classes, 20 photos each for training and 6 for validation: dark red and bright green noise."""
    monkeypatch.setenv("MOBILENET_CACHE", str(tmp_path / "cache"))
    generator = np.random.default_rng(0)
    for split, count in (("train", 20), ("validation", 6)):
        for name, low, channel in (("dark", 0, 0), ("bright", 128, 1)):
            folder = tmp_path / "photos" / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = generator.integers(low, low + 100, (48, 40, 3), dtype=np.uint8)
                pixels[..., channel] += 28
                Image.fromarray(pixels).save(folder / f"{number}.png")
    return tmp_path / "photos"
