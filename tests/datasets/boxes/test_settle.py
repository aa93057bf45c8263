"""Boxes as fractions of the photo that people see, whichever picture they were written for; and what is dropped."""

import io
import math

import numpy as np
import pytest
from PIL import Image

from mobilenet.datasets.sources.boxes.annotation import Annotation, Box, Corners, Reason
from mobilenet.datasets.sources.boxes.settle import Frame, Settled, settle, turned
from mobilenet.images import PhotoSize, decode, photo_size

_INSIDE: Corners = (8, 16, 24, 40)


def _photo(orientation: int, size: tuple[int, int] = (32, 64)) -> bytes:
    """Stored with this (height, width), white within `_INSIDE`, else black."""
    pixels, exif, file = np.zeros(size, np.uint8), Image.Exif(), io.BytesIO()
    pixels[8:24, 16:40] = 255
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(file, "PNG", exif=exif)
    return file.getvalue()


def _seen(photo: bytes) -> list[float]:
    """The corners of the white part as fractions of the decoded photo."""
    white = decode(photo)[:, :, 0] > 128
    rows, columns = np.flatnonzero(white.any(1)), np.flatnonzero(white.any(0))
    height, width = white.shape
    return [rows[0] / height, columns[0] / width, (rows[-1] + 1) / height, (columns[-1] + 1) / width]


def _said(size: tuple[float, float] | None, *corners: Corners) -> Annotation:
    return Annotation(tuple(Box("cat", each) for each in corners or (_INSIDE,)), "pixels", size)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_turn_with_the_pixels(orientation: int) -> None:
    fractions = (8 / 32, 16 / 64, 24 / 32, 40 / 64)
    np.testing.assert_allclose(turned(fractions, orientation), _seen(_photo(orientation)))


@pytest.mark.parametrize("orientation", range(5, 9))
@pytest.mark.parametrize("scale", [1, 0.5])
def test_boxes_of_the_stored_photo_are_turned(orientation: int, scale: float) -> None:
    photo = _photo(orientation)
    corners = (8 * scale, 16 * scale, 24 * scale, 40 * scale)
    settled = settle(_said((32 * scale, 64 * scale), corners), photo_size(photo))
    assert isinstance(settled, Settled)
    assert settled.frame is Frame.TURNED
    np.testing.assert_allclose(settled.boxes.boxes[0], _seen(photo))


@pytest.mark.parametrize(
    ("said", "size", "frame"),
    [
        ((32, 64), PhotoSize(32, 64), None),
        ((32, 64), PhotoSize(32, 64, 6), None),
        (None, PhotoSize(32, 64), None),
        (None, PhotoSize(32, 64, 8), Frame.DOUBTFUL),
        ((32, 64), PhotoSize(32, 64, 3), Frame.DOUBTFUL),
        ((64, 64), PhotoSize(64, 64, 6), Frame.DOUBTFUL),
        ((100, 201), PhotoSize(32, 64), Frame.SCALED),
        ((50, 64), PhotoSize(32, 64), Frame.STRETCHED),
        ((64, 48), PhotoSize(32, 64), Frame.STRETCHED),
        ((32, 64), None, None),
    ],
)
def test_the_picture_of_the_boxes(
    said: tuple[float, float] | None, size: PhotoSize | None, frame: Frame | None
) -> None:
    settled = settle(_said(said), size)
    assert isinstance(settled, Settled)
    assert settled.frame is frame
    height, width = said or (32, 64)
    np.testing.assert_allclose(settled.boxes.boxes[0], np.array(_INSIDE) / [height, width, height, width])


def test_boxes_whose_place_nobody_can_tell_are_not_used() -> None:
    assert settle(_said(None), None) is Reason.NO_SIZE
    assert settle(_said((64, 32)), PhotoSize(32, 64)) is Reason.SIDEWAYS
    assert settle(_said((64, 32)), PhotoSize(32, 64, 3)) is Reason.SIDEWAYS


@pytest.mark.parametrize(
    ("corners", "reason", "kept"),
    [
        ((0, 0, 10, 10), None, [0, 0, 0.1, 0.05]),
        ((10, 20, 5, 15), Reason.SWAPPED, [0.05, 0.075, 0.1, 0.1]),
        ((-5, 0, 10, 10), Reason.CLIPPED, [0, 0, 0.1, 0.05]),
        ((-1, -1, 101, 201), None, [0, 0, 1, 1]),
        ((0, 0, 10, 500), Reason.CLIPPED, [0, 0, 0.1, 1]),
        ((10, 10, 10, 30), Reason.NO_AREA, None),
        ((10, 10, 30, 10), Reason.NO_AREA, None),
        ((100, 0, 120, 10), Reason.OUTSIDE, None),
        ((-20, 0, 0, 10), Reason.OUTSIDE, None),
        ((0, math.nan, 10, 10), Reason.NOT_A_NUMBER, None),
        ((0, 0, math.inf, 10), Reason.NOT_A_NUMBER, None),
        ((-1e300, -1e300, 1e300, 1e300), Reason.CLIPPED, [0, 0, 1, 1]),
    ],
)
def test_faults_of_boxes(corners: Corners, reason: Reason | None, kept: list[float] | None) -> None:
    settled = settle(_said((100, 200), corners), PhotoSize(100, 200))
    assert isinstance(settled, Settled)
    assert [found for found, _ in settled.faults] == ([] if reason is None else [reason])
    np.testing.assert_allclose(settled.boxes.boxes, np.array([] if kept is None else [kept]).reshape(-1, 4))


def test_a_fault_quotes_the_file_and_the_other_boxes_are_used() -> None:
    settled = settle(_said(None, (5, 6, 5, 8), _INSIDE, _INSIDE), PhotoSize(32, 64))
    assert isinstance(settled, Settled)
    assert settled.faults == ((Reason.NO_AREA, "cat at 5, 6, 5, 8"), (Reason.REPEATED, "cat at 8, 16, 24, 40"))
    assert len(settled.boxes) == 1
