"""Pictures are found again after what happens to copies, and others are not taken for them."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mobilenet.datasets.check import descriptors as perceptual
from mobilenet.datasets.check.alignment import aligned, same_picture
from mobilenet.datasets.check.descriptors import SIDE, candidates, describe, thumbnail
from mobilenet.datasets.check.duplicates import Thumbnails, exact_copies, groups, near_copies
from mobilenet.errors import StorageError

Picture = Callable[[int], Image.Image]

_FULL = Path("/dev/full")


def _again(image: Image.Image, quality: int = 60) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


_CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "encoded": lambda image: _again(image, 25),
    "halved": lambda image: _again(image.resize((100, 75))),
    "square": lambda image: image.resize((224, 224)),
    "corner": lambda image: _again(image.crop((0, 0, 184, 138))),
    "middle": lambda image: image.crop((10, 8, 190, 142)),
    "one side": lambda image: image.crop((16, 0, 200, 150)),
    "brighter": lambda image: Image.fromarray(np.clip(np.asarray(image) * 1.1 + 5, 0, 255).astype(np.uint8)),
}


def _pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("change", _CHANGES.values(), ids=_CHANGES)
def test_a_changed_copy_is_found_and_nothing_else(
    change: Callable[[Image.Image], Image.Image], picture: Picture, tmp_path: Path
) -> None:
    images = [picture(number) for number in range(12)]
    images.append(change(images[5]))
    paths = []
    for number, image in enumerate(images):
        paths.append(tmp_path / f"{number}.png")
        image.save(paths[-1])
    thumbnails = np.stack([thumbnail(_pixels(image)) for image in images])
    calls: list[tuple[int, int]] = []
    found = near_copies(
        thumbnails, lambda index: paths[index].read_bytes(), lambda done, total: calls.append((done, total))
    )
    assert [set(pair) for pair in found] == [{5, 12}]
    assert calls[-1][0] == calls[-1][1]


def test_the_same_shapes_with_other_details_are_another_picture(picture: Picture) -> None:
    one = _pixels(picture(1)).astype(np.float64)
    grain = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    other_grain = np.asarray(Image.fromarray(grain).resize((200, 150), Image.Resampling.BICUBIC), dtype=np.float64)
    shapes = np.asarray(picture(1).resize((10, 8), Image.Resampling.BOX).resize((200, 150), Image.Resampling.BICUBIC))
    other = np.clip(shapes + 0.4 * (other_grain - 128), 0, 255).astype(np.uint8)
    whole = np.array([1, 0, 1, 0], dtype=np.float32)
    assert describe(thumbnail(one.astype(np.uint8))[None])[0] @ describe(thumbnail(other)[None])[0] > 0.93
    assert not same_picture(one.astype(np.uint8), other, whole)


def test_another_colour_is_another_picture(picture: Picture) -> None:
    one = _pixels(picture(2))
    whole = np.array([1, 0, 1, 0], dtype=np.float32)
    assert same_picture(one, one, whole)
    assert not same_picture(one, np.ascontiguousarray(one[:, :, ::-1]), whole)


def test_drawings_without_details_are_compared_by_their_shapes() -> None:
    across = np.broadcast_to(np.linspace(60, 200, 120)[None, :, None], (90, 120, 3)).astype(np.uint8)
    down = np.broadcast_to(np.linspace(60, 200, 90)[:, None, None], (90, 120, 3)).astype(np.uint8)
    whole = np.array([1, 0, 1, 0], dtype=np.float32)
    assert same_picture(across, across, whole)
    assert not same_picture(across, down, whole)


def test_the_alignment_finds_the_crop(picture: Picture) -> None:
    """The left tenth and the lower twentieth are cut off: the crop's -1..1 is -0.8..1 of the whole across."""
    image = picture(3).resize((400, 300), Image.Resampling.BICUBIC)
    crop = image.crop((40, 0, 400, 285))
    guess = np.array([[0.92, 0.08, 1, 0]], dtype=np.float32)
    pair = (thumbnail(_pixels(crop))[None], thumbnail(_pixels(image))[None])
    score, placement = aligned(*pair, guess)
    assert score[0] > 0.9
    # a pixel of the thumbnail is 0.03
    assert placement[0] == pytest.approx([0.9, 0.1, 0.95, -0.05], abs=0.01)


