"""From the bytes of a photo to the square of pixels that a network sees: one policy for every use."""

from mobilenet.images.decode import ENDINGS, Limits, decode, decode_sized, read_photo
from mobilenet.images.preprocessing import Preprocessing, to_square
from mobilenet.images.resize import resize

__all__ = ["ENDINGS", "Limits", "Preprocessing", "decode", "decode_sized", "read_photo", "resize", "to_square"]
