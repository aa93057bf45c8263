"""Making a validation split: stratified, seeded, and by content, so that copies of a photo never straddle it."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["split_by_content"]


def split_by_content(
    contents: Sequence[bytes], labels: NDArray[np.int64], fraction: float, seed: int
) -> NDArray[np.bool_]:
    """(N,) bool, True for validation: `fraction` of each class, and one photo at least where the class has two.

    `contents` are the digests of the photos. Photos of one digest go together. Photos whose copies carry another label
    stay in training: they would measure the contradiction. The choice depends on seed and contents alone, not on
    names or order.
    """
    groups: dict[bytes, list[int]] = defaultdict(list)
    for index, content in enumerate(contents):
        groups[content].append(index)
    classes: dict[int, list[bytes]] = defaultdict(list)
    for content, members in groups.items():
        found = {int(labels[index]) for index in members}
        if len(found) == 1:
            classes[found.pop()].append(content)
    chosen = np.zeros(len(labels), dtype=np.bool_)
    for label in sorted(classes):
        sizes = {content: len(groups[content]) for content in classes[label]}
        for content in _choose(sizes, fraction, seed):
            chosen[groups[content]] = True
    return chosen


def _choose(sizes: dict[bytes, int], fraction: float, seed: int) -> list[bytes]:
    """The digests of one class that go to validation, given how many photos each of them stands for."""
    if len(sizes) < 2 or fraction <= 0:
        return []
    order = sorted(sizes, key=lambda content: _lot(content, seed))
    wanted = max(1, round(fraction * sum(sizes.values())))
    chosen: list[bytes] = []
    taken = 0
    for content in order[:-1]:
        if taken + sizes[content] <= wanted:
            chosen.append(content)
            taken += sizes[content]
    return chosen or [min(order, key=lambda content: (sizes[content], _lot(content, seed)))]


def _lot(content: bytes, seed: int) -> bytes:
    return hashlib.blake2b(content, digest_size=16, key=str(seed).encode()[:64]).digest()
