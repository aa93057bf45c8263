"""A model that can be checked by eye: it names the colour of a photo."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mobilenet.images import Preprocessing
from mobilenet.model.card import ModelCard
from mobilenet.runtimes import predictor

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


class ColourPredictor:
    """The shares of blue, red and green in a photo: `labels` are in another order than the folders of a data set."""

    labels = ("blue", "red", "green")
    task = "classification"
    preprocessing = Preprocessing(32)
    card = ModelCard("mobilenet_v1", 0.25, 32, labels, preprocessing, task=task)

    def predict(self, images: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        """(N, 32, 32, 3) -> `probabilities` (N, 3)."""
        means = images.reshape(len(images), -1, 3).mean(axis=1)[:, [2, 0, 1]] + 1e-3
        return {"probabilities": (means / means.sum(axis=1, keepdims=True)).astype(np.float32)}


@pytest.fixture
def colour_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The path of a model file that opens as a ColourPredictor."""
    path = tmp_path / "run" / "model.safetensors"
    path.parent.mkdir()
    path.touch()
    monkeypatch.setattr(predictor, "open_model", lambda _path: ColourPredictor())
    return str(path)


class NestedPredictor(ColourPredictor):
    """The same answers under nested names."""

    labels = ("cold/blue", "warm", "cold/green")
    card = ModelCard("mobilenet_v1", 0.25, 32, labels, ColourPredictor.preprocessing, task=ColourPredictor.task)


@pytest.fixture
def nested_model(colour_model: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The path of a model file that opens as a NestedPredictor."""
    monkeypatch.setattr(predictor, "open_model", lambda _path: NestedPredictor())
    return colour_model


@pytest.fixture
def paint() -> Callable[..., Path]:
    """`paint(path, "red")`: a photo of one colour, with a little grey so that no two are the same file."""

    def painted(path: Path, colour: str, grey: int = 0) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30), tuple(max(grey, value) for value in COLOURS[colour])).save(path)
        return path

    return painted


@pytest.fixture
def photos(tmp_path: Path, paint: Callable[..., Path]) -> Path:
    """16 photos of each of three colours to train on, 8 to validate with; a network learns to be sure of all."""
    for colour in ("red", "green", "blue"):
        for number in range(24):
            part = "train" if number < 16 else "validation"
            paint(tmp_path / "photos" / part / colour / f"{number}.png", colour, 2 * number)
    return tmp_path / "photos"
