"""Pictures with large and small shapes that are all different, and the ways in which copies of photos come about."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Picture = Callable[[int], Image.Image]
Save = Callable[..., Path]


@pytest.fixture
def picture() -> Picture:
    """`picture(7)`: 200 x 150 pixels of clouds, blotches and grain drawn from the number."""

    def drawn(number: int) -> Image.Image:
        random = np.random.default_rng(number)
        layers = []
        for cells, strength in ((4, 1.0), (12, 0.5), (40, 0.25)):
            noise = random.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
            large = Image.fromarray(noise).resize((200, 150), Image.Resampling.BICUBIC)
            layers.append(strength * (np.asarray(large, dtype=np.float64) - 128))
        return Image.fromarray(np.clip(128 + sum(layers), 0, 255).astype(np.uint8))

    return drawn


@pytest.fixture
def save(picture: Picture) -> Save:
    """`save(path, 7)`: that picture, or a given one, as a file."""

    def saved(path: Path, image: int | Image.Image, **options: int) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        (picture(image) if isinstance(image, int) else image).save(path, **options)
        return path

    return saved
