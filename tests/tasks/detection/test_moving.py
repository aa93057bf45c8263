"""Boxes move with the pixels: photos with one bright rectangle are rendered, and the rectangle is looked for."""

import numpy as np
import pytest
import torch

from mobilenet.images.augment import Augmentation, Crops, draw_crops, render
from mobilenet.tasks.detection.moving import IGNORED, NOTHING, moved

_SIDE, _OUT = 64, 96


def _photo(top: int, left: int, bottom: int, right: int) -> torch.Tensor:
    pixels = np.zeros((_SIDE, _SIDE, 3), np.uint8)
    pixels[top:bottom, left:right] = 255
    return torch.from_numpy(pixels)


def _bright(plane: torch.Tensor) -> np.ndarray:
    """Top, left, bottom, right of what is white, in shares of the plane; grey is around the photo."""
    white = plane.numpy() > 200
    rows, columns = np.flatnonzero(white.any(1)), np.flatnonzero(white.any(0))
    return np.array([rows[0], columns[0], rows[-1] + 1, columns[-1] + 1]) / _OUT


@pytest.mark.parametrize("turn", [False, True])
def test_boxes_follow_the_pixels(*, turn: bool) -> None:
    random = np.random.default_rng(0)
    count = 200
    low = random.integers(8, 24, (count, 2))
    high = random.integers(36, 60, (count, 2))
    pixels = torch.stack([_photo(*one.tolist(), *other.tolist()) for one, other in zip(low, high, strict=True)])
    settings = Augmentation((0.3, 1.0), brightness=0, contrast=0, colour_balance=0, turn=turn, zoom_out=2.0)
    crops = draw_crops(settings, 1, 0, np.arange(count))
    made = render(pixels, crops, _OUT, torch.zeros(3), torch.ones(3))
    boxes = (np.concatenate([low, high], 1) / _SIDE).astype(np.float32)[:, None]
    found, labels = moved(boxes, np.zeros((count, 1), np.int64), crops)
    seen = np.flatnonzero(labels[:, 0] == 0)
    assert len(seen) > count / 2
    assert len(set(crops.quarters.tolist())) == (4 if turn else 1)
    for photo in seen.tolist():
        # A pixel of the photo is spread over two of the crop, and half of its brightness is looked for.
        np.testing.assert_allclose(found[photo, 0], _bright(made[photo, 0]), atol=2.5 / _OUT)


def _crop(top: float, left: float, height: float, width: float) -> Crops:
    box = np.array([[top, left, height, width]], np.float32)
    none = np.zeros(1, np.int64)
    return Crops(box, none.astype(np.bool_), np.ones((1, 3), np.float32), np.zeros((1, 3), np.float32), none, none)


def test_what_is_cut_off_is_neither_learned_nor_background() -> None:
    boxes = np.array([[[0.0, 0.0, 0.4, 1.0], [0.0, 0.0, 0.8, 1.0], [0.0, 0.0, 0.6, 1.0], [0.6, 0, 1, 1]]], np.float32)
    labels = np.array([[0, 1, 2, 3]])
    found, after = moved(boxes, labels, _crop(0.5, 0.0, 0.5, 1.0))
    assert after.tolist() == [[NOTHING, IGNORED, IGNORED, 3]]
    np.testing.assert_allclose(found[0, 1], [0, 0, 0.6, 1], atol=1e-6)
    np.testing.assert_allclose(found[0, 3], [0.2, 0, 1, 1], atol=1e-6)


def test_what_is_no_box_stays_none() -> None:
    labels = np.array([[NOTHING, IGNORED]])
    boxes = np.array([[[0, 0, 0, 0], [0, 0, 1, 1]]], np.float32)
    assert moved(boxes, labels, _crop(0, 0, 1, 1))[1].tolist() == labels.tolist()
