"""The order of photos in an epoch, which is the same on every process."""

import numpy as np
import numpy.typing as npt

from mobilenet.images.augment import random_uniform

__all__ = ["epoch_order", "sample_numbers", "steps_per_epoch"]

_ORDER = 0x5EED
"""Separates the random numbers of the order from those of augmentation, which share the seed."""

IntArray = npt.NDArray[np.int64]


def epoch_order(count: int, seed: int, epoch: int, strata: IntArray | None = None) -> IntArray:
    """(N,) indices of `count` photos in the order of `epoch`.

    A permutation; or, if `strata` (N,) give the group of each photo, equally many draws from each group: photos of rare
    groups repeat, those of frequent groups alternate between epochs. Photos in no group (-1) are drawn once each.
    """
    photos = np.arange(count, dtype=np.int64)
    keys = random_uniform(seed ^ _ORDER, epoch, photos, 2)
    order = np.argsort(keys[:, 0], kind="stable")
    if strata is None:
        return order
    loose = order[strata[order] < 0]
    present = np.unique(strata[strata >= 0])
    grouped = count - len(loose)
    rounds = -(-grouped // max(len(present), 1))
    drawn = [np.resize(order[strata[order] == group], rounds) for group in present]
    balanced = np.stack(drawn, axis=1).reshape(-1)[:grouped] if drawn else loose[:0]
    mixed = np.concatenate([balanced, loose])
    return mixed[np.argsort(keys[:, 1], kind="stable")]


def sample_numbers(order: IntArray) -> IntArray:
    """(N,) photo indices -> (N,) distinct sample numbers: photo p for the k-th time (from 0) is p + k·N.

    What is drawn for a sample follows from its number, so a photo that repeats in an epoch is cropped differently.
    """
    sorted_places = np.argsort(order, kind="stable")
    photos = order[sorted_places]
    repeats = np.empty_like(order)
    repeats[sorted_places] = np.arange(len(order)) - np.searchsorted(photos, photos)
    return order + repeats * len(order)


def steps_per_epoch(photos: int, batch_size: int) -> int:
    """Whole batches per epoch; the remainder of the order is skipped (a different one each epoch)."""
    return photos // batch_size
