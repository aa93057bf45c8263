"""Labels that are spread over the cells near a photo, so that a near miss costs less than a far one.

As in PIGEON (Haas et al., 2024, arXiv 2307.05845, equation 2), but with a temperature that follows the size of the
cell: cells of a city are smoothed over streets, those of an ocean over islands.
"""

import numpy as np
from numpy.typing import NDArray

from mobilenet.metrics.geodesic import distances_km, unit_vectors
from mobilenet.model.vocabulary import Vocabulary
from mobilenet.tasks.geolocation.table import Table, table_of
from mobilenet.tasks.geolocation.targets import PlaceTargets

__all__ = ["loss_range", "smooth_labels"]

_MOST = 4096
"""Photos; a random sample is enough for means."""


def smooth_labels(
    vectors: NDArray[np.float64], numbers: NDArray[np.int64], table: Table, smoothing: float
) -> NDArray[np.float32]:
    """(N, 3) places and (N,) own cells -> (N, C) labels that add up to 1: exp(-d / t) of the distance d from the photo
    to the centre of each cell, with t = `smoothing` times the spread of its own cell; 0 for that cell alone."""
    if not smoothing:
        labels = np.zeros((len(numbers), len(table.centres)), np.float32)
        labels[np.arange(len(numbers)), numbers] = 1
        return labels
    far = distances_km(vectors, table.vectors).astype(np.float32)
    far -= far.min(1, keepdims=True)
    far /= -(smoothing * table.spreads_km[numbers, None]).astype(np.float32)
    labels = np.exp(far, out=far)
    labels /= labels.sum(1, keepdims=True)
    return labels


def loss_range(
    targets: PlaceTargets, vocabulary: Vocabulary, smoothing: float, label_smoothing: float
) -> tuple[float, float]:
    """The loss, in nats, of the best constant probabilities, and of perfect ones."""
    table = table_of(vocabulary.names, vocabulary.fields)
    chosen = np.random.default_rng(0).permutation(len(targets))[:_MOST]
    some = targets.take(np.sort(chosen))
    labels = smooth_labels(unit_vectors(some.degrees), some.numbers, table, smoothing).astype(np.float64)
    labels = labels * (1 - label_smoothing) + label_smoothing / labels.shape[1]
    return float(_entropy(labels.mean(0))), float(_entropy(labels).mean())


def _entropy(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(-(shares * np.log(np.maximum(shares, 1e-300))).sum(-1))
