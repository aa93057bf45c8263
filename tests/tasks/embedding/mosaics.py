"""Photos of small mosaics: a class is a pattern, a photo of it has other noise and brightness."""

from pathlib import Path

import numpy as np
from PIL import Image

__all__ = ["write_mosaics"]


def write_mosaics(folder: Path, classes: int, photos: int, seed: int = 0) -> Path:
    """`photos` of each of `classes` patterns, in a folder for each."""
    patterns = np.random.default_rng(seed)
    for number in range(classes):
        pattern = patterns.uniform(0, 255, (4, 4, 3))
        noise = np.random.default_rng(1000 * seed + number)
        (folder / f"kind{number}").mkdir(parents=True, exist_ok=True)
        for photo in range(photos):
            pixels = np.kron(pattern, np.ones((10, 10, 1))) * noise.uniform(0.7, 1) + noise.normal(0, 12, (40, 40, 3))
            Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(
                folder / f"kind{number}" / f"{photo:02d}.png"
            )
    return folder
