"""How well vectors find others of their class: nearest neighbours, recall@K and mAP@R.

Common arguments: `vectors` (N, D) float of length 1, so that the similarity of two is their inner product, the cosine
of their angle (-1…1); `labels` (N,) integers.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Retrieval", "nearest", "retrieval"]

_AT_ONCE = 512
"""Queries whose similarities are held at a time."""


@dataclass(frozen=True, slots=True)
class Retrieval:
    """Means over `queries`, the photos that share their class with another photo of the gallery (0…1, 0 for none).

    `recall_at_1`, `recall_at_5`: share of queries with one of their class among the 1 or 5 nearest. `map_at_r`: with R
    photos of its class, the mean over the ranks 1…R of the precision at each rank that holds one, 0 at the others
    (Musgrave et al., 2020, "A Metric Learning Reality Check").
    """

    queries: int
    recall_at_1: float
    recall_at_5: float
    map_at_r: float


def nearest(
    vectors: NDArray[np.floating], count: int, gallery: NDArray[np.floating] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """(N, D) -> the rows (N, K) of the nearest vectors in `gallery` (M, D) and their similarities (N, K), in order.

    Without a gallery, the others among `vectors`. K is `count`, or as many as there are.
    """
    others = vectors if gallery is None else gallery
    count = min(count, len(others) - (gallery is None))
    rows, similarities = np.empty((len(vectors), count), np.int64), np.empty((len(vectors), count), np.float32)
    for start, found in _similarities(vectors, others):
        part = slice(start, start + len(found))
        if gallery is None:
            found[np.arange(len(found)), np.arange(start, start + len(found))] = -np.inf
        rows[part] = _best(found, count)
        similarities[part] = np.take_along_axis(found, rows[part], 1)
    return rows, similarities


def retrieval(
    vectors: NDArray[np.floating],
    labels: NDArray[np.integer],
    gallery: tuple[NDArray[np.floating], NDArray[np.integer]] | None = None,
) -> Retrieval:
    """(N, D), (N,) -> how well each finds those of its class in `gallery`, (M, D) and (M,), or among the others."""
    known = labels if gallery is None else gallery[1]
    classes, numbers = np.unique(np.concatenate([labels, known]), return_inverse=True)
    mine, theirs = numbers[: len(labels)], numbers[len(labels) :]
    mates = np.bincount(theirs, minlength=len(classes))[mine] - (gallery is None)
    asked = np.flatnonzero(mates > 0)
    if not len(asked):
        return Retrieval(0, 0.0, 0.0, 0.0)
    first, five, precision = 0, 0, 0.0
    for start, similarities in _similarities(vectors, vectors if gallery is None else gallery[0]):
        if gallery is None:
            similarities[np.arange(len(similarities)), np.arange(start, start + len(similarities))] = -np.inf
        some = np.flatnonzero(mates[start : start + len(similarities)] > 0)
        if not len(some):
            continue
        own = mates[start + some][:, None]
        count = min(max(5, int(own.max())), len(theirs) - (gallery is None))
        right = theirs[_best(similarities[some], count)] == mine[start + some, None]
        ranks = np.arange(1, count + 1)
        first, five = first + int(right[:, 0].sum()), five + int(right[:, :5].any(1).sum())
        precision += float((np.cumsum(right, 1) / ranks * (right & (ranks <= own)) / own).sum())
    queries = len(asked)
    return Retrieval(queries, first / queries, five / queries, precision / queries)


def _similarities(
    vectors: NDArray[np.floating], others: NDArray[np.floating]
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    for start in range(0, len(vectors), _AT_ONCE):
        yield start, np.asarray(vectors[start : start + _AT_ONCE] @ others.T, dtype=np.float32)


def _best(similarities: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """The places (N, count) of the largest similarities (N, M), in order; among equal ones, the first."""
    kept = np.argpartition(-similarities, count - 1, axis=1)[:, :count] if 0 < count < similarities.shape[1] else None
    if kept is None:
        return np.argsort(-similarities, axis=1, kind="stable")[:, :count].astype(np.int64)
    kept.sort(axis=1)
    order = np.argsort(-np.take_along_axis(similarities, kept, 1), axis=1, kind="stable")
    return np.take_along_axis(kept, order, 1).astype(np.int64)
