"""Copies of a picture: the same bytes, or the same picture re-encoded, resized or slightly cropped."""

import contextlib
import os
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mobilenet.datasets.check.alignment import aligned, same_picture
from mobilenet.datasets.check.descriptors import SIDE, candidates
from mobilenet.errors import ImageError
from mobilenet.files import storage_errors
from mobilenet.images.decode import decode
from mobilenet.parallel import in_order

__all__ = ["Thumbnails", "exact_copies", "groups", "near_copies"]

Progress = Callable[[int, int], None]

_LEAST_SCORE = 0.65
"""Correlation of the thumbnails' details below which photos are not decoded again for a close comparison."""

_CLOSE_SIDE = 192
_KEPT_PHOTOS = 64
_PAIRS = 256


class Thumbnails:
    """Thumbnails (SIDE, SIDE) uint8 in an anonymous temporary file: 4 KB per photo on disk instead of in memory."""

    def __init__(self) -> None:
        self._path = Path(tempfile.gettempdir())
        with storage_errors(self._path):
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as this does
        self._count = 0

    def __enter__(self) -> "Thumbnails":
        return self

    def __exit__(self, *_: object) -> None:
        # A full disk that has just failed a write fails again here, where it no longer matters.
        with contextlib.suppress(OSError):
            self._file.close()

    def add(self, thumbnail: NDArray[np.uint8]) -> None:
        """Add one; StorageError if the disk is full (with a mapped file the process would be killed instead)."""
        with storage_errors(self._path):
            self._file.write(thumbnail.tobytes())
        self._count += 1

    def all(self) -> NDArray[np.uint8]:
        """(N, SIDE, SIDE) uint8, mapped."""
        if not self._count:
            return np.empty((0, SIDE, SIDE), dtype=np.uint8)
        with storage_errors(self._path):
            self._file.flush()
        return np.memmap(self._file, dtype=np.uint8, mode="r", shape=(self._count, SIDE, SIDE))


def exact_copies(digests: Sequence[bytes]) -> list[list[int]]:
    """Indices of photos with the same digest, in groups of two or more."""
    same: dict[bytes, list[int]] = defaultdict(list)
    for index, digest in enumerate(digests):
        same[digest].append(index)
    return [members for members in same.values() if len(members) > 1]


def near_copies(
    thumbnails: NDArray[np.uint8],
    read: Callable[[int], bytes],
    comparing: Progress | None = None,
    workers: int | None = None,
) -> list[tuple[int, int]]:
    """Pairs (i, j) of (N, SIDE, SIDE) thumbnails of the same picture; `read(i)` is decoded again to confirm them.

    `comparing(done, total)` is called in this thread, first with photos and then with pairs.
    """
    pairs = candidates(thumbnails, comparing)
    threads = workers or os.cpu_count() or 1

    def align(start: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        part = slice(start, start + _PAIRS)
        return aligned(thumbnails[pairs.first[part]], thumbnails[pairs.second[part]], pairs.placements[part])

    likely: list[tuple[int, int, NDArray[np.float32]]] = []
    for start, (scores, placements) in in_order(align, range(0, len(pairs.first), _PAIRS), threads):
        likely += [
            (int(pairs.first[start + row]), int(pairs.second[start + row]), placements[row])
            for row in np.flatnonzero(scores > _LEAST_SCORE)
        ]
        if comparing is not None:
            comparing(min(start + _PAIRS, len(pairs.first)), len(pairs.first))
    return _confirmed(likely, read, threads)


def groups(count: int, pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """The connected components of two or more of `count` items, given the pairs that are connected; sorted."""
    parent = list(range(count))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for one, other in pairs:
        parent[max(root(one), root(other))] = min(root(one), root(other))
    members: dict[int, list[int]] = defaultdict(list)
    for index in range(count):
        if parent[index] != index:
            members[root(index)].append(index)
    return sorted([head, *rest] for head, rest in members.items())


def _confirmed(
    likely: list[tuple[int, int, NDArray[np.float32]]], read: Callable[[int], bytes], workers: int
) -> list[tuple[int, int]]:
    @lru_cache(_KEPT_PHOTOS)
    def pixels(index: int) -> NDArray[np.uint8] | None:
        try:
            return decode(read(index), at_least=_CLOSE_SIDE)
        except ImageError:
            # Someone changed or removed the photo after it was first read, so it no longer counts as a copy.
            return None

    def same(pair: tuple[int, int, NDArray[np.float32]]) -> bool:
        first, second = pixels(pair[0]), pixels(pair[1])
        return first is not None and second is not None and same_picture(first, second, pair[2])

    return [(first, second) for (first, second, _), alike in in_order(same, likely, workers) if alike]
