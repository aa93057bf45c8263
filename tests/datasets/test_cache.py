"""The cache of decoded photos: the pixels of preprocessing, decoded once, within its bound."""

import io
import os
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.datasets.noise import decoded, noise, segment_files, write_photo

from mobilenet.datasets import Photos
from mobilenet.datasets import photos as photos_module
from mobilenet.datasets.cache import digests as content
from mobilenet.datasets.cache import load as cache
from mobilenet.datasets.cache import segment_file as segments
from mobilenet.errors import DataError
from mobilenet.images import ResizeMethod, to_square
from mobilenet.tasks.classification import ClassTargets

_ENDLESS = 10**12


@pytest.mark.usefixtures("small_segments")
@pytest.mark.parametrize("crop_fraction", [None, 0.875])
def test_pixels_equal_those_of_preprocessing(tmp_path: Path, decodings: list[int], crop_fraction: float | None) -> None:
    photos = noise(tmp_path / "photos", 11)
    expected = decoded(photos, 16, crop_fraction)
    for total in (11, 11):
        cached = cache.load(photos, 16, crop_fraction=crop_fraction, directory=tmp_path / "cache", max_bytes=_ENDLESS)
        np.testing.assert_array_equal(cached.batch(range(11)), expected)
        np.testing.assert_array_equal(cached.batch(np.array([10, 3, 3, -11])), expected[[10, 3, 3, 0]])
        assert cached.batch([]).shape == (0, 16, 16, 3)
        assert len(decodings) == total
        assert (cached.files, cached.left_out, cached.notes, len(cached)) == (photos.files, (), (), 11)
        np.testing.assert_array_equal(cached.targets.numbers, photos.targets.numbers)
    assert len(segment_files(tmp_path / "cache")) == 3
    assert not list((tmp_path / "cache").rglob("*.part"))


@pytest.mark.usefixtures("small_segments")
@pytest.mark.parametrize("max_bytes", [_ENDLESS, 0])
def test_photos_are_decoded_once_for_all_methods(tmp_path: Path, decodings: list[int], max_bytes: int) -> None:
    photos = noise(tmp_path / "photos", 11)
    methods: tuple[ResizeMethod, ...] = ("area", "nearest", "bilinear")
    expected = np.stack(
        [[to_square(photos.read(n), 16, None, method)[0] for n in range(11)] for method in methods], axis=1
    )
    assert not np.array_equal(expected[:, 0], expected[:, 1])
    indices, by = np.array([10, 3, 3, 0]), np.array([1, 0, 2, 1])
    for loads in (1, 2):
        decodings.clear()
        cached = cache.load(photos, 16, methods=methods, directory=tmp_path / "cache", max_bytes=max_bytes)
        assert len(decodings) == (0 if max_bytes and loads == 2 else 11)
        np.testing.assert_array_equal(cached.batch(indices, by), expected[indices, by])
        np.testing.assert_array_equal(cached.batch(range(11)), expected[:, 0])
        assert (cached.methods, len(cached.notes)) == (methods, 0 if max_bytes else 1)


def test_a_method_that_is_added_leaves_the_others_cached(tmp_path: Path, decodings: list[int]) -> None:
    photos = noise(tmp_path / "photos", 5)
    for methods, total in ((("area",), 5), (("area", "nearest"), 10), (("nearest",), 10), (("area",), 10)):
        cached = cache.load(photos, 16, methods=methods, directory=tmp_path / "cache", max_bytes=_ENDLESS)
        assert len(decodings) == total
        for place, method in enumerate(methods):
            want = np.stack([to_square(photos.read(n), 16, None, method)[0] for n in range(5)])
            np.testing.assert_array_equal(cached.batch(range(5), [place] * 5), want)


def test_sizes_are_those_of_the_upright_photo(tmp_path: Path) -> None:
    photos = noise(tmp_path / "photos", 8)
    for _ in range(2):
        sizes = cache.load(photos, 16, directory=tmp_path / "cache").sizes
        for number in range(8):
            height, width = np.random.default_rng(number).integers(20, 90, 2)
            turned = 1 + number % 8 > 4
            assert sizes[number].tolist() == ([width, height] if turned else [height, width])
        assert sizes.dtype == np.int32


def test_a_batch_is_the_callers_own(tmp_path: Path) -> None:
    cached = cache.load(noise(tmp_path / "photos", 2), 16, directory=tmp_path / "cache")
    before = cached.batch([0])
    cached.batch([0])[:] = 0
    np.testing.assert_array_equal(cached.batch([0]), before)
    with pytest.raises(IndexError):
        cached.batch([2])


