"""The figures of vectors: how well they find others of their class, and how well they tell two photos apart."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.errors import DataError
from mobilenet.metrics.classification import wilson_interval
from mobilenet.metrics.retrieval import nearest, retrieval
from mobilenet.metrics.verification import best_accuracy, draw_pairs, fewest_pairs, threshold_for, true_accept_rate
from mobilenet.tasks.embedding.targets import Identities, Pairings, Vectors
from mobilenet.tasks.task import Temperatures, Wrong

__all__ = ["RATE", "RATES", "THRESHOLD", "agreement", "fitted", "mistakes", "score"]

Vector = NDArray[np.float32]
"""(N, D) of length 1."""

RATES = (1e-1, 1e-2, 1e-3)
"""False-accept rates of the report."""

THRESHOLD, RATE = "threshold", "false_accept_rate"
"""Fields of a vocabulary: the similarity from which on two photos show the same, and the rate it was fitted for."""

_MOST_PAIRS = 100_000
_MOST_PHOTOS = 10_000
"""A random sample of so many is enough for means over photos."""

_MOST_FOR_LOSS = 2_000
_TEMPERATURE = 0.1
_MARGIN = 0.01
"""Difference of two cosines below which neither of two photos is nearer."""

_ALIKE = 0.9
"""Least cosine of two vectors that stand for the same photo."""


def score(vectors: Vector, targets: Identities | Pairings | Vectors, decoding: Mapping[str, Any]) -> dict[str, Any]:
    """(N, D) vectors and the targets of N ≥ 1 photos -> all figures; shares are 0…1.

    `recall_at_1`, `recall_at_5` and `map_at_r` are means over `queries`, the photos of whose class there is another
    one, each looked for among the others; `recall_at_1_interval` is the Wilson 95 % interval. `loss` is the supervised
    contrastive loss in nats. `verification` are those of pairs; with a threshold in `decoding`, also at that one.
    For pairs, retrieval is None and `loss` the mean of 1 - cosine of pairs of the same, and of the cosines above 0 of
    others. For a teacher's vectors, `recall_at_1` is the agreement with it, and `loss` the mean squared distance.
    """
    match targets:
        case Identities():
            return _of_identities(vectors, targets, decoding)
        case Pairings():
            return _of_pairs(vectors, targets, decoding)
        case Vectors():
            return _of_vectors(vectors, targets)


def fitted(vectors: Vector, targets: Identities | Pairings | Vectors, false_accept_rate: float) -> Temperatures:
    """The threshold for this false-accept rate (0…1) on the pairs of (N, D) vectors of photos that were not trained on,
    or none where there are too few; nothing for the vectors of a teacher."""
    if isinstance(targets, Vectors):
        return Temperatures()
    _, different = _similarities(vectors, targets)
    value = threshold_for(different, false_accept_rate)
    needed = fewest_pairs(false_accept_rate)
    note = "" if value is not None else f"{len(different):,} pairs of two classes are too few; {needed:,} are needed"
    figures = {"value": value, RATE: false_accept_rate, "pairs": len(different), "note": note}
    decoding = {} if value is None else {THRESHOLD: value, RATE: false_accept_rate}
    return Temperatures(figures={"threshold": figures}, decoding=decoding)


def mistakes(vectors: Vector, targets: Identities | Pairings | Vectors) -> list[Wrong]:
    """The photos (N, D) whose nearest other is of another class, though there is one of their class; `confidence` is
    the similarity. Pairs and vectors have none."""
    if not isinstance(targets, Identities) or len(vectors) < 2:
        return []
    rows, similarities = nearest(vectors, 1)
    numbers, names = targets.numbers, targets.names
    has_mate = np.bincount(numbers, minlength=len(names))[numbers] > 1
    wrong = np.flatnonzero(has_mate & (numbers[rows[:, 0]] != numbers))
    return [
        Wrong(
            photo, names[numbers[photo]], names[numbers[rows[photo, 0]]], float(np.clip(similarities[photo, 0], 0, 1))
        )
        for photo in wrong.tolist()
    ]


def agreement(ours: Vector, theirs: Vector) -> float:
    """(N, D) and (N, D) -> share of photos (0…1) whose vectors in both stand for the same photo: their cosine is at
    least 0.9, and no other photo of theirs is nearer to ours, by more than 0.01 of cosine."""
    if ours.shape != theirs.shape:
        return 0.0
    own = np.einsum("nd,nd->n", ours.astype(np.float64), theirs.astype(np.float64))
    _, best = nearest(ours, 1, theirs)
    return float(((own >= _ALIKE) & (own + _MARGIN >= best[:, 0])).mean())


def _of_identities(vectors: Vector, targets: Identities, decoding: Mapping[str, Any]) -> dict[str, Any]:
    chosen = np.sort(np.random.default_rng(0).permutation(len(vectors))[:_MOST_PHOTOS])
    vectors, targets = vectors[chosen], targets.take(chosen)
    found = retrieval(vectors, targets.numbers)
    right = round(found.recall_at_1 * found.queries)
    return {
        "recall_at_1": found.recall_at_1,
        "recall_at_1_interval": list(wilson_interval(right, found.queries)) if found.queries else None,
        "recall_at_5": found.recall_at_5,
        "map_at_r": found.map_at_r,
        "queries": found.queries,
        "loss": _contrastive(vectors, targets.numbers),
        "verification": _verification(*_similarities(vectors, targets), decoding),
        "per_class": _per_class(vectors, targets),
    }


def _of_pairs(vectors: Vector, targets: Pairings, decoding: Mapping[str, Any]) -> dict[str, Any]:
    if not len(targets.pairs):
        raise DataError("none of the pairs has two photos that can be read, so nothing can be measured")
    same, different = _similarities(vectors, targets)
    losses = np.concatenate([1 - same, np.maximum(different, 0)])
    nothing = dict.fromkeys(("recall_at_1", "recall_at_1_interval", "recall_at_5", "map_at_r"))
    return {
        **nothing,
        "queries": 0,
        "loss": float(losses.mean()) if len(losses) else 0.0,
        "verification": _verification(same, different, decoding),
        "per_class": [],
    }


def _of_vectors(vectors: Vector, targets: Vectors) -> dict[str, Any]:
    found = agreement(vectors, targets.vectors)
    photos = len(vectors)
    return {
        "recall_at_1": found,
        "recall_at_1_interval": list(wilson_interval(round(found * photos), photos)),
        "recall_at_5": None,
        "map_at_r": None,
        "queries": photos,
        "loss": float(np.square(vectors - targets.vectors).sum(1).mean()),
        "verification": None,
        "per_class": [],
    }


def _similarities(vectors: Vector, targets: Identities | Pairings) -> tuple[Vector, Vector]:
    """(S,) and (T,) of pairs of the same and of others."""
    if isinstance(targets, Pairings):
        same, different = targets.pairs[targets.same], targets.pairs[~targets.same]
    else:
        same, different = draw_pairs(targets.numbers, _MOST_PAIRS)
    first, second = (np.einsum("nd,nd->n", vectors[pair[:, 0]], vectors[pair[:, 1]]) for pair in (same, different))
    return first, second


def _verification(same: Vector, different: Vector, decoding: Mapping[str, Any]) -> dict[str, Any]:
    rows = []
    for rate in RATES:
        threshold = threshold_for(different, rate)
        accepted = None if threshold is None or not len(same) else true_accept_rate(same, threshold)
        rows.append({RATE: rate, "threshold": threshold, "true_accept_rate": accepted})
    return {
        "same_pairs": len(same),
        "different_pairs": len(different),
        "accuracy": best_accuracy(same, different),
        "rates": rows,
        "at_threshold": _at(same, different, decoding),
        "similarities": {"same": _tenths(same), "different": _tenths(different)},
    }


def _at(same: Vector, different: Vector, decoding: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the threshold of the model file does on these pairs."""
    threshold = decoding.get(THRESHOLD)
    if threshold is None:
        return None
    return {
        "threshold": threshold,
        "fitted_for": decoding.get(RATE),
        "false_accept_rate": true_accept_rate(different, threshold) if len(different) else None,
        "true_accept_rate": true_accept_rate(same, threshold) if len(same) else None,
    }


