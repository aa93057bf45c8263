"""Each photo decoded once: squares of uint8 in memory-mapped files, keyed by the content of the photo.

A photo that is renamed or moved is still found; a photo that is changed is decoded again. Photos that do not fit in the
cache are decoded on every use.
"""

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mobilenet.datasets.cache.digests import DigestIndex, digest_index
from mobilenet.datasets.cache.eviction import default_directory, default_max_bytes, writing
from mobilenet.datasets.cache.segment_file import Segment, empty_squares
from mobilenet.datasets.cache.store import NOWHERE, Place, Store
from mobilenet.datasets.digest import DIGEST_BYTES, digest
from mobilenet.datasets.photos import LeftOut, Photos
from mobilenet.datasets.remote.urls import spelled
from mobilenet.datasets.targets import Targets
from mobilenet.errors import DataError, ImageError, StorageError
from mobilenet.images.preprocessing import to_squares
from mobilenet.images.resize import ResizeMethod
from mobilenet.parallel import in_order

__all__ = ["CachedPhotos", "LeftOut", "Progress", "default_directory", "default_max_bytes", "load"]

Progress = Callable[[int, int], None]
"""Called with the number of photos done and the total."""

_MAPPED_BYTES, _FAULT_BYTES = 64 * 2**20, 2**21
"""Bytes that may be mapped before they are released; reading one pixel can map a whole huge page on Linux."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """The kind of squares: their side in pixels, the crop, and the methods by which they are made."""

    side: int
    crop_fraction: float | None
    methods: tuple[ResizeMethod, ...]


@dataclass(frozen=True, slots=True)
class _Seen:
    """One photo: its digest and size, and its squares (side, side, 3) that are not cached already, by the number of
    their method; or why it cannot be used."""

    key: bytes
    size: tuple[int, int]
    squares: Mapping[int, NDArray[np.uint8]]
    reason: str | None = None


class CachedPhotos:
    """The photos that can be decoded, indexed in the order of the photos given to `load`.

    `photos` are their files and labels; `sizes` (N, 2) int32 the height and width of each whole, upright photo;
    `digests` (N,) those of the files' content, 16 bytes each; `left_out` the other photos; `notes` for the user, one
    line each.
    """

    def __init__(
        self,
        photos: Photos,
        sizes: NDArray[np.int32],
        digests: NDArray[np.void],
        squares: "_Squares",
        left_out: tuple[LeftOut, ...],
        notes: tuple[str, ...],
    ) -> None:
        self.photos = photos
        self.sizes = sizes
        self.digests = digests
        self.left_out = left_out
        self.notes = notes
        self._squares = squares
        self._pool: ThreadPoolExecutor | None = None
        self._read_bytes = 0

    def __len__(self) -> int:
        return len(self.photos)

    @property
    def side(self) -> int:
        """The side of the squares in pixels."""
        return self._squares.kind.side

    @property
    def methods(self) -> tuple[ResizeMethod, ...]:
        """The methods by which the photos were resized."""
        return self._squares.kind.methods

    @property
    def files(self) -> tuple[str, ...]:
        """The photos' files, as in `Photos.files`."""
        return self.photos.files

    @property
    def targets(self) -> Targets:
        """The labels of the photos."""
        return self.photos.targets

    def batch(self, indices: ArrayLike, methods: ArrayLike | None = None) -> NDArray[np.uint8]:
        """The squares at `indices` (B,): a new array (B, side, side, 3) uint8, stored plane by plane.

        `methods` (B,) are places in `.methods`, by default the first. DataError if a photo that is not cached can no
        longer be decoded.
        """
        chosen = np.asarray(indices, dtype=np.int64)
        by = np.zeros(len(chosen), np.int64) if methods is None else np.asarray(methods, dtype=np.int64)
        batch = empty_squares(len(chosen), self.side)
        waiting: list[tuple[int, Future[NDArray[np.uint8]]]] = []
        places = self._squares.places[chosen, by].tolist()
        for position, (number, row) in enumerate(places):
            wanted = int(chosen[position]), int(by[position])
            segment = self._squares.segments[wanted[1]][number] if number >= 0 else None
            if segment is None and not self._squares.workers:
                batch[position] = self._decode(*wanted)
            elif segment is None:
                waiting.append((position, self._threads().submit(self._decode, *wanted)))
            else:
                batch[position] = segment.pixels[row]
        for position, future in waiting:
            batch[position] = future.result()
        self._let_go(batch.nbytes + len(chosen) * _FAULT_BYTES)
        return batch

    def _let_go(self, read: int) -> None:
        """Release the mapped pages every `_MAPPED_BYTES`, so that memory does not grow with the number of photos."""
        self._read_bytes += read
        if self._read_bytes >= _MAPPED_BYTES:
            self._read_bytes = 0
            for segment in chain(*self._squares.segments):
                if segment is not None:
                    segment.let_go()

    def _threads(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._squares.workers, thread_name_prefix="decode")
        return self._pool

    def _decode(self, index: int, method: int) -> NDArray[np.uint8]:
        kind = self._squares.kind
        try:
            data = self.photos.read(index)
            return to_squares(data, kind.side, kind.crop_fraction, kind.methods[method : method + 1])[0][0]
        except ImageError as error:
            raise DataError(
                f"{spelled(self.photos.path(index))} changed while it was in use: {error}; run again"
            ) from error


@dataclass(frozen=True, eq=False, slots=True)
class _Squares:
    """Where the pixels of each photo are: `places` (N, M, 2) int32 are, for each of M methods, indices into its
    `segments` and rows in those."""

    kind: _Kind
    places: NDArray[np.int32]
    segments: Sequence[Sequence[Segment | None]]
    workers: int


