"""A validation split: stratified, seeded, and by content, so that copies of a photo are never on both sides."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["split_by_content", "split_by_labels"]

_KEY = np.dtype(">u8")
"""Eight bytes, compared as big-endian integers."""


def split_by_content(
    contents: Sequence[bytes],
    labels: NDArray[np.int64],
    fraction: float,
    seed: int,
    places: NDArray[np.int64] | None = None,
) -> NDArray[np.bool_]:
    """(N,) bool, True for validation: `fraction` of each class, and at least one photo of a class with two.

    `contents` are the digests of the photos, 16 bytes each. Photos with the same digest stay together, and so do those
    of the same of `places` (N,), if given. Photos that are kept together but have different labels stay in training,
    as copies would only measure the contradiction. The choice depends only on the seed and the contents, not on names
    or order.
    """
    order, starts, sizes = _pictures(contents, places)
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


def split_by_labels(
    contents: Sequence[bytes], labels: NDArray[np.bool_], lacking: NDArray[np.bool_], fraction: float, seed: int
) -> NDArray[np.bool_]:
    """(N,) bool, True for validation: `fraction` of the photos with each of their `labels` (N, L), and at least one
    where two different photos have it, by iterative stratification (Sechidis et al., 2011, algorithm 1). The only photo
    with a label is trained on, whatever else it has.

    `contents`, copies and the seed as in `split_by_content`: copies of which one has a label that another is `lacking`
    (N, L) stay in training; where both are False, nothing is known.
    """
    chosen = np.zeros(len(labels), dtype=np.bool_)
    order, starts, sizes = _pictures(contents)
    if not len(starts):
        return chosen
    found, without = (np.logical_or.reduceat(some[order], starts, axis=0) for some in (labels, lacking))
    lots = _lots([contents[order[start]] for start in starts], seed)
    free = np.lexsort((lots[:, 1], lots[:, 0]))
    free = free[~(found & without)[free].any(1)]
    taken = np.zeros(len(starts), dtype=np.bool_)
    taken[free] = _stratified(found[free], sizes[free], fraction)
    chosen[order] = np.repeat(taken, sizes)
    return chosen


def _stratified(labels: NDArray[np.bool_], sizes: NDArray[np.int64], fraction: float) -> NDArray[np.bool_]:
    """(P,) bool of P pictures in random order, with labels (P, L) and numbers of photos (P,): those for validation.

    The label that the fewest of the remaining pictures have is dealt out first; each picture goes to the side that
    wants most of it, or most pictures at all if they want the same.
    """
    weights = labels * sizes[:, None]
    totals = np.append(weights.sum(0), sizes.sum()).astype(np.float64)
    held_out = fraction * totals
    several = labels.sum(0) > 1
    smallest = np.where(labels, sizes[:, None], np.iinfo(np.int64).max).min(0, initial=np.iinfo(np.int64).max)
    held_out[:-1][several] = np.clip(held_out[:-1], smallest, totals[:-1] - smallest)[several]
    # Wanted by training and by validation, for each label and for pictures at all.
    wanted = np.stack([totals - held_out, held_out])
    taken = np.zeros(len(labels), dtype=np.bool_)
    waiting = np.ones(len(labels), dtype=np.bool_)
    counts = labels.sum(0).astype(np.int64)

    def deal(picture: int, label: int) -> None:
        sides = wanted[:, label]
        side = int(sides[1] > sides[0]) if sides[0] != sides[1] else int(wanted[1, -1] > wanted[0, -1])
        taken[picture], waiting[picture] = bool(side), False
        wanted[side, :-1] -= weights[picture]
        wanted[side, -1] -= sizes[picture]
        counts[labels[picture]] -= 1

    while (present := np.flatnonzero(counts)).size:
        label = int(present[np.argmin(counts[present])])
        for picture in np.flatnonzero(waiting & labels[:, label]).tolist():
            deal(picture, label)
    for picture in np.flatnonzero(waiting).tolist():
        deal(picture, -1)
    return taken


def _pictures(
    contents: Sequence[bytes], places: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The photos (N,) in the order of their contents, where each picture starts (P,), and its number of photos (P,);
    with `places` (N,), all photos of a place are one picture, and places that share a picture are one."""
    keys = np.frombuffer(b"".join(contents), dtype=_KEY).reshape(-1, 2)
    order = np.lexsort((keys[:, 1], keys[:, 0]))
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = (keys[order[1:]] != keys[order[:-1]]).any(axis=1)
    if places is not None:
        picture = np.empty(len(order), np.int64)
        picture[order] = first.cumsum() - 1
        together = _together(picture, places)
        order = order[np.argsort(together[order], kind="stable")]
        first[1:] = together[order[1:]] != together[order[:-1]]
    starts = np.flatnonzero(first)
    return order, starts, np.diff(np.append(starts, len(order)))


def _together(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,) and (N,) group numbers -> (N,) the smallest of `one` among all photos that are linked, through any number of
    others, by being in the same group of either."""
    found = one.copy()
    groups = [np.unique(numbers, return_inverse=True)[1] for numbers in (other, one)]
    while True:
        before = found
        for numbers in groups:
            least = np.full(numbers.max(initial=-1) + 1, np.iinfo(np.int64).max)
            np.minimum.at(least, numbers, found)
            found = least[numbers]
        if (found == before).all():
            return found


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