def _tenths(values: Vector) -> list[float]:
    """The smallest similarity, those that each further tenth of pairs is below, and the largest; none without pairs."""
    return [round(float(value), 4) for value in np.quantile(values, np.linspace(0, 1, 11))] if len(values) else []


def _contrastive(vectors: Vector, numbers: NDArray[np.int64]) -> float:
    chosen = np.sort(np.random.default_rng(0).permutation(len(vectors))[:_MOST_FOR_LOSS])
    similar = vectors[chosen].astype(np.float64) @ vectors[chosen].T.astype(np.float64) / _TEMPERATURE
    np.fill_diagonal(similar, -np.inf)
    mates = numbers[chosen][:, None] == numbers[chosen]
    np.fill_diagonal(mates, val=False)
    asked = mates.any(1)
    if not asked.any():
        return 0.0
    similar, mates = similar[asked], mates[asked]
    highest = similar.max(1, keepdims=True)
    chances = similar - highest - np.log(np.exp(similar - highest).sum(1, keepdims=True))
    return float(-(np.where(mates, chances, 0).sum(1) / mates.sum(1)).mean())


def _per_class(vectors: Vector, targets: Identities) -> list[dict[str, Any]]:
    """For each class with photos: how many, and the recall at 1, None for a single photo."""
    counts = np.bincount(targets.numbers, minlength=len(targets.names))
    wrong = np.bincount([targets.numbers[one.photo] for one in mistakes(vectors, targets)], minlength=len(counts))
    return [
        {"label": name, "photos": count, "recall_at_1": 1 - misses / count if count > 1 else None}
        for name, count, misses in zip(targets.names, counts.tolist(), wrong.tolist(), strict=True)
        if count
    ]
