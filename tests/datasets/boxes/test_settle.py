"""Boxes in pixels of the photo that people see, whichever picture they were written for; and what is dropped."""

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
    """The corners of the white part of the decoded photo."""
    white = decode(photo)[:, :, 0] > 128
    rows, columns = np.flatnonzero(white.any(1)), np.flatnonzero(white.any(0))
    return [rows[0], columns[0], rows[-1] + 1, columns[-1] + 1]


def _said(size: tuple[float, float] | None, *corners: Corners) -> Annotation:
    return Annotation(tuple(Box("cat", each) for each in corners or (_INSIDE,)), "pixels", size)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_turn_with_the_pixels(orientation: int) -> None:
    assert list(turned(_INSIDE, (32, 64), orientation)) == _seen(_photo(orientation))


@pytest.mark.parametrize("orientation", range(5, 9))
@pytest.mark.parametrize("scale", [1, 0.5])
def test_boxes_of_the_stored_photo_are_turned(orientation: int, scale: float) -> None:
    photo = _photo(orientation)
    corners = (8 * scale, 16 * scale, 24 * scale, 40 * scale)
    settled = settle(_said((32 * scale, 64 * scale), corners), photo_size(photo))
    assert isinstance(settled, Settled)
    assert settled.frame is Frame.TURNED
    assert settled.boxes.boxes[0].tolist() == _seen(photo)


@pytest.mark.parametrize(
    ("said", "size", "frame"),
    [
        ((32, 64), PhotoSize(32, 64), None),
        ((32, 64), PhotoSize(32, 64, 6), None),
        (None, PhotoSize(32, 64), None),
        (None, PhotoSize(32, 64, 8), Frame.EITHER),
        ((32, 64), PhotoSize(32, 64, 3), Frame.EITHER),
        ((64, 64), PhotoSize(64, 64, 6), Frame.EITHER),
        ((100, 201), PhotoSize(32, 64), Frame.SCALED),
        ((50, 64), PhotoSize(32, 64), Frame.STRETCHED),
        ((64, 48), PhotoSize(32, 64), Frame.STRETCHED),
        ((20, 30), PhotoSize(32, 64), Frame.MISSIZED),
        ((32, 32), PhotoSize(32, 64), Frame.MISSIZED),
    ],
)
def test_the_picture_of_the_boxes(said: tuple[float, float] | None, size: PhotoSize, frame: Frame | None) -> None:
    settled = settle(_said(said), size)
    assert isinstance(settled, Settled)
    assert settled.frame is frame
    height, width = (size.height, size.width) if said is None or frame is Frame.MISSIZED else said
    wanted = np.array(_INSIDE) / [height, width, height, width] * [size.height, size.width, size.height, size.width]
    np.testing.assert_allclose(settled.boxes.boxes[0], wanted, rtol=0, atol=1 / 64)
    assert settled.boxes.size == (size.height, size.width)


def test_boxes_whose_place_nobody_can_tell_are_not_used() -> None:
    tall = (40, 16, 60, 30)
    assert settle(_said((64, 32), tall), PhotoSize(32, 64)) is Reason.SIDEWAYS
    assert settle(_said((64, 32), tall), PhotoSize(32, 64, 3)) is Reason.SIDEWAYS


@pytest.mark.parametrize(
    ("corners", "reason", "kept"),
    [
        ((0, 0, 10, 10), None, [0, 0, 10, 10]),
        ((10, 20, 5, 15), Reason.SWAPPED, [5, 15, 10, 20]),
        ((-5, 0, 10, 10), Reason.CLIPPED, [0, 0, 10, 10]),
        ((-1, -1, 101, 201), None, [0, 0, 100, 200]),
        ((0, 0, 10, 500), Reason.CLIPPED, [0, 0, 10, 200]),
        ((10, 10, 10, 30), Reason.NO_AREA, None),
        ((10, 10, 30, 10), Reason.NO_AREA, None),
        ((10, 10, 10.01, 30), Reason.NO_AREA, None),
        ((1.3, 2.7, 10.01, 30), None, [1.3125, 2.6875, 10, 30]),
        ((100, 0, 120, 10), Reason.OUTSIDE, None),
        ((-20, 0, 0, 10), Reason.OUTSIDE, None),
        ((0, math.nan, 10, 10), Reason.NOT_A_NUMBER, None),
        ((0, 0, math.inf, 10), Reason.NOT_A_NUMBER, None),
        ((-1e300, -1e300, 1e300, 1e300), Reason.CLIPPED, [0, 0, 100, 200]),
    ],
)
def test_faults_of_boxes(corners: Corners, reason: Reason | None, kept: list[float] | None) -> None:
    settled = settle(_said((100, 200), corners), PhotoSize(100, 200))
    assert isinstance(settled, Settled)
    assert [found for found, _ in settled.faults] == ([] if reason is None else [reason])
    assert settled.boxes.boxes.tolist() == ([] if kept is None else [kept])


def test_a_fault_quotes_the_file_and_the_other_boxes_are_used() -> None:
    settled = settle(_said(None, (5, 6, 5, 8), _INSIDE, _INSIDE), PhotoSize(32, 64))
    assert isinstance(settled, Settled)
    assert settled.faults == ((Reason.NO_AREA, "cat at 5, 6, 5, 8"), (Reason.REPEATED, "cat at 8, 16, 24, 40"))
    assert len(settled.boxes) == 1


def test_the_order_of_boxes_does_not_depend_on_the_file() -> None:
    corners: list[Corners] = [(5, 0, 9, 9), (0, 7, 9, 9), (0, 0, 9, 9)]
    one, other = (settle(_said(None, *ordered), PhotoSize(32, 64)) for ordered in (corners, corners[::-1]))
    assert isinstance(one, Settled)
    assert isinstance(other, Settled)
    assert one.boxes.boxes.tolist() == other.boxes.boxes.tolist() == [list(each) for each in sorted(corners)]


def test_fractions_are_of_the_photo_as_people_see_it() -> None:
    settled = settle(Annotation((Box("cat", (0.25, 0.5, 0.75, 0.625)),), "fractions"), PhotoSize(32, 64, 6))
    assert isinstance(settled, Settled)
    assert settled.frame is Frame.EITHER
    assert settled.boxes.boxes.tolist() == [[8, 32, 24, 40]]