def test_a_description_is_the_discrete_cosine_transform() -> None:
    """Of a single cosine only its own number is left, whatever its height; of one colour nothing."""
    wave = np.cos(np.pi * (2 * np.arange(SIDE) + 1) * 3 / (2 * SIDE))
    image = np.broadcast_to(128 + 100 * wave, (SIDE, SIDE)).astype(np.uint8)
    found = describe(image[None])[0]
    assert np.argmax(np.abs(found)) == 2
    assert found[2] == pytest.approx(1, abs=1e-3)
    assert not describe(np.full((1, SIDE, SIDE), 77, dtype=np.uint8)).any()


def test_candidates_are_those_of_a_plain_comparison(picture: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks, order and pruning change nothing; noise so coarse that some pairs are alike by chance."""
    random = np.random.default_rng(1)
    coarse = random.integers(0, 256, (300, 2, 2), dtype=np.uint8)
    thumbnails = np.stack([np.asarray(Image.fromarray(cells).resize((SIDE, SIDE))) for cells in coarse])
    whole = describe(thumbnails)
    alike = np.max([whole @ describe(thumbnails, crop).T for crop in perceptual._CROPS], axis=0)
    alike = np.maximum(alike, alike.T)
    expected = {(i, j) for i, j in zip(*np.nonzero(alike > perceptual._LEAST_COSINE), strict=True) if i < j}
    assert len(expected) > 20
    monkeypatch.setattr(perceptual, "_BLOCK", 16)
    monkeypatch.setattr(perceptual, "_NEAREST", 300)
    found = candidates(thumbnails)
    pairs = {tuple(sorted(pair)) for pair in zip(found.first.tolist(), found.second.tolist(), strict=True)}
    assert pairs == expected
    assert len(pairs) == len(found.first)


def test_few_candidates_are_kept_of_photos_that_are_all_alike(picture: Picture) -> None:
    thumbnails = np.stack([thumbnail(_pixels(picture(1)))] * 60)
    assert len(candidates(thumbnails).first) <= 60 * (perceptual._NEAREST + 1) * len(perceptual._CROPS)


def test_no_photos_at_all() -> None:
    nothing = np.empty((0, SIDE, SIDE), dtype=np.uint8)
    assert not near_copies(nothing, lambda index: b"")
    assert not exact_copies([])
    assert not groups(0, [])


def test_exact_copies() -> None:
    assert exact_copies([b"a", b"b", b"a", b"c", b"b", b"a"]) == [[0, 2, 5], [1, 4]]


@given(st.integers(1, 30), st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29)), max_size=40))
def test_groups_are_connected_parts(count: int, pairs: list[tuple[int, int]]) -> None:
    pairs = [(i % count, j % count) for i, j in pairs]
    reach = np.eye(count, dtype=bool)
    for i, j in pairs:
        reach[i, j] = reach[j, i] = True
    for _ in range(count):
        reach = reach @ reach
    expected = sorted({tuple(np.flatnonzero(row).tolist()) for row in reach if row.sum() > 1})
    assert [tuple(group) for group in groups(count, pairs)] == expected


def test_a_photo_that_vanishes_is_no_copy(picture: Picture, tmp_path: Path) -> None:
    thumbnails = np.stack([thumbnail(_pixels(picture(1)))] * 2)
    assert not near_copies(thumbnails, lambda index: b"gone")


def test_thumbnails_come_back_from_the_disk() -> None:
    with Thumbnails() as kept:
        assert kept.all().shape == (0, SIDE, SIDE)
        for value in (3, 250):
            kept.add(np.full((SIDE, SIDE), value, dtype=np.uint8))
        assert kept.all()[:, 0, 0].tolist() == [3, 250]


@pytest.mark.skipif(not _FULL.exists(), reason="this system has no disk that is always full")
def test_a_full_disk_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.TemporaryFile", lambda: _FULL.open("wb", buffering=0))
    with Thumbnails() as thumbnails, pytest.raises(StorageError, match="no space left on device; free some space"):
        thumbnails.add(np.zeros((SIDE, SIDE), dtype=np.uint8))
