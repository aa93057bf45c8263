"""Pictures with large and small shapes that are all different, and the ways in which copies of photos come about."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilenet.datasets.cache import load as cache
from mobilenet.datasets.cache import store
from mobilenet.images import ResizeMethod

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


@pytest.fixture
def decodings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each photo that the cache decodes."""
    calls: list[int] = []
    to_squares = cache.to_squares

    def counted(
        source: bytes | Path, side: int, crop_fraction: float | None, methods: Sequence[ResizeMethod]
    ) -> object:
        calls.append(side)
        return to_squares(source, side, crop_fraction, methods)

    monkeypatch.setattr(cache, "to_squares", counted)
    return calls


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of four squares of side 16."""
    monkeypatch.setattr(store, "_SEGMENT_BYTES", 4 * 16 * 16 * 3)
    monkeypatch.setattr(store, "_MOST_SEGMENTS", 2**40)
