"""Bytes of a photo -> RGB pixels.

One policy for every use: EXIF orientation is applied, CMYK and palettes are converted to RGB, transparency is composed
on white, 16-bit samples keep their high byte, animations give their first frame. Colour profiles are not applied: pixel
values are taken as sRGB. Truncated files are refused: half a photo with the rest grey would teach the network grey.
"""

import contextlib
import io
import os
import stat
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from mobilenet.errors import ImageError
from mobilenet.images.reasons import PARSER_FAILURES, broken, unidentified

__all__ = [
    "Limits",
    "Metadata",
    "PhotoSize",
    "decode",
    "decode_sized",
    "photo_metadata",
    "photo_size",
    "read_photo",
]

_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
_DIRECT_MODES = frozenset({"1", "L", "P", "RGB", "RGBA", "RGBX", "RGBa", "LA", "La", "PA", "CMYK", "YCbCr"})
_ORIENTATION = 0x0112
_GPS = 0x8825
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_PNG_METADATA = frozenset({b"eXIf", b"iTXt", b"tEXt", b"zTXt"})
_PNG_SIGNATURE_BYTES = 8
_BITS_PER_SAMPLE = 258
_PHOTOMETRIC = 262
_SAMPLE_FORMAT = 339
_SIGNED, _FLOAT = 2, 3
_UNSIGNED = "save it with 8 or 16 bits per channel, unsigned"
_AS_RGB = "save it as RGB"

# Non-blocking, in case the file is replaced by a pipe between the check and the opening.
_READ_ONLY = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on a photo: `pixels` (width x height, known before decoding) and `bytes` of its file.

    Pillow's own limit of 178,956,970 pixels applies as well.
    """

    pixels: int = 100_000_000
    bytes: int = 256 * 2**20


_DEFAULT_LIMITS = Limits()
_Seen = TypeVar("_Seen")


@dataclass(frozen=True, slots=True)
class PhotoSize:
    """The height and width of an upright photo in pixels, and its EXIF `orientation`, from 1 (stored upright) to 8."""

    height: int
    width: int
    orientation: int = 1

    @property
    def stored(self) -> tuple[int, int]:
        """The height and width of the pixels in the file, which have yet to be turned."""
        return (self.width, self.height) if self.orientation > 4 else (self.height, self.width)


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a header says of where a photo was taken: `gps` are the tags of the GPS directory of its EXIF by number, as
    Pillow reads them, None if the EXIF is damaged; `xmp` is the XMP packet, as it is, empty if there is none."""

    gps: Mapping[int, object] | None
    xmp: bytes


def decode(source: bytes | Path, *, at_least: int | None = None, limits: Limits = _DEFAULT_LIMITS) -> NDArray[np.uint8]:
    """A JPEG, PNG, WebP, BMP, TIFF or GIF -> (H, W, 3) uint8 RGB.

    `at_least` (pixels) allows decoding a JPEG at 1/2, 1/4 or 1/8 of its size: the smallest whose two sides, rounded
    down, are still at least that long. Every failure is an ImageError whose message is the reason.
    """
    return decode_sized(source, at_least=at_least, limits=limits)[0]


def decode_sized(
    source: bytes | Path, *, at_least: int | None = None, limits: Limits = _DEFAULT_LIMITS
) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """As `decode`, and (height, width) of the whole photo, upright, before any reduction by `at_least`; ImageError."""
    data = read_photo(source, limits) if isinstance(source, Path) else source
    if len(data) > limits.bytes:
        raise ImageError(f"{len(data):,} bytes is more than the limit of {limits.bytes:,}")
    with _opened(data, limits) as image:
        return _pixels(image, at_least, limits)


def photo_size(source: bytes | Path, *, limits: Limits = _DEFAULT_LIMITS) -> PhotoSize:
    """The size and orientation by which `decode` turns a photo, from its header alone, so that it is far faster.

    ImageError as of `decode`, except for pixels that are damaged behind an intact header.
    """
    return _of_header(source, limits, _header)


