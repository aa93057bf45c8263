"""The cache of decoded photos among damage, full disks, interruptions and others who use it at the same time."""

import errno
import multiprocessing
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from weakref import WeakSet

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.datasets.noise import decoded, noise, segment_files, write_photo

from mobilenet.datasets import Photos
from mobilenet.datasets.cache import load as cache
from mobilenet.datasets.cache import segment_file as segments
from mobilenet.datasets.cache import store
from mobilenet.tasks.classification import ClassTargets

_ENDLESS = 10**12


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
    photos = noise(tmp_path / "photos", 8)
    sizes = cache.load(photos, 16, directory=tmp_path / "cache").sizes
    victim = segment_files(tmp_path / "cache")[0]
    data = bytearray(victim.read_bytes())
    damage(data)
    victim.write_bytes(data)
    decodings.clear()
    cached = cache.load(photos, 16, directory=tmp_path / "cache")
    np.testing.assert_array_equal(cached.batch(range(8)), decoded(photos, 16))
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
        photos = noise(folder / "photos", 1)
        cache.load(photos, 8, directory=folder / "cache")
        kept = segment_files(folder / "cache")[0]
        kept.with_name("ffff.pixels").write_bytes(data)
        kept.write_bytes(kept.read_bytes()[:64] + data)
        (folder / "cache" / "digests.npy").write_bytes(data)
        cached = cache.load(photos, 8, directory=folder / "cache")
        np.testing.assert_array_equal(cached.batch([0]), decoded(photos, 8))


def test_debris_of_dead_processes_and_other_versions_is_removed(tmp_path: Path) -> None:
    photos = noise(tmp_path / "photos", 2)
    cache.load(photos, 16, directory=tmp_path / "cache")
    folder = segment_files(tmp_path / "cache")[0].parent
    debris = [folder / ".x.pixels.abc.part", tmp_path / "cache" / ".digests.npy.q.part"]
    other = tmp_path / "cache" / "v0-pillow-1.0-jpeg-6.2" / "16-whole" / "a.pixels"
    other.parent.mkdir(parents=True)
    for path in (*debris, other, tmp_path / "cache" / "not ours.txt"):
        path.write_bytes(b"x")
    cache.load(photos, 16, directory=tmp_path / "cache")
    assert not any(path.exists() for path in (*debris, other, other.parent.parent))
    assert (tmp_path / "cache" / "not ours.txt").exists()


def test_files_that_a_living_process_writes_are_left_alone(tmp_path: Path) -> None:
    photos = noise(tmp_path / "photos", 1)
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
    photos = noise(tmp_path / "photos", 10)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", _full_disk)
        cached = cache.load(photos, 16, directory=tmp_path / "cache")
        np.testing.assert_array_equal(cached.batch(range(10)), decoded(photos, 16))
    assert len(cached.notes) == 1
    assert cached.notes[0].startswith("10 of 10 photos are not cached and are decoded on every use: cannot write")
    assert "no space left on device; free some space" in cached.notes[0]
    assert [path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()] == ["lock"]
    assert not cache.load(photos, 16, directory=tmp_path / "cache").notes


def test_a_folder_that_cannot_be_made_does_not_end_the_work(tmp_path: Path) -> None:
    photos = noise(tmp_path / "photos", 2)
    (tmp_path / "file").write_text("x")
    cached = cache.load(photos, 16, directory=tmp_path / "file" / "cache")
    np.testing.assert_array_equal(cached.batch([0, 1]), decoded(photos, 16))
    assert "cannot write" in cached.notes[0]


class _StopError(Exception):
    pass


def test_an_interrupted_run_keeps_what_it_has_done(tmp_path: Path, decodings: list[int]) -> None:
    photos = noise(tmp_path / "photos", 60)

    def interrupt(done: int, total: int) -> None:
        if done == 20:
            raise _StopError

    with pytest.raises(_StopError):
        cache.load(photos, 16, directory=tmp_path / "cache", workers=1, progress=interrupt)
    decodings.clear()
    cached = cache.load(photos, 16, directory=tmp_path / "cache")
    assert len(decodings) == 40
    np.testing.assert_array_equal(cached.batch(range(60)), decoded(photos, 16))


def _load_in_process(root: Path, count: int, directory: Path) -> None:
    photos = Photos(root, tuple(f"{number:03}.jpg" for number in range(count)), ClassTargets(np.zeros(count, np.int64)))
    for _ in range(2):
        cached = cache.load(photos, 16, directory=directory, max_bytes=20_000)
        expected = decoded(photos, 16)
        if not np.array_equal(cached.batch(range(count)), expected):
            raise AssertionError("a concurrent process changed the pixels")


def test_processes_do_not_disturb_one_another(tmp_path: Path) -> None:
    noise(tmp_path / "photos", 20)
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
    first = cache.load(noise(tmp_path / "first", 1), 16, directory=tmp_path / "cache")
    in_use.written.clear()
    write_photo(tmp_path / "second" / "a.jpg", 99)
    second = Photos(tmp_path / "second", ("a.jpg",), ClassTargets(np.zeros(1, np.int64)))
    reader = store.Store(tmp_path / "cache", 16, None, _ENDLESS)
    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(cache.load, second, 16, directory=tmp_path / "cache", workers=0)
        assert in_use.writing.wait(10)
        assert reader.has_room()
        np.testing.assert_array_equal(writer.result(10).batch([0]), decoded(second, 16))
    assert len(first) == 1
    assert len(in_use) == 2
