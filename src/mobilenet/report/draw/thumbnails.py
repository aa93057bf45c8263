"""Thumbnails for embedding in the page."""

import base64
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mobilenet.errors import DataError, ImageError
from mobilenet.images.decode import decode, read_photo
from mobilenet.images.overlay import PALETTE, Mark, draw_marks
from mobilenet.tasks.task import Region

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["drawn_thumbnail", "marked_thumbnail", "thumbnail", "thumbnail_pair"]

_SIDE = 240
"""Longer side in pixels: displayed at 160, so sharp on high-density screens."""

_PAIR_SIDE = 480
"""Longer side of each photo of a pair, displayed at about half of that."""

_DRAWN_SIDE = 640
"""Longer side of a photo with its answer on it."""

_GAP = 12
"""Pixels between the photos of a pair."""

_LETTERS = 1.8
"""Lines and letters of a pair, which is displayed smaller than it is."""

_RIGHT, _WRONG = PALETTE[3], PALETTE[5]

_QUALITY = 80


def thumbnail(read: Callable[[str], bytes], file: str) -> str | None:
    """The whole photo as a `data:` URL (JPEG); None if it is gone or cannot be decoded.

    `read` comes from `datasets.photo_reader`.
    """
    photo = _shrunk(read, file, _SIDE)
    return None if photo is None else _url(photo)


def marked_thumbnail(read: Callable[[str], bytes], file: str, views: Sequence[Sequence[Mark]]) -> str | None:
    """As `thumbnail`, the photo once for each of the views, side by side, with its marks."""
    photo = _shrunk(read, file, _PAIR_SIDE)
    return None if photo is None else _side_by_side(photo, views)


def drawn_thumbnail(photo: Path, draw: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]) -> str | None:
    """As `thumbnail`, with what `draw` makes of the upright photo, (H, W, 3) -> (k·H, k·W, 3)."""
    from PIL import Image

    picture = _shrunk(lambda name: read_photo(Path(name)), str(photo), _DRAWN_SIDE)
    return None if picture is None else _url(Image.fromarray(draw(np.array(picture, np.uint8))), subsampling=0)


def thumbnail_pair(
    read: Callable[[str], bytes], file: str, labelled: Sequence[Region], predicted: Sequence[Region]
) -> str | None:
    """As `thumbnail`, the photo twice side by side, each with its regions: the wrong ones in orange with their names,
    the others in green."""
    return marked_thumbnail(read, file, [list(_marks(regions)) for regions in (labelled, predicted)])


def _side_by_side(photo: "Image.Image", views: Sequence[Sequence[Mark]]) -> str:
    from PIL import Image

    pixels, parts = np.array(photo, np.uint8), list[NDArray[np.uint8]]()
    for marks in views:
        drawn = draw_marks(pixels, marks, scale=_LETTERS)
        parts += [np.full((len(drawn), _GAP, 3), 255, np.uint8), drawn]
    # Thin lines lose their colour where colours are stored at half the resolution.
    return _url(Image.fromarray(np.concatenate(parts[1:], 1)), subsampling=0)


def _marks(regions: Sequence[Region]) -> Iterator[Mark]:
    """The wrong ones first, which is on top."""
    for region in sorted(regions, key=lambda one: not one.wrong):
        if region.wrong:
            yield Mark(region.box, region.name, _WRONG)
        else:
            yield Mark(region.box, "", _RIGHT, thickness=0.7)


def _shrunk(read: Callable[[str], bytes], file: str, side: int) -> "Image.Image | None":
    from PIL import Image

    try:
        pixels = decode(read(file), at_least=side)
    except (ImageError, DataError):
        return None
    photo = Image.fromarray(pixels)
    photo.thumbnail((side, side), Image.Resampling.LANCZOS)
    return photo


def _url(photo: "Image.Image", **options: int) -> str:
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", quality=_QUALITY, **options)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