def load(
    photos: Photos,
    side: int,
    *,
    crop_fraction: float | None = None,
    methods: tuple[ResizeMethod, ...] = ("area",),
    directory: Path | None = None,
    max_bytes: int | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> CachedPhotos:
    """Each photo as (side, side, 3) uint8, equal to the result of `Preprocessing(side, crop_fraction).prepare`.

    `methods`: each photo is resized by every one of them, from one reading; `CachedPhotos.batch` chooses. `directory`
    (default: `default_directory()`) caches the squares of all data sets within `max_bytes` (default:
    `default_max_bytes(directory)`), evicting the least recently used. `workers` threads decode (default: one per core;
    0: the calling thread). `progress(done, total)` is called in this thread. Photos that cannot be decoded are in
    `.left_out`; a full or unwritable disk is in `.notes`.
    """
    directory = directory or default_directory()
    most = default_max_bytes(directory) if max_bytes is None else max_bytes
    stores = [Store(directory, side, crop_fraction, most, method) for method in methods]
    loading = _Loading(photos, _Kind(side, crop_fraction, methods), stores, digest_index(directory, photos))
    threads = (os.cpu_count() or 1) if workers is None else workers
    try:
        loading.run(threads, progress)
    finally:
        for store in stores:
            store.finish()
        loading.remember()
    return loading.result(threads)


class _Loading:
    """The state of one run of `load`."""

    def __init__(self, photos: Photos, kind: _Kind, stores: Sequence[Store], index: DigestIndex) -> None:
        self._photos = photos
        self._kind = kind
        self._stores = stores
        self._index = index
        self._places: list[list[Place]] = [[NOWHERE] * len(stores) for _ in range(len(photos))]
        self._sizes = np.zeros((len(photos), 2), dtype=np.int32)
        self._reasons: dict[int, str] = {}
        self._digests = np.zeros(len(photos), dtype=f"V{DIGEST_BYTES}")
        self._new_digests: dict[int, bytes] = {}

    def run(self, workers: int, progress: Progress | None) -> None:
        """Find or decode every photo."""
        total = len(self._photos)
        known = enumerate(self._index.find())
        waiting = [index for index, key in known if key is None or not self._settle(index, key)]
        waiting = self._photos.in_reading_order(waiting)
        if progress is not None and len(waiting) < total:
            progress(total - len(waiting), total)
        for done, (index, seen) in enumerate(in_order(self._see, waiting, workers), total - len(waiting) + 1):
            self._take(index, seen)
            if progress is not None:
                progress(done, total)

    def remember(self) -> None:
        """Cache the digests for the next run, if the disk is writable."""
        directory = self._stores[0].directory
        with contextlib.suppress(StorageError), writing(directory):
            self._index.save(self._new_digests)

    def result(self, workers: int) -> CachedPhotos:
        """The result, without the photos that cannot be decoded."""
        kept = [index for index in range(len(self._photos)) if index not in self._reasons]
        segments = [store.segments() for store in self._stores]
        places = np.array([self._places[index] for index in kept], dtype=np.int32).reshape(-1, len(segments), 2)
        unkept = sum(
            any(number < 0 or by[number] is None for by, (number, _) in zip(segments, photo, strict=True))
            for photo in places.tolist()
        )
        return CachedPhotos(
            self._photos.take(kept) if self._reasons else self._photos,
            self._sizes[kept],
            self._digests[kept],
            _Squares(self._kind, places, segments, workers),
            tuple(LeftOut(self._photos.files[index], reason) for index, reason in sorted(self._reasons.items())),
            self._notes(unkept, len(kept)),
        )

    def _settle(self, index: int, key: bytes) -> bool:
        """Whether a photo whose digest is known need not be read."""
        self._digests[index] = key
        size, missing = self._known(key)
        if size is None or missing:
            return False
        self._settle_at(index, key, size)
        return True

    def _settle_at(self, index: int, key: bytes, size: tuple[int, int]) -> None:
        self._sizes[index] = size
        for number, store in enumerate(self._stores):
            if found := store.find(key):
                self._places[index][number] = found[0]

    def _known(self, key: bytes) -> tuple[tuple[int, int] | None, list[int]]:
        """The size of a photo if any store knows it, and the numbers of the methods that it must be decoded for."""
        size, missing = None, []
        for number, store in enumerate(self._stores):
            found = store.find(key)
            known = found[1] if found else store.size_alone(key)
            size = size or known
            if known is None:
                missing.append(number)
        return size, missing

    def _see(self, index: int) -> _Seen:
        """Read a photo, and decode it unless its pixels are cached; runs in a thread."""
        kind = self._kind
        try:
            data = self._photos.read(index)
            key = digest(data)
            known, missing = self._known(key)
            if known is not None and not missing:
                return _Seen(key, known, {})
            squares, size = to_squares(data, kind.side, kind.crop_fraction, [kind.methods[n] for n in missing])
        except ImageError as error:
            return _Seen(b"", (0, 0), {}, str(error))
        return _Seen(key, size, dict(zip(missing, squares, strict=True)))

    def _take(self, index: int, seen: _Seen) -> None:
        if seen.reason is not None:
            self._reasons[index] = seen.reason
            return
        self._new_digests[index] = seen.key
        self._digests[index] = seen.key
        for number, square in seen.squares.items():
            self._stores[number].add(seen.key, seen.size, square)
        self._settle_at(index, seen.key, seen.size)

    def _notes(self, unkept: int, total: int) -> tuple[str, ...]:
        if not unkept:
            return ()
        store = self._stores[0]
        full = f"the cache in {store.directory} is full at {store.max_bytes:,} bytes"
        why = next((store.problem for store in self._stores if store.problem is not None), full)
        return (f"{unkept:,} of {total:,} photos are not cached and are decoded on every use: {why}",)
