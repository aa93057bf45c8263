"""A photo of any shape -> the square that a network sees, by the methods that apps use.

Ours averages areas. Most apps do not: they take the photo at full size and read one point of it per output pixel, so
that detail finer than an output pixel is aliased. Those methods are here to measure what a network answers then, and to
train it for that.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mobilenet.errors import ConfigError

__all__ = ["RESIZE_METHODS", "ResizeMethod", "check_resize_method", "decoded_side", "resize"]

ResizeMethod = Literal["area", "bilinear", "asymmetric", "nearest", "aliased"]
"""How pixels are resampled. S is the number of photo pixels per output pixel and o the first photo pixel.

area        a triangle filter as wide as an output pixel: antialiased. What every command does by default
bilinear    the photo interpolated at the centre of output pixel i, o + (i + 1/2)·S - 1/2: OpenCV's INTER_LINEAR,
            torch's `interpolate` without antialiasing, tf.image.resize, a GPU's texture unit
asymmetric  interpolated at o + i·S: MediaPipe's tasks on a CPU, TensorFlow 1 and TFLite's RESIZE_BILINEAR by default,
            ONNX's coordinate transformation of that name
nearest     the pixel at ⌊o + i·S⌋: OpenCV's INTER_NEAREST, torch's nearest
aliased     as nearest, but a JPEG may be decoded at less than its full size: what training takes, in less time
"""

RESIZE_METHODS: tuple[ResizeMethod, ...] = ("area", "bilinear", "asymmetric", "nearest")
"""Those that a user may choose, ours first."""

_ALIASED_PIXELS = 4
"""Photo pixels per output pixel, in each direction, that are enough to alias: a photo of 12 megapixels for 224 pixels
is decoded at half its size, in a third of the time."""

Box = tuple[float, float, float, float]
"""Left, top, right and bottom of the part that is seen, in pixels of the photo."""


def check_resize_method(name: str) -> ResizeMethod:
    """The method of this name; ConfigError if there is none."""
    for method in RESIZE_METHODS:
        if name == method:
            return method
    raise ConfigError(f"unknown resize method {name!r}; use {', '.join(RESIZE_METHODS[:-1])} or {RESIZE_METHODS[-1]}")


def decoded_side(method: ResizeMethod, side: int) -> int | None:
    """The pixels that both sides of a JPEG must have for a photo that is seen at `side` pixels; None for all it has."""
    match method:
        case "area":
            return side
        case "aliased":
            return _ALIASED_PIXELS * side
        case _:
            return None


def resize(
    image: NDArray[np.uint8], resolution: int, crop_fraction: float | None = None, method: ResizeMethod = "area"
) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 -> (resolution, resolution, 3) uint8.

    By default antialiased: a triangle filter as wide as the reduction, which averages areas when shrinking and is
    bilinear when enlarging; `ResizeMethod` says what the others are. `crop_fraction` None stretches the whole photo to
    the square; a fraction f in (0, 1] takes the centred square whose side is f times the shorter side (0.875 is
    TensorFlow's evaluation crop), to subpixel precision.
    """
    return _METHODS[method](image, resolution, _seen(image, crop_fraction))


def _seen(image: NDArray[np.uint8], crop_fraction: float | None) -> Box:
    height, width = image.shape[:2]
    if crop_fraction is None:
        return 0.0, 0.0, float(width), float(height)
    side = crop_fraction * min(height, width)
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side


def _area(image: NDArray[np.uint8], resolution: int, box: Box) -> NDArray[np.uint8]:
    square = Image.fromarray(image).resize((resolution, resolution), Image.Resampling.BILINEAR, box=box)
    return np.array(square, dtype=np.uint8)


def _bilinear(image: NDArray[np.uint8], resolution: int, box: Box) -> NDArray[np.uint8]:
    return _interpolated(image, resolution, box, 0.5)


def _asymmetric(image: NDArray[np.uint8], resolution: int, box: Box) -> NDArray[np.uint8]:
    return _interpolated(image, resolution, box, 0.0)


def _nearest(image: NDArray[np.uint8], resolution: int, box: Box) -> NDArray[np.uint8]:
    left, top, right, bottom = box
    rows, columns = (
        np.minimum(np.floor(_points(low, high, resolution, 0.0)), length - 1).astype(np.intp)
        for low, high, length in ((top, bottom, image.shape[0]), (left, right, image.shape[1]))
    )
    return np.asarray(image[rows[:, None], columns], np.uint8)


def _interpolated(image: NDArray[np.uint8], resolution: int, box: Box, centre: float) -> NDArray[np.uint8]:
    """Bilinear interpolation, rounded once; coordinates outside the photo are clamped to its edge."""
    left, top, right, bottom = box
    upper, lower, down = _neighbours(_points(top, bottom, resolution, centre), image.shape[0])
    first, second, across = _neighbours(_points(left, right, resolution, centre), image.shape[1])
    wide = [image[rows[:, None], columns].astype(np.float32) for rows in (upper, lower) for columns in (first, second)]
    across = across[:, None]
    above, below = (one + (other - one) * across for one, other in (wide[:2], wide[2:]))
    return (above + (below - above) * down[:, None, None] + np.float32(0.5)).astype(np.uint8)


def _points(low: float, high: float, resolution: int, centre: float) -> NDArray[np.float64]:
    """(R,) coordinates in a photo whose pixel p is at p; `centre` 1/2 reads the middle of each output pixel, 0 its
    start.

    Multiplied before they are divided, so that whole numbers come out whole.
    """
    return low + ((np.arange(resolution) + centre) * (high - low)) / resolution - centre


def _neighbours(
    points: NDArray[np.float64], length: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """(R,) coordinates -> (R,) indices of the pixels on either side, and (R,) the share 0…1 of the second."""
    points = np.clip(points, 0, length - 1)
    first = points.astype(np.intp)
    return first, np.minimum(first + 1, length - 1), (points - first).astype(np.float32)


_METHODS: dict[ResizeMethod, Callable[[NDArray[np.uint8], int, Box], NDArray[np.uint8]]] = {
    "area": _area,
    "bilinear": _bilinear,
    "asymmetric": _asymmetric,
    "nearest": _nearest,
    "aliased": _nearest,
}
