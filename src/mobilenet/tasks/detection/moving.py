"""Boxes that move with the pixels of their photos."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from mobilenet.images.augment import Crops

__all__ = ["IGNORED", "NOTHING", "moved"]

NOTHING, IGNORED = -1, -2
"""Labels of what is no box, and of a box that is neither learned nor counted."""

_SEEN, _HINTED = 0.4, 0.05
"""Shares of a box within the crop: from the first on it is learned, and from the second on it is not background."""

Floats = NDArray[np.float32]


def moved(boxes: Floats, labels: NDArray[np.int64], crops: "Crops") -> tuple[Floats, NDArray[np.int64]]:
    """The boxes (B, G, 4) of B photos, top, left, bottom, right as shares of each, as shares of its crop and cut to it;
    labels (B, G) become `IGNORED` for boxes of which little is left, and `NOTHING` for those that are gone."""
    crop = crops.box[:, None]
    low, high = ((boxes[..., ends] - crop[..., :2]) / crop[..., 2:] for ends in (slice(0, 2), slice(2, 4)))
    low, high = _mirrored(low, high, crops.mirrored)
    for turn in (1, 2, 3):
        # To the left by a quarter: what was on the right is now at the top.
        low, high = _turned(low, high, crops.quarters >= turn)
    cut = np.clip(np.concatenate([low, high], -1), 0, 1)
    whole = np.prod(high - low, -1)
    seen = np.prod(cut[..., 2:] - cut[..., :2], -1)
    share = np.divide(seen, whole, out=np.zeros_like(seen), where=whole > 0)
    left = np.where(share >= _SEEN, labels, np.where(share >= _HINTED, IGNORED, NOTHING))
    return cut.astype(np.float32), np.where(labels == NOTHING, NOTHING, left)


def _mirrored(low: Floats, high: Floats, where: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    chosen = where[:, None]
    left = np.where(chosen, 1 - high[..., 1], low[..., 1])
    right = np.where(chosen, 1 - low[..., 1], high[..., 1])
    return np.stack([low[..., 0], left], -1), np.stack([high[..., 0], right], -1)


def _turned(low: Floats, high: Floats, where: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    chosen = where[:, None, None]
    turned_low = np.stack([1 - high[..., 1], low[..., 0]], -1)
    turned_high = np.stack([1 - low[..., 1], high[..., 0]], -1)
    return np.where(chosen, turned_low, low), np.where(chosen, turned_high, high)
