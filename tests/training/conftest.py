"""A data set that trains in a second: two kinds of noise."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mobilenet.training.run import train
from mobilenet.training.settings import TrainingSettings

QUICK: dict[str, Any] = {"width_multiplier": 0.1, "resolution": 32, "epochs": 3, "batch_size": 8, "device": "cpu"}
"""Settings of a run of 15 steps."""

MODEST: dict[str, Any] = {
    "epochs": 32,
    "learning_rate": 0.02,
    "label_smoothing": 0.8,
    "augmentation": {"brightness": 0, "contrast": 0, "colour_balance": 0},
}
"""Settings that tell dark from bright, with much less confidence than accuracy, however many threads compute it."""


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of 2 classes, 20 photos each for training and 6 for validation: dark red and bright green noise."""
    monkeypatch.setenv("MOBILENET_CACHE", str(tmp_path / "cache"))
    return draw_photos(tmp_path / "photos")


def draw_photos(folder: Path) -> Path:
    """The photos of that fixture: the same wherever they are drawn."""
    generator = np.random.default_rng(0)
    for split, count in (("train", 20), ("validation", 6)):
        for name, low, channel in (("dark", 0, 0), ("bright", 128, 1)):
            place = folder / split / name
            place.mkdir(parents=True)
            for number in range(count):
                pixels = generator.integers(low, low + 100, (48, 40, 3), dtype=np.uint8)
                pixels[..., channel] += 28
                Image.fromarray(pixels).save(place / f"{number}.png")
    return folder


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`undisturbed(**settings)`: the folder of a run on the same photos that nothing stopped, trained once."""
    folder = tmp_path_factory.mktemp("undisturbed")
    photos, runs = draw_photos(folder / "photos"), dict[str, Path]()

    def trained(**changes: Any) -> Path:
        key = repr(sorted(changes.items()))
        if key not in runs:
            run = folder / str(len(runs))
            train(TrainingSettings(photos, **{**QUICK, **changes}), run)
            runs[key] = run
        return runs[key]

    return trained