def test_renamed_moved_and_copied_photos_are_found(tmp_path: Path, decodings: list[int]) -> None:
    photos = noise(tmp_path / "photos", 5)
    expected = decoded(photos, 16)
    cache.load(photos, 16, directory=tmp_path / "cache")
    for number in range(5):
        target = tmp_path / "elsewhere" / f"{number} renamed.jpeg"
        target.parent.mkdir(exist_ok=True)
        photos.path(number).rename(target)
    (tmp_path / "elsewhere" / "copy.jpg").write_bytes((tmp_path / "elsewhere" / "3 renamed.jpeg").read_bytes())
    files = (*(f"{number} renamed.jpeg" for number in range(5)), "copy.jpg")
    cached = cache.load(
        Photos(tmp_path / "elsewhere", files, ClassTargets(np.zeros(6, np.int64))), 16, directory=tmp_path / "cache"
    )
    np.testing.assert_array_equal(cached.batch(range(6)), expected[[0, 1, 2, 3, 4, 3]])
    assert len(decodings) == 5


def test_a_changed_photo_is_decoded_anew(tmp_path: Path, decodings: list[int]) -> None:
    photos = noise(tmp_path / "photos", 3)
    cache.load(photos, 16, directory=tmp_path / "cache")
    write_photo(photos.path(1), 77)
    cached = cache.load(photos, 16, directory=tmp_path / "cache")
    np.testing.assert_array_equal(cached.batch(range(3)), decoded(photos, 16))
    assert len(decodings) == 4


def test_other_sides_and_crops_are_kept_apart(tmp_path: Path) -> None:
    photos = noise(tmp_path / "photos", 3)
    for _ in range(2):
        for side, crop_fraction in ((16, None), (24, None), (16, 0.5)):
            cached = cache.load(photos, side, crop_fraction=crop_fraction, directory=tmp_path / "cache")
            np.testing.assert_array_equal(cached.batch(range(3)), decoded(photos, side, crop_fraction))


def test_bad_photos_are_left_out_by_name_and_reason(tmp_path: Path) -> None:
    good = noise(tmp_path, 4)
    good.path(1).write_bytes(b"")
    good.path(3).unlink()
    for _ in range(2):
        cached = cache.load(good, 16, directory=tmp_path / "cache")
        assert [(item.file, item.reason) for item in cached.left_out] == [
            ("001.jpg", "empty file; copy or download it again"),
            ("003.jpg", "cannot be read: no such file or directory"),
        ]
        assert cached.files == ("000.jpg", "002.jpg")
        assert cached.targets.numbers.tolist() == [0, 2]
        assert cached.sizes.shape == (2, 2)
        np.testing.assert_array_equal(cached.batch([0, 1]), decoded(good.take([0, 2]), 16))


def test_nothing_at_all(tmp_path: Path) -> None:
    empty = cache.load(Photos(tmp_path, (), ClassTargets(np.zeros(0, np.int64))), 16, directory=tmp_path / "cache")
    assert (len(empty), empty.batch([]).shape, empty.sizes.shape) == (0, (0, 16, 16, 3), (0, 2))
    (tmp_path / "a.jpg").write_bytes(b"no")
    bad = cache.load(
        Photos(tmp_path, ("a.jpg",), ClassTargets(np.zeros(1, np.int64))), 16, directory=tmp_path / "cache"
    )
    assert (len(bad), len(bad.left_out)) == (0, 1)


def test_progress_counts_every_photo(tmp_path: Path) -> None:
    photos = noise(tmp_path / "photos", 5)
    seen: list[tuple[int, int]] = []
    cache.load(photos, 16, directory=tmp_path / "cache", progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, 5) for done in range(1, 6)]


@pytest.mark.usefixtures("small_segments")
def test_the_bound_holds_and_the_rest_is_decoded_when_asked(tmp_path: Path, decodings: list[int]) -> None:
    photos = noise(tmp_path / "photos", 11)
    bound = 2 * segments.segment_bytes(4, 4, 16) + segments.segment_bytes(3, 0, 16) + 200
    for load_decodings in (11, 0):
        before = len(decodings)
        cached = cache.load(photos, 16, directory=tmp_path / "cache", max_bytes=bound)
        assert len(decodings) - before == load_decodings
        assert len(cached) == 11
        why = f"the cache in {tmp_path / 'cache'} is full at {bound:,} bytes"
        assert cached.notes == (f"3 of 11 photos are not cached and are decoded on every use: {why}",)
        assert sum(path.stat().st_size for path in segment_files(tmp_path / "cache")) <= bound
        np.testing.assert_array_equal(cached.batch(range(11)), decoded(photos, 16))
    photos.path(10).write_bytes(b"gone bad")
    with pytest.raises(DataError, match=r"010\.jpg changed while it was in use: only 8 bytes, not a photo"):
        cached.batch([10])


