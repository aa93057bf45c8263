"""Which files are photos: by the ending of their names, or by their first bytes where there is none.

What is not read is counted by ending, so that nothing is passed over in silence.
"""

import re
from collections import Counter
from collections.abc import Mapping

from mobilenet.images.reasons import ENDINGS, format_name

__all__ = [
    "HEAD_BYTES",
    "NO_ENDING",
    "ending_of",
    "format_of",
    "is_clutter",
    "is_photo",
    "unread_line",
    "unread_photos",
]

NO_ENDING = ""

HEAD_BYTES = 64
"""What `format_of` needs of a file."""

_USUAL = {
    "JPEG": ".jpg",
    "PNG": ".png",
    "GIF": ".gif",
    "TIFF": ".tif",
    "WebP": ".webp",
    "BMP": ".bmp",
    "AVIF image": ".avif",
    "HEIC photo": ".heic",
    "HEIF image": ".heif",
    "JPEG 2000 image": ".jp2",
    "JPEG XL image": ".jxl",
}
"""Endings of photos by the names of their formats in `images.reasons`."""

_FOREIGN = {
    ".avif": "AVIF",
    ".heic": "HEIC",
    ".heif": "HEIC",
    ".hif": "HEIC",
    ".j2k": "JPEG 2000",
    ".jp2": "JPEG 2000",
    ".jpx": "JPEG 2000",
    ".jxl": "JPEG XL",
    ".ppm": "PPM",
    ".pgm": "PGM",
    ".psd": "Photoshop",
    ".tga": "TGA",
} | dict.fromkeys((".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".raf", ".raw", ".rw2"), "raw")
"""Photos in formats that are not read."""

_ENDING = re.compile(r"\.[A-Za-z0-9_~-]{1,12}$")
_REMEDY = "photos to JPEG first, for example with ImageMagick: magick mogrify -format jpg FILES"
_SHOWN = 6
_CLUTTER = frozenset({"desktop.ini", "thumbs.db"})
"""What file managers leave in folders."""


def ending_of(name: str) -> str:
    """`.jpg` of `a/1.JPG`; `NO_ENDING` of `a/56`, and of `St. Bernard 12`, where no ending follows the dot."""
    found = _ENDING.search(name.rpartition("/")[2][1:])
    return NO_ENDING if found is None else found[0].lower()


def is_photo(ending: str) -> bool:
    """Whether files with that ending are read."""
    return ending in ENDINGS


def format_of(head: bytes) -> str:
    """The usual ending of a photo that begins with these bytes, as `.jpg` or `.heic`; `NO_ENDING` if it is none."""
    return _USUAL.get(format_name(head) or "", NO_ENDING)


def is_clutter(name: str) -> bool:
    """Whether a file manager made the file, so that nobody misses it."""
    return name.casefold() in _CLUTTER


def unread_photos(unread: Mapping[str, int]) -> dict[str, int]:
    """Those of the files, counted by ending, that are photos in a format that is not read."""
    return {ending: count for ending, count in unread.items() if ending in _FOREIGN}


def unread_line(unread: Mapping[str, int]) -> str:
    """One line on files that are not read, by ending, the most frequent first."""
    counts = Counter(unread).most_common()
    told = ", ".join(f"{count:,} {ending or 'without an ending'}" for ending, count in counts[:_SHOWN])
    more = sum(count for _, count in counts[_SHOWN:])
    total = sum(unread.values())
    line = f"{total:,} {'file is' if total == 1 else 'files are'} not read: {told}"
    line += f", {more:,} others" if more else ""
    formats = dict.fromkeys(_FOREIGN[ending] for ending, _ in counts if ending in _FOREIGN)
    return f"{line}; convert {' and '.join(formats)} {_REMEDY}" if formats else line
