"""A validation split: stratified, seeded, and by content, so that copies of a photo are never on both sides."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["split_by_content"]

_KEY = np.dtype(">u8")
"""Eight bytes, compared as big-endian integers."""


def split_by_content(
    contents: Sequence[bytes], labels: NDArray[np.int64], fraction: float, seed: int
) -> NDArray[np.bool_]:
    """(N,) bool, True for validation: `fraction` of each class, and at least one photo of a class with two.

    `contents` are the digests of the photos, 16 bytes each. Photos with the same digest stay together. Photos whose
    copies have different labels stay in training, as they would only measure the contradiction. The choice depends only
    on the seed and the contents, not on names or order.
    """
    keys = np.frombuffer(b"".join(contents), dtype=_KEY).reshape(-1, 2)
    order = np.lexsort((keys[:, 1], keys[:, 0]))
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = (keys[order[1:]] != keys[order[:-1]]).any(axis=1)
    starts = np.flatnonzero(first)
    sizes = np.diff(np.append(starts, len(order)))
    ordered = labels[order]
    lowest, highest = (edge.reduceat(ordered, starts) for edge in (np.minimum, np.maximum)) if len(starts) else ((), ())
    taken = np.zeros(len(starts), dtype=np.bool_)
    for label in np.unique(labels):
        mine = np.flatnonzero((lowest == label) & (highest == label))
        lots = _lots([contents[order[starts[picture]]] for picture in mine], seed)
        mine = mine[np.lexsort((lots[:, 1], lots[:, 0]))]
        taken[mine[_choose(sizes[mine].tolist(), fraction)]] = True
    chosen = np.empty(len(labels), dtype=np.bool_)
    chosen[order] = np.repeat(taken, sizes)
    return chosen


def _choose(sizes: list[int], fraction: float) -> list[int]:
    """Which pictures of a class go to validation, given the number of photos of each, in random order."""
    if len(sizes) < 2 or fraction <= 0:
        return []
    wanted = max(1, round(fraction * sum(sizes)))
    chosen: list[int] = []
    for picture, size in enumerate(sizes[:-1]):
        if size <= wanted:
            chosen.append(picture)
            wanted -= size
        if not wanted:
            break
    return chosen or [sizes.index(min(sizes))]


def _lots(contents: Sequence[bytes], seed: int) -> NDArray[np.uint64]:
    """(N, 2) numbers that order the pictures at random, depending only on the seed and the content."""
    key = str(seed).encode()[:64]
    lots = [hashlib.blake2b(content, digest_size=16, key=key).digest() for content in contents]
    return np.frombuffer(b"".join(lots), dtype=_KEY).reshape(-1, 2)
