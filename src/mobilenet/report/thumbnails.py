"""Photos small enough to travel inside the page."""

import base64
import io
from pathlib import Path

from mobilenet.errors import ImageError

__all__ = ["thumbnail"]

_SIDE = 240
"""Pixels of the longer side: shown at 160, sharp on a dense screen."""

_QUALITY = 80


def thumbnail(path: Path) -> str | None:
    """The whole photo as a `data:` URL (JPEG); None when it has vanished or cannot be decoded."""
    from PIL import Image

    from mobilenet.images import decode

    if not path.is_file():
        return None
    try:
        pixels = decode(path, at_least=_SIDE)
    except ImageError:
        return None
    photo = Image.fromarray(pixels)
    photo.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
