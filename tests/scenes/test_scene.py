"""Scenes: the same numbers give the same bytes, and what is said of the object is what the picture shows."""

import hashlib
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from mobilenet.errors import ConfigError
from mobilenet.scenes import ATTRIBUTES, KINDS, Scene, draw_scene, scene
from mobilenet.scenes.canvas import Canvas
from mobilenet.scenes.colours import COLOURS
from mobilenet.scenes.geometry import Pose, ring
from mobilenet.scenes.shapes import shape

_SEEDS = st.integers(0, 2**32)
_INDICES = st.integers(0, 10**6)


@pytest.fixture(scope="module")
def drawn_scenes() -> list[Scene]:
    return [draw_scene(5, index, side=48) for index in range(800)]


def _digest(drawn: Scene) -> str:
    return hashlib.sha256(drawn.image.tobytes()).hexdigest()


@settings(max_examples=10)
@given(_SEEDS, _INDICES)
def test_the_same_numbers_give_the_same_bytes(seed: int, index: int) -> None:
    first = draw_scene(seed, index, side=64)
    draw_scene(seed, index + 1, side=64)
    again = draw_scene(seed, index, side=64)
    assert _digest(first) == _digest(again)
    assert (first.box, first.attributes) == (again.box, again.attributes)


def test_every_seed_split_and_index_is_another_picture() -> None:
    pictures = [draw_scene(0, index, side=32) for index in range(0, 300, 10)]
    pictures += [draw_scene(0, 0, side=32, split="validation"), draw_scene(1, 0, side=32)]
    assert len({_digest(picture) for picture in pictures}) == len(pictures)


@settings(max_examples=30)
@given(_SEEDS, _INDICES, st.sampled_from([32, 33, 96, 128]))
def test_the_box_is_tight_and_inside(seed: int, index: int, side: int) -> None:
    drawn = draw_scene(seed, index, side=side)
    assert drawn.image.shape == (side, side, 3)
    assert drawn.image.dtype == np.uint8
    assert drawn.kind == KINDS[index % 10]
    box = drawn.box
    inside = drawn.visible[box.top : box.top + box.height, box.left : box.left + box.width]
    assert inside.sum() == drawn.visible.sum() > 0
    for border in (inside[0], inside[-1], inside[:, 0], inside[:, -1]):
        assert border.any()


