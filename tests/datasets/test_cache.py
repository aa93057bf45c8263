import errno
import io
import multiprocessing
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from weakref import WeakSet

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from mobilenet.datasets import Photos
from mobilenet.datasets import photos as photos_module
from mobilenet.datasets.cache import digests as content
from mobilenet.datasets.cache import load as cache
from mobilenet.datasets.cache import segment_file as segments
from mobilenet.datasets.cache import store
from mobilenet.errors import DataError
from mobilenet.images import Preprocessing
from mobilenet.tasks.classification import ClassTargets

_ENDLESS = 10**12


def _write(path: Path, number: int, kind: str = "JPEG") -> None:
    generator = np.random.default_rng(number)
    height, width = generator.integers(20, 90, 2)
    image = Image.fromarray(generator.integers(0, 256, (height, width, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 1 + number % 8
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, kind, exif=exif)


def _photos(root: Path, count: int) -> Photos:
    """Noise of many sizes and turns; file i has label i % 3."""
    for number in range(count):
        _write(root / f"{number:03}.jpg", number)
    return Photos(
        root, tuple(f"{number:03}.jpg" for number in range(count)), ClassTargets(np.arange(count, dtype=np.int64) % 3)
    )


def _decoded(photos: Photos, side: int, crop_fraction: float | None = None) -> np.ndarray:
    preprocessing = Preprocessing(side, crop_fraction)
    return np.stack([preprocessing.prepare(photos.path(index)) for index in range(len(photos))])


def _segment_files(directory: Path) -> list[Path]:
    return sorted(directory.rglob("*.pixels"))


@pytest.fixture
def decodings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each photo that the cache decodes."""
    calls: list[int] = []
    to_square = cache.to_square

    def counted(source: bytes | Path, side: int, crop_fraction: float | None) -> object:
        calls.append(side)
        return to_square(source, side, crop_fraction)

    monkeypatch.setattr(cache, "to_square", counted)
    return calls


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of four squares of side 16."""
    monkeypatch.setattr(store, "_SEGMENT_BYTES", 4 * 16 * 16 * 3)
    monkeypatch.setattr(store, "_MOST_SEGMENTS", 2**40)


@pytest.mark.usefixtures("small_segments")
@pytest.mark.parametrize("crop_fraction", [None, 0.875])
def test_pixels_equal_those_of_preprocessing(tmp_path: Path, decodings: list[int], crop_fraction: float | None) -> None:
    photos = _photos(tmp_path / "photos", 11)
    expected = _decoded(photos, 16, crop_fraction)
    for decoded in (11, 11):
        cached = cache.load(photos, 16, crop_fraction=crop_fraction, directory=tmp_path / "cache", max_bytes=_ENDLESS)
        np.testing.assert_array_equal(cached.batch(range(11)), expected)
        np.testing.assert_array_equal(cached.batch(np.array([10, 3, 3, -11])), expected[[10, 3, 3, 0]])
        assert cached.batch([]).shape == (0, 16, 16, 3)
        assert len(decodings) == decoded
        assert (cached.files, cached.left_out, cached.notes, len(cached)) == (photos.files, (), (), 11)
        np.testing.assert_array_equal(cached.targets.numbers, photos.targets.numbers)
    assert len(_segment_files(tmp_path / "cache")) == 3
    assert not list((tmp_path / "cache").rglob("*.part"))


def test_sizes_are_those_of_the_upright_photo(tmp_path: Path) -> None:
    photos = _photos(tmp_path / "photos", 8)
    for _ in range(2):
        sizes = cache.load(photos, 16, directory=tmp_path / "cache").sizes
        for number in range(8):
            height, width = np.random.default_rng(number).integers(20, 90, 2)
            turned = 1 + number % 8 > 4
            assert sizes[number].tolist() == ([width, height] if turned else [height, width])
        assert sizes.dtype == np.int32


def test_a_batch_is_the_callers_own(tmp_path: Path) -> None:
    cached = cache.load(_photos(tmp_path / "photos", 2), 16, directory=tmp_path / "cache")
    before = cached.batch([0])
    cached.batch([0])[:] = 0
    np.testing.assert_array_equal(cached.batch([0]), before)
    with pytest.raises(IndexError):
        cached.batch([2])


def test_renamed_moved_and_copied_photos_are_found(tmp_path: Path, decodings: list[int]) -> None:
    photos = _photos(tmp_path / "photos", 5)
    expected = _decoded(photos, 16)
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
    photos = _photos(tmp_path / "photos", 3)
    cache.load(photos, 16, directory=tmp_path / "cache")
    _write(photos.path(1), 77)
    cached = cache.load(photos, 16, directory=tmp_path / "cache")
    np.testing.assert_array_equal(cached.batch(range(3)), _decoded(photos, 16))
    assert len(decodings) == 4


def test_other_sides_and_crops_are_kept_apart(tmp_path: Path) -> None:
    photos = _photos(tmp_path / "photos", 3)
    for _ in range(2):
        for side, crop_fraction in ((16, None), (24, None), (16, 0.5)):
            cached = cache.load(photos, side, crop_fraction=crop_fraction, directory=tmp_path / "cache")
            np.testing.assert_array_equal(cached.batch(range(3)), _decoded(photos, side, crop_fraction))


def test_bad_photos_are_left_out_by_name_and_reason(tmp_path: Path) -> None:
    good = _photos(tmp_path, 4)
    good.path(1).write_bytes(b"")
    good.path(3).unlink()
    for _ in range(2):
        cached = cache.load(good, 16, directory=tmp_path / "cache")
        assert [(item.file, item.reason) for item in cached.left_out] == [
            ("001.jpg", "empty file"),
            ("003.jpg", "cannot be read: no such file or directory"),
        ]
        assert cached.files == ("000.jpg", "002.jpg")
        assert cached.targets.numbers.tolist() == [0, 2]
        assert cached.sizes.shape == (2, 2)
        np.testing.assert_array_equal(cached.batch([0, 1]), _decoded(good.take([0, 2]), 16))


def test_nothing_at_all(tmp_path: Path) -> None:
    empty = cache.load(Photos(tmp_path, (), ClassTargets(np.zeros(0, np.int64))), 16, directory=tmp_path / "cache")
    assert (len(empty), empty.batch([]).shape, empty.sizes.shape) == (0, (0, 16, 16, 3), (0, 2))
    (tmp_path / "a.jpg").write_bytes(b"no")
    bad = cache.load(
        Photos(tmp_path, ("a.jpg",), ClassTargets(np.zeros(1, np.int64))), 16, directory=tmp_path / "cache"
    )
    assert (len(bad), len(bad.left_out)) == (0, 1)


def test_progress_counts_every_photo(tmp_path: Path) -> None:
    photos = _photos(tmp_path / "photos", 5)
    seen: list[tuple[int, int]] = []
    cache.load(photos, 16, directory=tmp_path / "cache", progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, 5) for done in range(1, 6)]


@pytest.mark.usefixtures("small_segments")
def test_the_bound_holds_and_the_rest_is_decoded_when_asked(tmp_path: Path, decodings: list[int]) -> None:
    photos = _photos(tmp_path / "photos", 11)
    bound = 2 * segments.segment_bytes(4, 4, 16) + segments.segment_bytes(3, 0, 16) + 200
    for load_decodings in (11, 0):
        before = len(decodings)
        cached = cache.load(photos, 16, directory=tmp_path / "cache", max_bytes=bound)
        assert len(decodings) - before == load_decodings
        assert len(cached) == 11
        why = f"the cache in {tmp_path / 'cache'} is full at {bound:,} bytes"
        assert cached.notes == (f"3 of 11 photos are decoded again each time they are used: {why}",)
        assert sum(path.stat().st_size for path in _segment_files(tmp_path / "cache")) <= bound
        np.testing.assert_array_equal(cached.batch(range(11)), _decoded(photos, 16))
    photos.path(10).write_bytes(b"gone bad")
    with pytest.raises(DataError, match=r"010\.jpg changed while it was in use: not a readable JPEG"):
        cached.batch([10])


def test_no_room_at_all(tmp_path: Path) -> None:
    photos = _photos(tmp_path / "photos", 3)
    cached = cache.load(photos, 16, crop_fraction=0.5, directory=tmp_path / "cache", max_bytes=0)
    np.testing.assert_array_equal(cached.batch([2, 0]), _decoded(photos, 16, 0.5)[[2, 0]])
    assert cached.notes[0].startswith("3 of 3 photos are decoded again")


@pytest.mark.usefixtures("small_segments")
def test_what_was_not_used_for_longest_makes_room(tmp_path: Path, decodings: list[int]) -> None:
    bound = int(2.1 * segments.segment_bytes(4, 4, 16))
    kinds = {name: _photos(tmp_path / name, 4) for name in ("old", "kept", "new")}
    for number, photos in enumerate(kinds.values()):
        for position, file in enumerate(photos.files):
            _write(photos.root / file, 100 * number + position)

    def load(name: str) -> int:
        """How many photos had to be decoded."""
        decodings.clear()
        assert not cache.load(kinds[name], 16, directory=tmp_path / "cache", max_bytes=bound).notes
        return len(decodings)

    assert [load("kept"), load("old")] == [4, 4]
    for path in _segment_files(tmp_path / "cache"):
        os.utime(path, (1, 1))
    assert [load("kept"), load("new"), load("kept"), load("old")] == [0, 4, 0, 4]
    assert [load("kept"), load("new")] == [0, 4]


@pytest.mark.usefixtures("small_segments")
@pytest.mark.parametrize("found_again", [False, True])
def test_segments_in_use_are_never_removed(tmp_path: Path, *, found_again: bool) -> None:
    bound = int(1.1 * segments.segment_bytes(4, 4, 16))
    train, validation = _photos(tmp_path / "train", 4), _photos(tmp_path / "validation", 2)
    for number, file in enumerate(validation.files):
        _write(validation.root / file, 300 + number)
    cached = cache.load(train, 16, directory=tmp_path / "cache", max_bytes=bound)
    held = _segment_files(tmp_path / "cache")
    if found_again:
        del cached
        cached = cache.load(train, 16, directory=tmp_path / "cache", max_bytes=bound)
    others = cache.load(validation, 16, directory=tmp_path / "cache", max_bytes=bound)
    assert others.notes
    assert set(held) <= set(_segment_files(tmp_path / "cache"))
    del cached
    again = cache.load(validation, 16, directory=tmp_path / "cache", max_bytes=bound)
    np.testing.assert_array_equal(again.batch([0, 1]), _decoded(validation, 16))
    assert not again.notes


def _flip(data: bytearray) -> None:
    data[-1] ^= 1


def _flip_digest(data: bytearray) -> None:
    data[70] ^= 1


def _flip_height(data: bytearray) -> None:
    data[64 + 16] ^= 1


def _cut(data: bytearray) -> None:
    del data[-1:]


def _empty(data: bytearray) -> None:
    data.clear()


def _lengthen(data: bytearray) -> None:
    data += b"x"


@pytest.mark.usefixtures("small_segments")
@pytest.mark.parametrize("damage", [_flip, _flip_digest, _flip_height, _cut, _empty, _lengthen])
def test_damaged_segments_are_rebuilt(
    tmp_path: Path, decodings: list[int], damage: Callable[[bytearray], None]
) -> None:
    photos = _photos(tmp_path / "photos", 8)
    sizes = cache.load(photos, 16, directory=tmp_path / "cache").sizes
    victim = _segment_files(tmp_path / "cache")[0]
    data = bytearray(victim.read_bytes())
    damage(data)
    victim.write_bytes(data)
    decodings.clear()
    cached = cache.load(photos, 16, directory=tmp_path / "cache")
    np.testing.assert_array_equal(cached.batch(range(8)), _decoded(photos, 16))
    np.testing.assert_array_equal(cached.sizes, sizes)
    assert len(decodings) == 4
    assert not cached.notes
    decodings.clear()
    cache.load(photos, 16, directory=tmp_path / "cache")
    assert not decodings


@settings(max_examples=25)
@given(st.binary(max_size=400))
@example(b"PK\x05\x06")
def test_any_bytes_in_the_cache_folder_do_no_harm(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos = _photos(folder / "photos", 1)
        cache.load(photos, 8, directory=folder / "cache")
        kept = _segment_files(folder / "cache")[0]
        kept.with_name("ffff.pixels").write_bytes(data)
        kept.write_bytes(kept.read_bytes()[:64] + data)
        (folder / "cache" / "digests.npy").write_bytes(data)
        cached = cache.load(photos, 8, directory=folder / "cache")
        np.testing.assert_array_equal(cached.batch([0]), _decoded(photos, 8))


def test_debris_of_dead_processes_and_other_versions_is_removed(tmp_path: Path) -> None:
    photos = _photos(tmp_path / "photos", 2)
    cache.load(photos, 16, directory=tmp_path / "cache")
    folder = _segment_files(tmp_path / "cache")[0].parent
    debris = [folder / ".x.pixels.abc.part", tmp_path / "cache" / ".digests.npy.q.part"]
    other = tmp_path / "cache" / "v0-pillow-1.0-jpeg-6.2" / "16-whole" / "a.pixels"
    other.parent.mkdir(parents=True)
    for path in (*debris, other, tmp_path / "cache" / "not ours.txt"):
        path.write_bytes(b"x")
    cache.load(photos, 16, directory=tmp_path / "cache")
    assert not any(path.exists() for path in (*debris, other, other.parent.parent))
    assert (tmp_path / "cache" / "not ours.txt").exists()


def test_files_that_a_living_process_writes_are_left_alone(tmp_path: Path) -> None:
    photos = _photos(tmp_path / "photos", 1)
    living = tmp_path / "cache" / ".x.part"
    with cache.writing(tmp_path / "cache"):
        living.write_bytes(b"x")
        cache.load(photos, 16, directory=tmp_path / "cache")
        assert living.exists()
    cache.load(photos, 16, directory=tmp_path / "cache")
    assert not living.exists()


def _full_disk(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.usefixtures("small_segments")
def test_a_full_disk_does_not_end_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = _photos(tmp_path / "photos", 10)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", _full_disk)
        cached = cache.load(photos, 16, directory=tmp_path / "cache")
        np.testing.assert_array_equal(cached.batch(range(10)), _decoded(photos, 16))
    assert len(cached.notes) == 1
    assert cached.notes[0].startswith("10 of 10 photos are decoded again each time they are used: cannot write")
    assert "no space left on device; free some space" in cached.notes[0]
    assert [path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()] == ["lock"]
    assert not cache.load(photos, 16, directory=tmp_path / "cache").notes


def test_a_folder_that_cannot_be_made_does_not_end_the_work(tmp_path: Path) -> None:
    photos = _photos(tmp_path / "photos", 2)
    (tmp_path / "file").write_text("x")
    cached = cache.load(photos, 16, directory=tmp_path / "file" / "cache")
    np.testing.assert_array_equal(cached.batch([0, 1]), _decoded(photos, 16))
    assert "cannot write" in cached.notes[0]


class _StopError(Exception):
    pass


def test_an_interrupted_run_keeps_what_it_has_done(tmp_path: Path, decodings: list[int]) -> None:
    photos = _photos(tmp_path / "photos", 60)

    def interrupt(done: int, total: int) -> None:
        if done == 20:
            raise _StopError

    with pytest.raises(_StopError):
        cache.load(photos, 16, directory=tmp_path / "cache", workers=1, progress=interrupt)
    decodings.clear()
    cached = cache.load(photos, 16, directory=tmp_path / "cache")
    assert len(decodings) == 40
    np.testing.assert_array_equal(cached.batch(range(60)), _decoded(photos, 16))


def _load_in_process(root: Path, count: int, directory: Path) -> None:
    photos = Photos(root, tuple(f"{number:03}.jpg" for number in range(count)), ClassTargets(np.zeros(count, np.int64)))
    for _ in range(2):
        cached = cache.load(photos, 16, directory=directory, max_bytes=20_000)
        expected = _decoded(photos, 16)
        if not np.array_equal(cached.batch(range(count)), expected):
            raise AssertionError("a concurrent process changed the pixels")


def test_processes_do_not_disturb_one_another(tmp_path: Path) -> None:
    _photos(tmp_path / "photos", 20)
    context = multiprocessing.get_context("spawn")
    arguments = [(tmp_path / "photos", count, tmp_path / "cache") for count in (20, 10)]
    processes = [context.Process(target=_load_in_process, args=item) for item in arguments]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]


class _WatchedLock:
    """A lock that tells when somebody has to wait for it."""

    def __init__(self, waiting: threading.Event) -> None:
        self._lock, self._waiting = threading.Lock(), waiting

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            self._waiting.set()
            self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


class _WatchedSet(WeakSet[segments.Segment]):
    """A set whose reader stops behind the first item until the writer has come, and whose writer waits for him."""

    def __init__(self) -> None:
        super().__init__()
        self.reading, self.writing, self.written = threading.Event(), threading.Event(), threading.Event()

    def __iter__(self) -> Iterator[segments.Segment]:
        for item in super().__iter__():
            if self.writing.is_set():
                self.reading.set()
                self.written.wait(10)
            yield item

    def add(self, item: segments.Segment) -> None:
        if len(self):
            self.writing.set()
            self.reading.wait(10)
        super().add(item)
        self.written.set()


def test_a_thread_that_writes_squares_does_not_disturb_one_that_looks_for_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_use = _WatchedSet()
    monkeypatch.setattr(store, "_IN_USE", in_use)
    monkeypatch.setattr(store, "_LOCK", _WatchedLock(in_use.reading))
    first = cache.load(_photos(tmp_path / "first", 1), 16, directory=tmp_path / "cache")
    in_use.written.clear()
    _write(tmp_path / "second" / "a.jpg", 99)
    second = Photos(tmp_path / "second", ("a.jpg",), np.zeros(1, np.int64))
    reader = store.Store(tmp_path / "cache", 16, None, _ENDLESS)
    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(cache.load, second, 16, directory=tmp_path / "cache", workers=0)
        assert in_use.writing.wait(10)
        assert reader.has_room()
        np.testing.assert_array_equal(writer.result(10).batch([0]), _decoded(second, 16))
    assert len(first) == 1
    assert len(in_use) == 2


def test_digests_are_remembered_once_a_file_has_settled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = _photos(tmp_path / "photos", 3)
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
    np.testing.assert_array_equal(cached.batch(range(3)), _decoded(photos, 16))
    time.sleep(0.01)
    changed = bytearray(photos.path(1).read_bytes())
    changed[-60] ^= 8
    photos.path(1).write_bytes(changed)
    cached = cache.load(photos, 16, directory=tmp_path / "cache")
    assert [path.name for path in reads[9:]] == ["001.jpg"]
    np.testing.assert_array_equal(cached.batch(range(3)), _decoded(photos, 16))


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
    np.testing.assert_array_equal(cached.batch([0]), _decoded(photos, 96))
    assert cached.sizes.tolist() == [[900, 1200]]
