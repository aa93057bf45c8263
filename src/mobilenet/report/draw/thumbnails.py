"""Thumbnails for embedding in the page."""

import base64
import io
from collections.abc import Callable

from mobilenet.errors import DataError, ImageError

__all__ = ["thumbnail"]

_SIDE = 240
"""Longer side in pixels: displayed at 160, so sharp on high-density screens."""

_QUALITY = 80


def thumbnail(read: Callable[[str], bytes], file: str) -> str | None:
    """The whole photo as a `data:` URL (JPEG); None if it is gone or cannot be decoded.

    `read` comes from `datasets.photo_reader`.
    """
    from PIL import Image

    from mobilenet.images.decode import decode

    try:
        pixels = decode(read(file), at_least=_SIDE)
    except (ImageError, DataError):
        return None
    photo = Image.fromarray(pixels)
    photo.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
