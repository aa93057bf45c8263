"""Boxes as differences from priors, and back (Liu et al. 2016, section 2.2)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["corners", "decoded"]

Floats = NDArray[np.float32]

_LARGEST = 4.0
"""The largest logarithm of a side in sides of its prior: no box is larger than the photo."""


def corners(boxes: Floats) -> Floats:
    """(…, 4) centre from the top, centre from the left, height, width -> top, left, bottom, right."""
    half = boxes[..., 2:] / 2
    return np.concatenate([boxes[..., :2] - half, boxes[..., :2] + half], -1)


def decoded(codes: Floats, priors: Floats, scales: Sequence[float]) -> Floats:
    """(…, 4) codes of (…, 4) priors -> top, left, bottom, right, cut to the photo, 0…1."""
    parts = codes / np.asarray(scales, np.float32)
    centres = parts[..., :2] * priors[..., 2:] + priors[..., :2]
    sides = np.exp(np.minimum(parts[..., 2:], _LARGEST)) * priors[..., 2:]
    return np.clip(corners(np.concatenate([centres, sides], -1)), 0, 1)
