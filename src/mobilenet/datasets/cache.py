"""Each photo decoded once: squares of uint8 in memory-mapped files, found again by the content of the photo.

A photo that is renamed or moved is still found; a photo that is changed is decoded anew. Photos for which there is no
room are decoded each time they are asked for.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mobilenet.datasets.content import digest
from mobilenet.datasets.photos import LeftOut, Photos
from mobilenet.datasets.store import Place, Store
from mobilenet.errors import DataError, ImageError
from mobilenet.images.decode import read_photo
from mobilenet.images.preprocessing import to_square

__all__ = ["CachedPhotos", "LeftOut", "Progress", "default_directory", "default_max_bytes", "load"]

Progress = Callable[[int, int], None]
_DEFAULT_MAX_BYTES = 8 * 10**9


@dataclass(frozen=True, slots=True)
class _Decoded:
    """What a worker found out about one photo."""

    key: bytes | None
    size: tuple[int, int]
    pixels: NDArray[np.uint8] | None
    reason: str | None


class CachedPhotos:
    """The photos of `photos` that decode; every index here counts those only.

    `files`, `labels` (N,) int64 and `sizes` (N, 2) int32 (height and width of the upright photo) keep the order of the
    photos given to `load`; `left_out` names the others; `notes` are remarks for the user, one line each.
    """

    def __init__(
        self,
        photos: Photos,
        sizes: NDArray[np.int32],
        places: list[Place],
        pixels: list[NDArray[np.uint8] | None],
        left_out: tuple[LeftOut, ...],
        notes: tuple[str, ...],
        square: tuple[int, float | None],
        workers: int | None,
    ) -> None:
        self.photos = photos
        self.sizes = sizes
        self.left_out = left_out
        self.notes = notes
        self.side, self.crop_fraction = square
        self._places = places
        self._pixels = pixels
        self._workers = workers
        self._pool: ThreadPoolExecutor | None = None

    def __len__(self) -> int:
        return len(self.photos)

    @property
    def files(self) -> tuple[str, ...]:
        """The photos' files, as in `Photos.files`."""
        return self.photos.files

    @property
    def labels(self) -> NDArray[np.int64]:
        """(N,) int64: indices of classes."""
        return self.photos.labels

    def batch(self, indices: ArrayLike) -> NDArray[np.uint8]:
        """The squares at `indices` (B integers): (B, side, side, 3) uint8, a fresh array."""
        chosen = np.asarray(indices, dtype=np.int64).tolist()
        squares = np.empty((len(chosen), self.side, self.side, 3), dtype=np.uint8)
        waiting: list[tuple[int, Future[NDArray[np.uint8]]]] = []
        for position, index in enumerate(chosen):
            segment, row = self._places[index]
            pixels = self._pixels[segment] if segment >= 0 else None
            if pixels is None:
                waiting.append((position, self._executor().submit(self._decode, index)))
            else:
                squares[position] = pixels[row]
        for position, future in waiting:
            squares[position] = future.result()
        return squares

    def _executor(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(_worker_count(self._workers), thread_name_prefix="decode")
        return self._pool

    def _decode(self, index: int) -> NDArray[np.uint8]:
        try:
            return to_square(self.photos.path(index), self.side, self.crop_fraction)[0]
        except ImageError as error:
            raise DataError(f"{self.photos.path(index)} changed while in use: {error}") from error


def load(
    photos: Photos,
    side: int,
    *,
    crop_fraction: float | None = None,
    directory: Path | None = None,
    max_bytes: int | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> CachedPhotos:
    """Decode each photo to (side, side, 3) uint8, as `Preprocessing(side, crop_fraction).prepare` does, or find it.

    `directory` (default `default_directory()`) keeps the squares of all data sets within `max_bytes` (default
    `default_max_bytes(directory)`): what was not used for longest makes room. `workers` threads decode (default: one a
    core). `progress(done, total)` is called in this thread. A photo that cannot be decoded is in `.left_out`.
    """
    folder = directory or default_directory()
    store = Store(folder, side, crop_fraction, default_max_bytes(folder) if max_bytes is None else max_bytes)
    places: list[Place] = [(-1, 0)] * len(photos)
    sizes = np.zeros((len(photos), 2), dtype=np.int32)
    reasons: dict[int, str] = {}

    def examine(index: int) -> _Decoded:
        return _examine(photos.path(index), store, side, crop_fraction)

    for index, found in enumerate(_ordered(examine, len(photos), _worker_count(workers))):
        if found.reason is not None:
            reasons[index] = found.reason
        elif found.key is not None:
            sizes[index] = found.size
            places[index] = _place(store, found.key, found)
        if progress is not None:
            progress(index + 1, len(photos))
    store.finish()
    return _assemble(photos, sizes, places, reasons, store, crop_fraction, workers)


def default_directory() -> Path:
    """$MOBILENET_CACHE, or `mobilenet` in $XDG_CACHE_HOME, or ~/.cache/mobilenet."""
    chosen = os.environ.get("MOBILENET_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mobilenet"


def default_max_bytes(directory: Path) -> int:
    """8 GB, or half of what the disk could give to the cache where that is less."""
    existing = next((path for path in (directory, *directory.parents) if path.is_dir()), Path())
    held = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
    return min(_DEFAULT_MAX_BYTES, (shutil.disk_usage(existing).free + held) // 2)


def _examine(path: Path, store: Store, side: int, crop_fraction: float | None) -> _Decoded:
    try:
        data = read_photo(path)
        key = digest(data)
        found = store.find(key)
        if found is not None:
            return _Decoded(key, found[1], None, None)
        pixels, size = to_square(data, side, crop_fraction)
    except ImageError as error:
        return _Decoded(None, (0, 0), None, str(error))
    return _Decoded(key, size, pixels, None)


def _place(store: Store, key: bytes, found: _Decoded) -> Place:
    if found.pixels is None:
        place = store.find(key)
        return place[0] if place else (-1, 0)
    return store.add(key, found.size, found.pixels)


def _ordered(work: Callable[[int], _Decoded], count: int, workers: int) -> Iterator[_Decoded]:
    """`map(work, range(count))` in threads, with few results waiting at any time."""
    with ThreadPoolExecutor(workers, thread_name_prefix="decode") as pool:
        ahead = [pool.submit(work, index) for index in range(min(count, 8 * workers))]
        ahead.reverse()
        for index in range(count):
            yield ahead.pop().result()
            if index + 8 * workers < count:
                ahead.insert(0, pool.submit(work, index + 8 * workers))


def _worker_count(workers: int | None) -> int:
    return workers or os.cpu_count() or 1


def _assemble(
    photos: Photos,
    sizes: NDArray[np.int32],
    places: list[Place],
    reasons: dict[int, str],
    store: Store,
    crop_fraction: float | None,
    workers: int | None,
) -> CachedPhotos:
    kept = [index for index in range(len(photos)) if index not in reasons]
    return CachedPhotos(
        photos.take(kept) if reasons else photos,
        sizes[kept],
        [places[index] for index in kept],
        [None if segment is None else segment.pixels for segment in store.segments],
        tuple(LeftOut(photos.files[index], reason) for index, reason in reasons.items()),
        (),
        (store.side, crop_fraction),
        workers,
    )
