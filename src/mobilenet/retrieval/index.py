"""Nearest vectors in a gallery: an exact search of few, an index of many, which is kept beside the vectors.

The index is a graph that is searched greedily (HNSW: Malkov and Yashunin, 2016, arXiv 1603.09320), by Voyager.
"""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mobilenet.files import atomic_path, atomic_write
from mobilenet.metrics.retrieval import nearest
from mobilenet.retrieval.embed import Gallery
from mobilenet.retrieval.store import SEGMENT_ROWS, Store

__all__ = ["CANDIDATES", "CONSTRUCTION", "EXACT_MOST", "NEIGHBOURS", "ExactSearch", "GraphSearch", "Search"]

EXACT_MOST = 20_000
"""Vectors that are all compared with a query: up to so many, that takes milliseconds."""

_AT_ONCE = 8192
_MOST_HELD_BYTES = 128 * 2**20
"""Vectors that an exact search keeps in memory; of more, it reads a block at a time."""

NEIGHBOURS, CONSTRUCTION, CANDIDATES = 16, 120, 120
"""M and the lengths of the lists of candidates, of HNSW, when the index is built and when it is searched."""

_INDEX, _CONTENT = "graph.voyager", "graph.json"


class Search(Protocol):
    """Finds the vectors of a gallery that are nearest to others."""

    def __call__(self, queries: NDArray[np.float32], count: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """(Q, D) of length 1 -> places (Q, K) among the gallery's files and cosines (Q, K), nearest first; K is
        `count`, or as many as there are."""
        ...


class ExactSearch:
    """Compares every vector with every query, a block of the gallery at a time."""

    def __init__(self, gallery: Gallery) -> None:
        self._gallery, photos = gallery, len(gallery.files)
        small = 4 * photos * gallery.store.dimensions <= _MOST_HELD_BYTES
        self._held = gallery.vectors(0, photos) if small else None

    def __call__(self, queries: NDArray[np.float32], count: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """(Q, D) -> (Q, K) places and (Q, K) cosines."""
        photos = len(self._gallery.files)
        places, cosines = np.empty((len(queries), 0), np.int64), np.empty((len(queries), 0), np.float32)
        for start in range(0, photos, _AT_ONCE):
            found, near = nearest(queries, count, self._block(start))
            places, cosines = np.hstack([places, found + start]), np.hstack([cosines, near])
            order = np.argsort(-cosines, axis=1, kind="stable")[:, :count]
            places, cosines = np.take_along_axis(places, order, 1), np.take_along_axis(cosines, order, 1)
        return places, cosines

    def _block(self, start: int) -> NDArray[np.float32]:
        if self._held is None:
            return self._gallery.vectors(start, start + _AT_ONCE)
        return self._held[start : start + _AT_ONCE]


class GraphSearch:
    """Searches the index in the store of a gallery, brought up to date first; cosines are exact, and nearly always so
    are the places. `progress(done, all)` hears of vectors that are added. StorageError if it cannot be kept."""

    def __init__(self, gallery: Gallery, progress: Callable[[int, int], object] | None = None) -> None:
        self._gallery = gallery
        self._index = _updated(gallery, progress or (lambda _done, _all: None))
        order = np.argsort(gallery.rows)
        self._rows, self._places = gallery.rows[order], order

    def __call__(self, queries: NDArray[np.float32], count: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """(Q, D) -> (Q, K) places and (Q, K) cosines."""
        count = min(count, len(self._rows))
        try:
            found, _ = self._index.query(queries, count, query_ef=max(CANDIDATES, 2 * count))
        except RuntimeError:
            # Among many deleted vectors it can meet fewer than are asked for.
            return ExactSearch(self._gallery)(queries, count)
        rows = np.asarray(found, np.int64).reshape(len(queries), count)
        vectors = self._gallery.store.vectors(rows.reshape(-1)).reshape(len(queries), count, -1)
        cosines = np.einsum("qkd,qd->qk", vectors, queries)
        order = np.argsort(-cosines, axis=1, kind="stable")
        places = self._places[np.searchsorted(self._rows, rows)]
        return np.take_along_axis(places, order, 1), np.take_along_axis(cosines, order, 1)


def _updated(gallery: Gallery, progress: Callable[[int, int], object]) -> Any:
    store = gallery.store
    index, indexed, deleted = _opened(store)
    known = set(indexed)
    new = [number for number in sorted(store.segments) if number not in known]
    total, done = sum(store.segments[number] for number in new), 0
    for number in new:
        # Voyager refuses arrays that cannot be written to.
        block = np.array(store.segment(number), np.float32)
        if len(block):
            first = number * SEGMENT_ROWS
            index.add_items(block, list(range(first, first + len(block))))
        done += len(block)
        progress(done, total)
    every = [number * SEGMENT_ROWS + np.arange(rows) for number, rows in store.segments.items()]
    stale = np.setdiff1d(np.concatenate([np.empty(0, np.int64), *every]), gallery.rows)
    for row in np.setdiff1d(stale, deleted).tolist():
        index.mark_deleted(row)
    if new or len(stale) > len(deleted):
        _keep(store, index, sorted({*known, *new}), stale.tolist())
    return index


def _opened(store: Store) -> tuple[Any, list[int], list[int]]:
    """The index that is kept, the segments in it and its deleted rows; an empty one if there is none, or none that is
    of these segments."""
    # An optional package.
    import voyager

    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RuntimeError):
        content = json.loads((store.folder / _CONTENT).read_text("ascii"))
        segments, deleted = [int(number) for number in content["segments"]], content["deleted"]
        sound = all(store.identity(number) == content["segments"][str(number)] for number in segments)
        if sound and content["bytes"] == (store.folder / _INDEX).stat().st_size:
            return voyager.Index.load(str(store.folder / _INDEX)), segments, deleted
    empty = voyager.Index(
        voyager.Space.InnerProduct, store.dimensions, M=NEIGHBOURS, ef_construction=CONSTRUCTION, random_seed=0
    )
    return empty, [], []


def _keep(store: Store, index: Any, segments: list[int], deleted: list[int]) -> None:
    """The list last: an index without one, or of another size than it says, is not used."""
    path: Path = store.folder / _CONTENT
    path.unlink(missing_ok=True)
    with atomic_path(store.folder / _INDEX) as file:
        index.save(str(file))
    known = {str(number): store.identity(number) for number in segments}
    content = {"segments": known, "deleted": deleted, "bytes": (store.folder / _INDEX).stat().st_size}
    with atomic_write(path) as out:
        out.write(json.dumps(content).encode("ascii"))
