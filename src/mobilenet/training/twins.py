"""Photos that are in a batch twice, shrunk with and without antialiasing, so that a network answers both alike.

Apps shrink photos in ways of their own. A network that has seen each sample in one way is right as often on either, but
still answers some photos differently; the divergence between its two answers, as a part of the loss, ends that. It is
consistency regularisation (Sajjadi et al., 2016, arXiv 1606.04586) for one kind of change.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mobilenet.images.augment import Crops
from mobilenet.nn.objective import Objective, Raw

__all__ = ["SAMPLES_PER_PAIR", "TWINS_FROM", "disagreement", "twins"]

TWINS_FROM = 0.5
"""Fraction of a run from which batches contain twins: what they teach is small beside the task, and is learned late."""

SAMPLES_PER_PAIR = 4
"""A batch of B samples has B // 4 pairs of twins, for which a quarter of its photos make room."""


def twins(samples: NDArray[np.int64], crops: Crops) -> tuple[NDArray[np.int64], Crops]:
    """A batch (B,) with its last quarter replaced by its first: that is taken by the first method of
    `training_methods`, and again, at the end, by the second."""
    pairs = len(samples) // SAMPLES_PER_PAIR
    rows = np.concatenate([np.arange(len(samples) - pairs), np.arange(pairs)])
    method = crops.method.copy()
    method[:pairs], method[len(samples) - pairs :] = 0, 1
    return samples[rows], replace(crops.take(rows), method=method)


def disagreement(objective: Objective, outputs: Raw) -> Tensor:
    """(): the mean divergence between the answers to twins: of either from the other, which stands still, halved."""
    count = len(next(iter(outputs.values())))
    pairs = count // SAMPLES_PER_PAIR
    first = {name: values[:pairs] for name, values in outputs.items()}
    second = {name: values[count - pairs :] for name, values in outputs.items()}
    there = objective.distil(first, _still(second))
    back = objective.distil(second, _still(first))
    return (there + back) / (2 * pairs)


def _still(outputs: Raw) -> Raw:
    return {name: values.detach() for name, values in outputs.items()}
