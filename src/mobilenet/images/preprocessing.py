"""How a photo becomes the input of a network; the description is stored in the model file."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.errors import ConfigError, ModelError
from mobilenet.images.decode import decode_sized, read_photo
from mobilenet.images.resize import ResizeMethod, decoded_side, resize

__all__ = ["Preprocessing", "to_square", "to_squares"]

_MAX_RESOLUTION = 4096
_FIELDS = frozenset({"resolution", "crop_fraction", "mean", "std"})
_MIDDLE = (127.5, 127.5, 127.5)


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """Network input = (pixel - mean) / std, with mean and std in pixel values (0..255), one each for R, G and B.

    `resolution` is the side of the square in pixels; `crop_fraction` as in `images.resize`. ConfigError for a value out
    of range.
    """

    resolution: int
    crop_fraction: float | None = None
    mean: tuple[float, float, float] = _MIDDLE
    std: tuple[float, float, float] = _MIDDLE

    def __post_init__(self) -> None:
        problem = _problem(self)
        if problem:
            raise ConfigError(problem)

    def prepare(self, source: bytes | Path) -> NDArray[np.uint8]:
        """A photo's bytes or path -> (resolution, resolution, 3) uint8; ImageError if it cannot be decoded."""
        return self.prepare_sized(source)[0]

    def prepare_sized(self, source: bytes | Path) -> tuple[NDArray[np.uint8], tuple[int, int]]:
        """As `prepare`, and (height, width) of the whole photo in pixels."""
        return to_square(source, self.resolution, self.crop_fraction)

    def prepare_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The upright pixels of a whole picture, (H, W, 3) uint8 -> (resolution, resolution, 3) uint8, as `prepare`."""
        return resize(pixels, self.resolution, self.crop_fraction)

    def to_json(self) -> dict[str, object]:
        """As an object for `json.dumps`, which `from_json` reads back."""
        return {**asdict(self), "mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_json(cls, value: object) -> "Preprocessing":
        """The inverse of `to_json`; ModelError names a field that is missing, unknown or out of range."""
        if not isinstance(value, dict):
            raise ModelError(f"preprocessing is not an object but {type(value).__name__}")
        if set(value) != _FIELDS:
            missing, unexpected = sorted(_FIELDS - set(value)), sorted(map(str, set(value) - _FIELDS))
            raise ModelError(f"preprocessing: missing: {missing}; unexpected: {unexpected}")
        fields: dict[str, Any] = {key: tuple(item) if isinstance(item, list) else item for key, item in value.items()}
        try:
            return cls(**fields)
        except ConfigError as error:
            raise ModelError(str(error)) from error


def to_square(
    source: bytes | Path, resolution: int, crop_fraction: float | None = None, method: ResizeMethod = "area"
) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """A photo -> (resolution, resolution, 3) uint8, and (height, width) of the whole photo; ImageError.

    The only path from a file to a network's pixels. By area, a JPEG is decoded at the smallest of 1, 1/2, 1/4 and 1/8
    of its size whose crop still has `resolution` pixels per side: at least resolution / crop_fraction for the whole
    photo. By a method of apps it is decoded at full size, because that is what aliases.
    """
    (square,), size = to_squares(source, resolution, crop_fraction, (method,))
    return square, size


def to_squares(
    source: bytes | Path, resolution: int, crop_fraction: float | None, methods: Sequence[ResizeMethod]
) -> tuple[tuple[NDArray[np.uint8], ...], tuple[int, int]]:
    """As `to_square` by each of `methods` (one or more), from a photo that is read once: squares
    (resolution, resolution, 3) uint8 in their order, and (height, width) of the whole photo; ImageError."""
    data = read_photo(source) if isinstance(source, Path) else source
    at_least = math.ceil(resolution / (1.0 if crop_fraction is None else crop_fraction))
    sides = [decoded_side(method, at_least) for method in methods]
    decoded, size = _decoded(data, sides)
    squares = (
        resize(decoded[side], resolution, crop_fraction, method) for side, method in zip(sides, methods, strict=True)
    )
    return tuple(squares), size


def _decoded(data: bytes, sides: Sequence[int | None]) -> tuple[dict[int | None, NDArray[np.uint8]], tuple[int, int]]:
    """A photo decoded for each of `sides`, as seldom as possible, and (height, width) of the whole photo."""
    decoded, size = dict[int | None, NDArray[np.uint8]](), (0, 0)
    image = None
    for side in sorted(set(sides), key=lambda side: math.inf if side is None else side):
        # Where a smaller side already took the whole photo, a larger one does.
        if image is None or image.shape[:2] != size:
            image, size = decode_sized(data, at_least=side)
        decoded[side] = image
    return decoded, size


def _problem(value: Preprocessing) -> str | None:
    if type(value.resolution) is not int or not 1 <= value.resolution <= _MAX_RESOLUTION:
        return f"preprocessing: resolution {value.resolution!r} is not a whole number from 1 to {_MAX_RESOLUTION}"
    if value.crop_fraction is not None and not (_is_number(value.crop_fraction) and 0 < value.crop_fraction <= 1):
        return f"preprocessing: crop_fraction {value.crop_fraction!r} is not in (0, 1]"
    if not _is_triple(value.mean) or not all(0 <= item <= 255 for item in value.mean):
        return f"preprocessing: mean {value.mean!r} is not three numbers from 0 to 255"
    if not _is_triple(value.std) or not all(item > 0 for item in value.std):
        return f"preprocessing: std {value.std!r} is not three numbers above 0"
    return None


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(float(value))  # type: ignore[arg-type]


def _is_triple(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 3 and all(map(_is_number, value))
