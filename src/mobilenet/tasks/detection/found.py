"""What a network has found in photos."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Found"]


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The boxes found in one photo, best first: `boxes` (K, 4) float32 top, left, bottom, right as shares of the photo,
    `labels` (K,) int64, `scores` (K,) float32."""

    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    scores: NDArray[np.float32]
