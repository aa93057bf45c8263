"""Scenes with several objects: each box is that of what is seen of its object, by another way of drawing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from mobilenet.errors import ConfigError
from mobilenet.scenes import KINDS, StillLife, draw_scene, draw_still_life
from mobilenet.scenes.canvas import Canvas
from mobilenet.scenes.geometry import Pose
from mobilenet.scenes.still_life import MOST_OBJECTS

_FINER = 8


@pytest.fixture(scope="module")
def many() -> list[StillLife]:
    return [draw_still_life(1, index, side=96) for index in range(120)]


@settings(max_examples=8)
@given(st.integers(0, 2**32), st.integers(0, 10**6))
def test_the_same_numbers_give_the_same_bytes(seed: int, index: int) -> None:
    first = draw_still_life(seed, index, side=64)
    draw_still_life(seed, index + 1, side=64)
    again = draw_still_life(seed, index, side=64)
    assert first.image.tobytes() == again.image.tobytes()
    assert [placed.box for placed in first.objects] == [placed.box for placed in again.objects]
    assert 1 <= len(first.objects) <= MOST_OBJECTS


def test_every_seed_split_and_index_is_another_picture() -> None:
    pictures = [draw_still_life(0, index, side=32).image for index in range(10)]
    pictures += [draw_still_life(0, 0, side=32, split="validation").image, draw_still_life(1, 0, side=32).image]
    pictures.append(draw_scene(0, 0, side=32).image)
    assert len({picture.tobytes() for picture in pictures}) == len(pictures)


@pytest.mark.parametrize("index", range(12))
def test_a_box_is_that_of_what_is_seen(index: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The outlines drawn once more without smoothing, each in a number of its own over those before it, on a canvas of
    eight times the size: what is left of a number is what is seen of its object."""
    painted: list[tuple[list[np.ndarray], float]] = []
    plain = Canvas.paint

    def spy(self: Canvas, parts, pose: Pose, paint) -> None:  # type: ignore[no-untyped-def]
        painted.append(([pose.place(part.outline) for part in parts], paint.contour))
        plain(self, parts, pose, paint)

    monkeypatch.setattr(Canvas, "paint", spy)
    drawn = draw_still_life(7, index, side=128)
    assert len(painted) == len(drawn.objects)
    large = Image.new("L", (128 * _FINER, 128 * _FINER))
    for number, (outlines, contour) in enumerate(painted, 1):
        for outline in outlines:
            corners = (outline * _FINER).ravel().tolist()
            ImageDraw.Draw(large).polygon(corners, number)
            if contour:
                ImageDraw.Draw(large).line(corners + corners[:2], number, width=round(contour * _FINER))
    numbers = np.asarray(large)
    for number, placed in enumerate(drawn.objects, 1):
        rows, columns = np.nonzero(numbers == number)
        box = placed.box
        theirs = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        ours = (box.left, box.top, box.left + box.width, box.top + box.height)
        # A pixel for the rounding, and the tips of outlines thinner than a pixel, which fade out.
        np.testing.assert_allclose(ours, np.array(theirs) / _FINER, atol=2)
        seen = placed.visible
        assert seen[box.top : box.top + box.height, box.left : box.left + box.width].sum() == seen.sum() > 0
        share = (numbers == number).sum() / _FINER**2 / seen.sum()
        # A pixel counts as a whole from a quarter on, which thin objects have many of.
        assert 0.6 < share < 1.1


def test_each_object_shows_enough_and_is_told_from_the_others(many: list[StillLife]) -> None:
    for drawn in many:
        for number, one in enumerate(drawn.objects):
            for other in drawn.objects[:number]:
                shared = (one.visible & other.visible).sum()
                # Pixels on the border between the two, of which each covers a quarter or more.
                assert shared < 0.2 * min(one.visible.sum(), other.visible.sum())
            assert min(one.box.width, one.box.height) >= 2


def test_scenes_differ_in_kinds_sizes_numbers_and_places(many: list[StillLife]) -> None:
    objects = [placed for drawn in many for placed in drawn.objects]
    assert {placed.kind for placed in objects} == set(KINDS)
    assert {len(drawn.objects) for drawn in many} == set(range(1, MOST_OBJECTS + 1))
    sizes = np.array([max(placed.box.width, placed.box.height) for placed in objects]) / 96
    assert np.quantile(sizes, 0.1) < 0.25
    assert np.quantile(sizes, 0.9) > 0.4
    assert sizes.max() < 0.6
    edges = [placed for placed in objects if 0 in {placed.box.left, placed.box.top}]
    assert 0.02 < len(edges) / len(objects) < 0.4


@pytest.mark.parametrize("side", [31, 1025])
def test_a_side_out_of_range_is_refused(side: int) -> None:
    with pytest.raises(ConfigError, match=rf"^scene side {side} is out of range; use 32 to 1024 pixels$"):
        draw_still_life(0, 0, side=side)