@pytest.mark.parametrize("index", range(20))
def test_the_box_is_that_of_the_outlines(index: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The object drawn once more by another way, without smoothing, on a canvas of eight times the size."""
    posed: list[tuple[list[np.ndarray], float]] = []

    def spy(self: Canvas, parts, pose: Pose, paint) -> None:  # type: ignore[no-untyped-def]
        posed.append(([pose.place(part.outline) for part in parts], paint.contour))
        plain(self, parts, pose, paint)

    plain = Canvas.outline
    monkeypatch.setattr(Canvas, "outline", spy)
    monkeypatch.setattr(scene, "_hide", lambda *_: None)
    drawn = draw_scene(7, index)
    outlines, contour = posed[0]
    large = Image.new("1", (1024, 1024))
    for outline in outlines:
        ImageDraw.Draw(large).polygon((outline * 8).ravel().tolist(), 1)
    left, top, right, bottom = (edge / 8 for edge in large.getbbox() or ())
    box = drawn.box
    # A pixel for the rounding, half the contour, and the tips of outlines thinner than a pixel, which fade out.
    slack = 2 + contour / 2
    ours = (box.left, box.top, box.left + box.width, box.top + box.height)
    np.testing.assert_allclose(ours, (left, top, right, bottom), atol=slack)


@settings(max_examples=20)
@given(_SEEDS, _INDICES)
def test_attributes_say_what_is_there(seed: int, index: int) -> None:
    drawn = draw_scene(seed, index, side=96)
    assert tuple(drawn.attributes) == ATTRIBUTES
    assert set(drawn.attributes.values()) <= {0, 1}
    assert sum(drawn.attributes[name] for name in COLOURS) == 1
    assert drawn.attributes["striped"] + drawn.attributes["dotted"] <= 1
    assert drawn.attributes["large"] == (max(drawn.box.width, drawn.box.height) >= 64)


def test_occluded_means_that_less_is_to_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = [draw_scene(3, index) for index in range(120)]
    monkeypatch.setattr(scene, "_hide", lambda *_: None)
    whole = [draw_scene(3, index) for index in range(120)]
    assert not any(one.attributes["occluded"] for one in whole)
    hidden = [1 - one.visible.sum() / full.visible.sum() for one, full in zip(drawn, whole, strict=True)]
    # Pixels that show the object by a quarter or more count otherwise than the shares that decide: 5 points of slack.
    assert all(share > 0.0 for share, one in zip(hidden, drawn, strict=True) if one.attributes["occluded"])
    assert all(share < 0.1 for share, one in zip(hidden, drawn, strict=True) if not one.attributes["occluded"])
    assert 0.05 < np.mean([one.attributes["occluded"] for one in drawn]) < 0.35
    assert max(hidden) < 0.4


@pytest.mark.parametrize("name", COLOURS)
def test_a_colour_is_seen_in_the_picture(name: str, drawn_scenes: list[Scene]) -> None:
    """The mean hue of the pixels that show plain objects of a colour is nearer to that colour than to any other."""
    pixels = [drawn.image[drawn.visible].astype(float) for drawn in drawn_scenes if drawn.attributes[name]]
    mean = np.mean([each.mean(axis=0) for each in pixels], axis=0)

    def hue(colour: np.ndarray) -> np.ndarray:
        return (colour - colour.mean()) / colour.max()

    distances = {other: np.linalg.norm(hue(np.array(COLOURS[other])) - hue(mean)) for other in COLOURS}
    assert min(distances, key=distances.__getitem__) == name


def test_kinds_take_turns_and_come_in_every_colour_and_pattern(drawn_scenes: list[Scene]) -> None:
    drawn = drawn_scenes
    assert Counter(one.kind for one in drawn) == dict.fromkeys(KINDS, 80)
    shares = {name: np.mean([one.attributes[name] for one in drawn]) for name in ATTRIBUTES}
    for kind in KINDS:
        mine = [one.attributes for one in drawn if one.kind == kind]
        for name in (*COLOURS, "striped", "dotted"):
            # Four standard deviations of a share of 80 at most: sqrt(0.25 / 80) = 0.056.
            assert abs(np.mean([each[name] for each in mine]) - shares[name]) < 0.22


@settings(max_examples=20)
@given(st.sampled_from(KINDS), _SEEDS)
def test_shapes_are_finite_and_about_two_units_across(kind: str, seed: int) -> None:
    parts = shape(kind, np.random.default_rng(seed))
    points = np.concatenate([part.outline for part in parts])
    assert np.isfinite(points).all()
    assert 1.2 < np.ptp(points, axis=0).max() < 3


def test_a_ring_has_a_hole() -> None:
    canvas = Canvas(np.zeros((64, 64, 3), np.float32))
    canvas.fill(ring((32, 32), 20, 20, 6), (255, 255, 255))
    picture = canvas.picture()[..., 0]
    assert picture[32, 32] == 0
    assert picture[32, 15] == 255
    # The area between circles of 20 and 14 pixels; the polygons of 28 corners take 0.8 % off.
    assert picture.sum() / 255 == pytest.approx(np.pi * (20**2 - 14**2), rel=0.03)


@pytest.mark.parametrize("side", [0, 31, 1025])
def test_a_side_out_of_range_is_refused(side: int) -> None:
    with pytest.raises(ConfigError, match=rf"^scene side {side} is out of range; use 32 to 1024 pixels$"):
        draw_scene(0, 0, side=side)
