"""Whether two photos show the same: accuracy and rates over pairs, and the threshold for a false-accept rate.

Common arguments: `same` (S,) and `different` (T,) float, the similarities of pairs of one class and of two. A pair is
accepted if its similarity is at least the threshold.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Pairs", "best_accuracy", "draw_pairs", "fewest_pairs", "threshold_for", "true_accept_rate"]

_FOLDS = 10
_ROOM = np.float32(2e-4)

Pairs = NDArray[np.int64]
"""(P, 2) rows of photos."""


def draw_pairs(labels: NDArray[np.integer], most: int, seed: int = 0) -> tuple[Pairs, Pairs]:
    """(N,) -> at most `most` pairs of photos of one class, and at most as many of two: all, or a random sample."""
    random = np.random.default_rng(seed)
    return _same(labels, most, random), _different(labels, most, random)


def threshold_for(different: NDArray[np.floating], false_accept_rate: float) -> float | None:
    """A threshold at which at most this share (0…1) of the pairs (T,) of two classes is accepted, and as many as that
    allows; None if there are fewer than `fewest_pairs` of them.

    It lies halfway between the last that is accepted and the first that is not: vectors of another engine differ in
    their last digits.
    """
    if len(different) < fewest_pairs(false_accept_rate):
        return None
    allowed = int(false_accept_rate * len(different) + 1e-9)
    ordered = np.sort(np.asarray(different, np.float32))[::-1]
    if allowed >= len(ordered):
        return -1.0
    rejected = ordered[allowed]
    accepted = ordered[ordered > rejected]
    lowest = accepted[-1] if len(accepted) else rejected + _ROOM
    return float(max((rejected + lowest) / 2, np.nextafter(rejected, np.float32(2))))


def fewest_pairs(false_accept_rate: float) -> int:
    """Pairs of two classes that a false-accept rate (0…1) needs: with fewer, not a single one may be accepted."""
    return int(np.ceil(1 / max(false_accept_rate, 1e-9) - 1e-6))


def true_accept_rate(same: NDArray[np.floating], threshold: float) -> float:
    """Share (0…1) of the pairs (S,) of one class that are accepted; 0 without any."""
    return float((np.asarray(same, np.float32) >= np.float32(threshold)).mean()) if len(same) else 0.0


@dataclass(frozen=True, slots=True)
class _Counted:
    """Thresholds in order, and the accuracy at each."""

    thresholds: NDArray[np.float32]
    accuracy: NDArray[np.float64]


def best_accuracy(same: NDArray[np.floating], different: NDArray[np.floating], seed: int = 0) -> float | None:
    """Verification accuracy, (S,) and (T,) -> 0…1: the mean of the true accepts of one kind and the true rejects of the
    other, each tenth of the pairs judged at the threshold that is best for the other nine (as for LFW: Huang et al.,
    2007). None with fewer than ten pairs of either kind."""
    if min(len(same), len(different)) < _FOLDS:
        return None
    random = np.random.default_rng(seed)
    folds = [np.array_split(random.permutation(values), _FOLDS) for values in (same, different)]
    found = []
    for fold in range(_FOLDS):
        known = [np.concatenate([part for number, part in enumerate(kind) if number != fold]) for kind in folds]
        counted = _accuracies(known[0], known[1])
        threshold = float(counted.thresholds[counted.accuracy.argmax()])
        rejected = 1 - true_accept_rate(folds[1][fold], threshold)
        found.append((true_accept_rate(folds[0][fold], threshold) + rejected) / 2)
    return float(np.mean(found))


def _accuracies(same: NDArray[np.floating], different: NDArray[np.floating]) -> _Counted:
    values = np.unique(np.concatenate([same, different]).astype(np.float32))
    # Halfway between two similarities, as far from both as it can be.
    thresholds = np.concatenate([values[:1], (values[1:] + values[:-1]) / 2]).astype(np.float32)
    accepted, wrong = (
        1 - np.searchsorted(np.sort(values.astype(np.float32)), thresholds) / len(values)
        for values in (same, different)
    )
    return _Counted(thresholds, (accepted + 1 - wrong) / 2)


def _same(labels: NDArray[np.integer], most: int, random: np.random.Generator) -> Pairs:
    order = np.argsort(labels, kind="stable")
    starts = np.flatnonzero(np.r_[True, labels[order][1:] != labels[order][:-1]]) if len(order) else np.empty(0, int)
    sizes = np.diff(np.append(starts, len(order)))
    counts = sizes * (sizes - 1) // 2
    total = int(counts.sum())
    chosen = np.arange(total) if total <= most else _sample(total, most, random)
    group = np.searchsorted(np.cumsum(counts), chosen, side="right")
    rank = chosen - (np.cumsum(counts) - counts)[group]
    # Pair number r of a group, counted (1, 0), (2, 0), (2, 1), …: the row above the triangle of r pairs.
    high = ((1 + np.sqrt(1 + 8 * rank.astype(np.float64))) // 2).astype(np.int64)
    high -= high * (high - 1) // 2 > rank
    low = rank - high * (high - 1) // 2
    return np.stack([order[starts[group] + low], order[starts[group] + high]], 1).astype(np.int64)


def _sample(total: int, most: int, random: np.random.Generator) -> NDArray[np.int64]:
    """At most `most` of the numbers below `total`, in order, without a list of all."""
    pool = np.arange(total) if total <= 8 * most else np.unique(random.integers(0, total, 2 * most))
    chosen = random.permutation(pool)[:most].astype(np.int64)
    chosen.sort()
    return chosen


def _different(labels: NDArray[np.integer], most: int, random: np.random.Generator) -> Pairs:
    photos = len(labels)
    if photos * photos <= 8 * most:
        pairs = np.stack(np.triu_indices(photos, 1), 1)
    else:
        drawn = np.sort(random.integers(0, photos, (4 * most, 2)), 1)
        pairs = np.unique(drawn, axis=0)
    pairs = pairs[labels[pairs[:, 0]] != labels[pairs[:, 1]]]
    return np.asarray(pairs[np.sort(random.permutation(len(pairs))[:most])], np.int64)
