"""Any number of images through a predictor, some at a time: every output, in the order of the images."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mobilenet.errors import ModelError
from mobilenet.images import Preprocessing
from mobilenet.model.card import ModelCard
from mobilenet.model.head import Head
from mobilenet.model.outputs import Output, Outputs, shaped_outputs
from mobilenet.runtimes.batches import predict_batches
from mobilenet.spec import Linear

_HEAD = Head(
    (Linear("corners", 256, 4, inputs=("pool",)), Linear("mean", 256, 1, inputs=("pool",))),
    (Output("corners", ("corners",), (2, 2)), Output("mean", ("mean",), (1,), "sigmoid")),
)


class _Looking:
    """Answers with the red of the four corners and with the mean of all pixels."""

    labels = ()
    task = "looking"
    preprocessing = Preprocessing(32)
    card = ModelCard("mobilenet_v1", 0.25, 32, labels, preprocessing, task=task, head=_HEAD)

    def __init__(self) -> None:
        self.batches: list[int] = []

    def predict(self, images: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        self.batches.append(len(images))
        corners = images[:, :: images.shape[1] - 1, :: images.shape[2] - 1, 0].astype(np.float32)
        return {"mean": images.mean((1, 2, 3), dtype=np.float32)[:, None], "corners": corners}


class _Asked:
    """Images that are drawn when they are asked for."""

    def __init__(self, images: NDArray[np.uint8]) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, indices: NDArray[np.int64], /) -> NDArray[np.uint8]:
        return self.images[indices]


_IMAGES = np.random.default_rng(0).integers(0, 256, (7, 32, 32, 3), np.uint8)


@pytest.mark.parametrize("batch_size", [1, 3, 7, 64])
def test_every_output_of_every_image_in_order(batch_size: int) -> None:
    for images in (_IMAGES, _Asked(_IMAGES)):
        predictor, seen = _Looking(), []
        found = predict_batches(
            predictor, images, batch_size=batch_size, progress=lambda *done, seen=seen: seen.append(done)
        )
        assert list(found) == ["corners", "mean"]
        corners = [[[image[0, 0, 0], image[0, 31, 0]], [image[31, 0, 0], image[31, 31, 0]]] for image in _IMAGES]
        assert found["corners"].tolist() == corners
        np.testing.assert_allclose(found["mean"][:, 0], [image.mean() for image in _IMAGES], rtol=1e-5)
        assert (sum(predictor.batches), max(predictor.batches)) == (7, min(batch_size, 7))
        assert seen[-1] == (7, 7)
        assert len(seen) == len(predictor.batches)


def test_no_images_reach_no_engine() -> None:
    predictor = _Looking()
    found = predict_batches(predictor, _IMAGES[:0])
    assert {name: values.shape for name, values in found.items()} == {"corners": (0, 2, 2), "mean": (0, 1)}
    assert not predictor.batches


@pytest.mark.parametrize("photos", [0, 7])
def test_only_what_is_condensed_of_each_batch_is_kept(photos: int) -> None:
    batches = []

    def brightest(outputs: Outputs) -> Outputs:
        batches.append(len(outputs["corners"]))
        return {"brightest": outputs["corners"].max((1, 2)).astype(np.float64)}

    found = predict_batches(_Looking(), _IMAGES[:photos], batch_size=3, condense=brightest)
    assert {name: (values.dtype, values.shape) for name, values in found.items()} == {"brightest": ("f8", (photos,))}
    assert found["brightest"].tolist() == [image[::31, ::31, 0].max() for image in _IMAGES[:photos]]
    assert [size for size in batches if size] == [3, 3, 1][: photos and 3]


def test_answers_without_numbers_are_one_line_unless_they_are_wanted() -> None:
    class _Diverged(_Looking):
        def predict(self, images: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
            return {name: values * np.float32(np.nan) for name, values in super().predict(images).items()}

    with pytest.raises(ModelError, match="the model's outputs contain NaN or infinity"):
        predict_batches(_Diverged(), _IMAGES)
    assert np.isnan(predict_batches(_Diverged(), _IMAGES, check=shaped_outputs)["corners"]).all()


def test_another_model_is_one_line() -> None:
    class _Other(_Looking):
        def predict(self, images: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
            return {"probabilities": np.zeros((len(images), 3), np.float32)}

    with pytest.raises(ModelError, match=r"the model's outputs are \['probabilities'\], without corners"):
        predict_batches(_Other(), _IMAGES)
