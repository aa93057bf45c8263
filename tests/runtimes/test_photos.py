"""Photos on a disk are answered in order, and one that cannot be read stops nothing."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mobilenet.images import Preprocessing
from mobilenet.model.card import ModelCard
from mobilenet.runtimes.photos import predict_photos


class _MeanColour:
    """Answers with the mean of each channel, which the file's name tells as well."""

    labels = ("red", "green", "blue")
    task = "classification"
    preprocessing = Preprocessing(32)
    card = ModelCard("mobilenet_v1", 0.25, 32, labels, preprocessing, task=task)

    def __init__(self) -> None:
        self.batches: list[int] = []

    def predict(self, images: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        self.batches.append(len(images))
        return {"probabilities": images.reshape(len(images), -1, 3).mean(axis=1).astype(np.float32)}


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_every_photo_gets_its_own_answer_in_order(tmp_path: Path, batch_size: int) -> None:
    colours = [(10 * number, 100, 200 - 10 * number) for number in range(7)]
    paths = []
    for number, colour in enumerate(colours):
        paths.append(tmp_path / f"{number}.png")
        Image.new("RGB", (50, 40 + number), colour).save(paths[-1])
    paths.insert(2, tmp_path / "absent.jpg")
    predictor = _MeanColour()
    found = list(predict_photos(predictor, iter(paths), batch_size=batch_size))
    assert [photo.path for photo in found] == paths
    assert found[2].outputs is None
    assert "no such file" in (found[2].reason or "")
    answered = [photo for photo in found if photo.outputs]
    assert np.allclose(np.stack([photo.outputs["probabilities"] for photo in answered]), np.array(colours)[:, None])
    assert [photo.size for photo in answered] == [(40 + number, 50) for number in range(7)]
    assert max(predictor.batches) <= batch_size
    assert sum(predictor.batches) == 7


def test_a_batch_without_a_readable_photo_never_reaches_the_engine(tmp_path: Path) -> None:
    predictor = _MeanColour()
    (photo,) = predict_photos(predictor, [tmp_path / "absent.jpg"])
    assert photo.outputs is None
    assert not predictor.batches