def photo_metadata(source: bytes | Path, *, limits: Limits = _DEFAULT_LIMITS) -> Metadata:
    """The GPS tags and the XMP of a photo, from its header alone, unless those of a PNG follow its pixels.

    ImageError as of `photo_size`. Damaged metadata of a sound photo are no error.
    """
    return _of_header(source, limits, _metadata)


def _of_header(source: bytes | Path, limits: Limits, look: Callable[[Image.Image, Limits], _Seen]) -> _Seen:
    if isinstance(source, Path):
        with contextlib.suppress(*PARSER_FAILURES), _regular_file(source) as file:
            _silence_pillow()
            with Image.open(file, formats=_FORMATS) as image:
                return look(image, limits)
        # Once more from all of its bytes, which the reason is found in.
        source = read_photo(source, limits)
    with _opened(source, limits) as image:
        return look(image, limits)


@contextlib.contextmanager
def _opened(data: bytes, limits: Limits) -> Iterator[Image.Image]:
    """The photo in these bytes; what goes wrong while it is used is an ImageError."""
    if not data:
        raise ImageError("empty file; copy or download it again")
    _silence_pillow()
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            yield image
    except UnidentifiedImageError as error:
        raise ImageError(unidentified(data)) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"more pixels than the limit of {min(limits.pixels, 178_956_970):,}") from error
    except MemoryError as error:
        raise ImageError("does not fit in memory") from error
    except PARSER_FAILURES as error:
        raise ImageError(broken(data, error)) from error


def read_photo(path: Path | str, limits: Limits = _DEFAULT_LIMITS, *, size: int | None = None) -> bytes:
    """The bytes of a regular file within the limits; ImageError otherwise (a pipe or a device would block forever).

    `size`: the size in bytes if the path was just seen to be a regular file, which is then not checked again.
    """
    try:
        if size is None:
            status = os.stat(path)  # noqa: PTH116 - a million files: no Path object for each
            if not stat.S_ISREG(status.st_mode):
                raise ImageError("not a regular file")
            size = status.st_size
        if size > limits.bytes:
            raise ImageError(f"{size:,} bytes is more than the limit of {limits.bytes:,}")
        return _read_whole(os.open(path, _READ_ONLY), size)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise ImageError(f"cannot be read: {(reason or str(error)).lower()}") from error


def _read_whole(file: int, size: int) -> bytes:
    """The content of an open file of about `size` bytes, which is then closed; few system calls for a small file."""
    try:
        data = os.read(file, size + 1)
        if len(data) == size:
            return data
        parts = [data]
        while parts[-1]:
            parts.append(os.read(file, 2**20))
        return b"".join(parts)
    finally:
        os.close(file)


