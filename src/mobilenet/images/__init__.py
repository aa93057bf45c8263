"""From the bytes of a photo to the square of pixels that a network sees: one policy for every use."""

from mobilenet.images.decode import (
    Limits,
    Metadata,
    PhotoSize,
    decode,
    decode_sized,
    photo_metadata,
    photo_size,
    read_photo,
)
from mobilenet.images.preprocessing import Preprocessing, to_square, to_squares
from mobilenet.images.reasons import ENDINGS
from mobilenet.images.resize import RESIZE_METHODS, ResizeMethod, check_resize_method, resize

__all__ = [
    "ENDINGS",
    "RESIZE_METHODS",
    "Limits",
    "Metadata",
    "PhotoSize",
    "Preprocessing",
    "ResizeMethod",
    "check_resize_method",
    "decode",
    "decode_sized",
    "photo_metadata",
    "photo_size",
    "read_photo",
    "resize",
    "to_square",
    "to_squares",
]