def test_no_room_at_all(tmp_path: Path) -> None:
    photos = noise(tmp_path / "photos", 3)
    cached = cache.load(photos, 16, crop_fraction=0.5, directory=tmp_path / "cache", max_bytes=0)
    np.testing.assert_array_equal(cached.batch([2, 0]), decoded(photos, 16, 0.5)[[2, 0]])
    assert cached.notes[0].startswith("3 of 3 photos are not cached")


@pytest.mark.usefixtures("small_segments")
def test_what_was_not_used_for_longest_makes_room(tmp_path: Path, decodings: list[int]) -> None:
    bound = int(2.1 * segments.segment_bytes(4, 4, 16))
    kinds = {name: noise(tmp_path / name, 4) for name in ("old", "kept", "new")}
    for number, photos in enumerate(kinds.values()):
        for position, file in enumerate(photos.files):
            write_photo(photos.root / file, 100 * number + position)

    def load(name: str) -> int:
        """How many photos had to be decoded."""
        decodings.clear()
        assert not cache.load(kinds[name], 16, directory=tmp_path / "cache", max_bytes=bound).notes
        return len(decodings)

    assert [load("kept"), load("old")] == [4, 4]
    for path in segment_files(tmp_path / "cache"):
        os.utime(path, (1, 1))
    assert [load("kept"), load("new"), load("kept"), load("old")] == [0, 4, 0, 4]
    assert [load("kept"), load("new")] == [0, 4]


@pytest.mark.usefixtures("small_segments")
@pytest.mark.parametrize("found_again", [False, True])
def test_segments_in_use_are_never_removed(tmp_path: Path, *, found_again: bool) -> None:
    bound = int(1.1 * segments.segment_bytes(4, 4, 16))
    train, validation = noise(tmp_path / "train", 4), noise(tmp_path / "validation", 2)
    for number, file in enumerate(validation.files):
        write_photo(validation.root / file, 300 + number)
    cached = cache.load(train, 16, directory=tmp_path / "cache", max_bytes=bound)
    held = segment_files(tmp_path / "cache")
    if found_again:
        del cached
        cached = cache.load(train, 16, directory=tmp_path / "cache", max_bytes=bound)
    others = cache.load(validation, 16, directory=tmp_path / "cache", max_bytes=bound)
    assert others.notes
    assert set(held) <= set(segment_files(tmp_path / "cache"))
    del cached
    again = cache.load(validation, 16, directory=tmp_path / "cache", max_bytes=bound)
    np.testing.assert_array_equal(again.batch([0, 1]), decoded(validation, 16))
    assert not again.notes


def test_digests_are_remembered_once_a_file_has_settled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = noise(tmp_path / "photos", 3)
    reads: list[Path] = []
    read_photo = photos_module.read_photo

    def counted(path: Path) -> bytes:
        reads.append(path)
        return read_photo(path)

    monkeypatch.setattr(photos_module, "read_photo", counted)
    cache.load(photos, 16, directory=tmp_path / "cache")
    cache.load(photos, 16, directory=tmp_path / "cache")
    assert len(reads) == 6, "a file that changed just now is read again"
    monkeypatch.setattr(content, "_SETTLED_NS", -_ENDLESS)
    cache.load(photos, 16, directory=tmp_path / "cache")
    cached = cache.load(photos, 16, directory=tmp_path / "cache")
    assert len(reads) == 9
    np.testing.assert_array_equal(cached.batch(range(3)), decoded(photos, 16))
    time.sleep(0.01)
    changed = bytearray(photos.path(1).read_bytes())
    changed[-60] ^= 8
    photos.path(1).write_bytes(changed)
    cached = cache.load(photos, 16, directory=tmp_path / "cache")
    assert [path.name for path in reads[9:]] == ["001.jpg"]
    np.testing.assert_array_equal(cached.batch(range(3)), decoded(photos, 16))


def test_the_default_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.default_directory() == tmp_path / "xdg" / "mobilenet"
    monkeypatch.setenv("MOBILENET_CACHE", str(tmp_path / "own"))
    assert cache.default_directory() == tmp_path / "own"
    monkeypatch.delenv("MOBILENET_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.default_directory() == tmp_path / ".cache" / "mobilenet"
    assert 0 < cache.default_max_bytes(tmp_path / "not there" / "yet") <= 8 * 10**9


def test_large_photos_are_read_at_a_fraction(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.radial_gradient("L").resize((1200, 900)).convert("RGB").save(file, "JPEG")
    (tmp_path / "a.jpg").write_bytes(file.getvalue())
    photos = Photos(tmp_path, ("a.jpg",), ClassTargets(np.zeros(1, np.int64)))
    cached = cache.load(photos, 96, directory=tmp_path / "cache")
    np.testing.assert_array_equal(cached.batch([0]), decoded(photos, 96))
    assert cached.sizes.tolist() == [[900, 1200]]