@contextlib.contextmanager
def _regular_file(path: Path) -> Iterator[BinaryIO]:
    with os.fdopen(os.open(path, _READ_ONLY), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ImageError("not a regular file")
        yield file


def _header(image: Image.Image, limits: Limits) -> PhotoSize:
    width, height = image.size
    _check_size(width, height, limits)
    orientation = _orientation(partial(_exif_of_header, image))
    # Pillow turns a TIFF itself, and gives its upright size.
    if orientation > 4 and image.format != "TIFF":
        width, height = height, width
    return PhotoSize(height, width, orientation)


def _metadata(image: Image.Image, limits: Limits) -> Metadata:
    _check_size(*image.size, limits)
    if image.format == "PNG" and _says_more_behind_pixels(image):
        image.load()
    try:
        gps: Mapping[int, object] | None = dict(Image.Image.getexif(image).get_ifd(_GPS))
    except PARSER_FAILURES:
        gps = None
    xmp = image.info.get("xmp", b"")
    return Metadata(gps, xmp if isinstance(xmp, bytes) else b"")


def _check_size(width: int, height: int, limits: Limits) -> None:
    if width * height > limits.pixels:
        raise ImageError(f"{width} x {height} pixels is more than the limit of {limits.pixels:,}")


def _pixels(image: Image.Image, at_least: int | None, limits: Limits) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    width, height = image.size
    _check_size(width, height, limits)
    if at_least is not None:
        image.draft(None, (max(at_least, 1), max(at_least, 1)))
    image.load()
    orientation = _orientation(image.getexif)
    if orientation > 4:
        width, height = height, width
    rgb = _to_rgb(image)
    upright = rgb.transpose(_UPRIGHT[orientation]) if orientation > 1 else rgb
    return np.array(upright, dtype=np.uint8), (height, width)


def _to_rgb(image: Image.Image) -> Image.Image:
    _check_samples(image)
    if image.mode.startswith("I;16"):
        return Image.fromarray(_high_bytes(image)).convert("RGB")
    if image.mode not in _DIRECT_MODES:
        raise ImageError(f"pixels of kind {image.mode} are not supported; {_AS_RGB}")
    if image.has_transparency_data:
        transparent = image.info.get("transparency")
        if (
            isinstance(transparent, tuple) and max(transparent) > 255
        ):  # of 16-bit colour, of which the high byte is left
            image.info["transparency"] = tuple(value >> 8 for value in transparent)
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def _check_samples(image: Image.Image) -> None:
    """ImageError for samples without a fixed range, and for colours that need a profile to be RGB."""
    tags: dict[int, object] = dict(getattr(image, "tag_v2", {}))
    bits, kind = (_first(tags.get(tag)) for tag in (_BITS_PER_SAMPLE, _SAMPLE_FORMAT))
    if image.mode == "F" or kind == _FLOAT:
        raise ImageError(f"floating-point samples have no fixed range; {_UNSIGNED}")
    if kind == _SIGNED:
        raise ImageError(f"signed {bits}-bit samples have no fixed range; {_UNSIGNED}")
    if image.mode == "I":
        raise ImageError(f"32-bit samples have no fixed range; {_UNSIGNED}")
    if image.mode == "LAB":
        raise ImageError(f"Lab colours are not supported; {_AS_RGB}")


def _first(value: object) -> object:
    return value[0] if isinstance(value, tuple) and value else value


def _high_bytes(image: Image.Image) -> NDArray[np.uint8]:
    """16-bit grey -> 8-bit grey, as Pillow reduces 16-bit colour; 12-bit samples of a TIFF are scaled to the range."""
    tags: dict[int, object] = dict(getattr(image, "tag_v2", {}))
    shift = 4 if tags.get(_BITS_PER_SAMPLE) in (12, (12,)) else 8
    grey = (np.asarray(image).astype(np.uint16) >> shift).astype(np.uint8)
    if tags.get(_PHOTOMETRIC) == 0:
        grey = 255 - grey
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey[np.asarray(image) == transparent] = 255
    return grey


def _orientation(exif: Callable[[], Image.Exif]) -> int:
    """EXIF orientation 1..8; 1 if it is absent or the EXIF is damaged."""
    try:
        value = exif().get(_ORIENTATION, 1)
    except PARSER_FAILURES:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _exif_of_header(image: Image.Image) -> Image.Exif:
    """The EXIF, without decoding the pixels of a PNG, as Pillow does, unless it may follow them."""
    if image.format == "PNG" and not _says_more_behind_pixels(image):
        return Image.Image.getexif(image)
    return image.getexif()


def _says_more_behind_pixels(png: Image.Image) -> bool:
    file: BinaryIO = getattr(png, "fp")  # noqa: B009 - of the images that come from a file
    place, behind = file.tell(), False
    try:
        file.seek(_PNG_SIGNATURE_BYTES)
        while len(head := file.read(8)) == 8 and head[4:] != b"IEND":
            behind |= head[4:] == b"IDAT"
            if behind and head[4:] in _PNG_METADATA:
                return True
            file.seek(int.from_bytes(head[:4], "big") + 4, os.SEEK_CUR)
    finally:
        file.seek(place)
    return False


def _silence_pillow() -> None:
    """Keep Pillow's warnings about odd files off the terminal.

    `warnings.catch_warnings` is not thread-safe, so one narrow filter is installed permanently. It matches only
    warnings from Pillow's own modules.
    """
    first = next(iter(warnings.filters), None)
    if first is None or first[0] != "ignore" or getattr(first[3], "pattern", None) != "PIL":
        warnings.filterwarnings("ignore", module="PIL")
