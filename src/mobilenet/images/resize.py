"""A photo of any shape -> the square that a network sees."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["resize"]


def resize(image: NDArray[np.uint8], resolution: int, crop_fraction: float | None = None) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 -> (resolution, resolution, 3) uint8.

    Antialiased: a triangle filter as wide as the reduction, which averages areas when shrinking and is bilinear when
    enlarging. `crop_fraction` None stretches the whole photo to the square; a fraction f in (0, 1] takes the centred
    square whose side is f times the shorter side (0.875 is TensorFlow's evaluation crop), to subpixel precision.
    """
    height, width = image.shape[:2]
    box = (0.0, 0.0, float(width), float(height))
    if crop_fraction is not None:
        side = crop_fraction * min(height, width)
        left, top = (width - side) / 2, (height - side) / 2
        box = (left, top, left + side, top + side)
    square = Image.fromarray(image).resize((resolution, resolution), Image.Resampling.BILINEAR, box=box)
    return np.array(square, dtype=np.uint8)
