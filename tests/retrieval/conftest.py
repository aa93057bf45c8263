"""Photos, and a model that gives vectors of them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilenet.images import Preprocessing
from mobilenet.model.card import ModelCard
from mobilenet.tasks import DEFAULT, vectors_card


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backbone of random weights whose vectors have 256 numbers, with a threshold."""
    import torch

    from mobilenet.nn.model_file import write_model
    from mobilenet.nn.network import TableNetwork

    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    card = vectors_card(ModelCard("mobilenet_v1", 0.25, 32, (), Preprocessing(32), task=DEFAULT))
    card.decoding["threshold"] = 0.995
    torch.manual_seed(0)
    write_model(path, TableNetwork(card.network(), card.outputs).eval(), card)
    return path


def paint(path: Path, seed: int) -> Path:
    """A small photo of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    pixels = np.kron(random.integers(0, 256, (4, 4, 3)), np.ones((9, 9, 1))).astype(np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Eight photos in two folders, one file that is no photo, and one that is cut short."""
    for number in range(8):
        paint(tmp_path / "photos" / f"part{number % 2}" / f"{number}.png", number)
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"not a photo")
    return tmp_path / "photos"
