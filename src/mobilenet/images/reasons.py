"""Why bytes are not a photo that can be read: what they are, by their first bytes, and what to do about it."""

import io
import string
import struct
import zlib
from collections.abc import Mapping
from typing import Literal

from PIL import Image

__all__ = ["ENDINGS", "PARSER_FAILURES", "broken", "format_name", "unidentified"]

ENDINGS = frozenset({".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
"""Of the names of files that are taken for photos, in lower case."""

PARSER_FAILURES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    Warning,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
"""What Pillow's parsers are known to raise on broken files, besides their documented errors."""

_AGAIN = "copy or download it again"
_CONVERT = "convert it to JPEG or PNG, for example with ImageMagick"
_FRAMES = "extract its frames, for example with ffmpeg"
_PAGES = "export its pages or pictures as PNG"
_SAVE = "save its photos as JPEG or PNG"
_UNPACK = "unpack it first"
_LEAVE = "remove it or leave it out"

_READ = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
}
"""First bytes of the formats that are read, besides WebP and BMP."""

_FOREIGN: Mapping[bytes, tuple[str, str]] = {
    b"\0\0\0\x0cjP  \r\n\x87\n": ("JPEG 2000 image", _CONVERT),
    b"\xff\x4f\xff\x51": ("JPEG 2000 image", _CONVERT),
    b"\0\0\0\x0cJXL \r\n\x87\n": ("JPEG XL image", _CONVERT),
    b"\xff\x0a": ("JPEG XL image", _CONVERT),
    b"II\xbc\x01": ("JPEG XR image", _CONVERT),
    b"8BPS": ("Photoshop file", _CONVERT),
    b"gimp xcf": ("GIMP file", _CONVERT),
    b"\0\0\1\0": ("Windows icon", _CONVERT),
    b"\0\0\2\0": ("Windows cursor", _CONVERT),
    b"\x76\x2f\x31\x01": ("OpenEXR image", _CONVERT),
    b"#?RADIANCE": ("Radiance HDR image", _CONVERT),
    b"DDS ": ("DDS texture", _CONVERT),
    b"qoif": ("QOI image", _CONVERT),
    b"BPG\xfb": ("BPG image", _CONVERT),
    b"SIMPLE  =": ("FITS image", _CONVERT),
    b"FUJIFILMCCD-RAW": ("raw photo of a Fujifilm camera", _CONVERT),
    b"IIRO": ("raw photo of an Olympus camera", _CONVERT),
    b"IIRS": ("raw photo of an Olympus camera", _CONVERT),
    b"IIU\0": ("raw photo of a Panasonic camera", _CONVERT),
    b"%PDF-": ("PDF document", _PAGES),
    b"%!PS": ("PostScript document", _PAGES),
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": ("Microsoft Office document", _PAGES),
    b"AT&TFORM": ("DjVu document", _PAGES),
    b"\x1aE\xdf\xa3": ("Matroska or WebM video", _FRAMES),
    b"\0\0\1\xba": ("MPEG video", _FRAMES),
    b"\0\0\1\xb3": ("MPEG video", _FRAMES),
    b"FLV\1": ("Flash video", _FRAMES),
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11": ("Windows Media video", _FRAMES),
    b"OggS": ("Ogg video or sound", _FRAMES),
    b"ID3": ("MP3 sound", _LEAVE),
    b"fLaC": ("FLAC sound", _LEAVE),
    b"PK\3\4": ("ZIP archive or Office document", _UNPACK),
    b"\x1f\x8b": ("gzip archive", _UNPACK),
    b"BZh": ("bzip2 archive", _UNPACK),
    b"7z\xbc\xaf\x27\x1c": ("7-Zip archive", _UNPACK),
    b"\xfd7zXZ\0": ("xz archive", _UNPACK),
    b"\x28\xb5\x2f\xfd": ("Zstandard archive", _UNPACK),
    b"Rar!\x1a\x07": ("RAR archive", _UNPACK),
    b"\0\5\x16\7": ("file of macOS metadata", _LEAVE),
    b"bplist00": ("property list of macOS", "download the file that it stands for from iCloud"),
    b"\x93NUMPY": ("NumPy array", _SAVE),
    b"\x89HDF\r\n\x1a\n": ("HDF5 file", _SAVE),
    b"PAR1": ("Parquet file", _SAVE),
    b"SQLite format 3\0": ("SQLite database", _LEAVE),
    b"version https://git-lfs.github.com/spec/": ("Git LFS pointer", "fetch the photo with: git lfs pull"),
    b"/annex/objects/": ("git-annex pointer", "fetch the photo with: git annex get"),
    b"data:image/": ("data URL", "decode its Base64 first"),
} | {b"P%d" % number + space: ("PNM image", _CONVERT) for number in range(1, 8) for space in (b"\n", b" ", b"\r")}
"""First bytes, what such a file is, and what to do."""

_RIFF = {b"AVI ": ("AVI video", _FRAMES), b"WAVE": ("WAV sound", _LEAVE)}

_AVIF, _HEIC = ("AVIF image", _CONVERT), ("HEIC photo", _CONVERT)
_CODED = dict.fromkeys(("avif", "avis"), _AVIF) | dict.fromkeys(
    ("heic", "heix", "hevc", "hevx", "heim", "heis", "hevm", "hevs"), _HEIC
)
_CONTAINERS = frozenset({"mif1", "mif2", "msf1", "miaf"})
_BRANDS = _CODED | {
    "crx ": ("raw photo of a Canon camera", _CONVERT),
    "jp2 ": ("JPEG 2000 image", _CONVERT),
    "jpx ": ("JPEG 2000 image", _CONVERT),
}
"""Major brands of ISO base media files; most others are videos. Containers of HEIF tell the codec by another brand."""

_MARKUP = (
    (b"<html", ("HTML page", "download the photo again")),
    (b"<!doctype html", ("HTML page", "download the photo again")),
    (b"<svg", ("SVG drawing", "render it as PNG")),
    (b"<?xml", ("XML document", "download the photo again")),
)
_MARKUP_BYTES = 2048

_TEXT = frozenset(string.printable.encode("ascii"))
_TEXT_BYTES = 512
_SHORTEST = 16
"""In bytes; every photo is longer."""

_SHOWN = 40


def format_name(data: bytes) -> str | None:
    """The format that bytes begin like, as `JPEG` or `HEIC photo`, readable or not; None if it is unknown."""
    found = _by_magic(data) or _by_structure(data)
    return _read_format(data) or (None if found is None else found[0])


def unidentified(data: bytes) -> str:
    """What bytes are that no decoder recognises, and a remedy; one line."""
    if (name := _read_format(data)) is not None:
        return broken(data, _refusal(data, name))
    if not data.strip(b"\0"):
        return f"nothing but zero bytes; {_AGAIN}"
    found = _by_magic(data) or _by_structure(data) or _markup(data)
    if found is not None:
        what, remedy = found
        return f"{what}, {'not a supported format' if remedy == _CONVERT else 'not a photo'}; {remedy}"
    if len(data) < _SHORTEST:
        return f"only {len(data)} byte{'s' if len(data) > 1 else ''}, not a photo; {_AGAIN}"
    if _TEXT.issuperset(data[:_TEXT_BYTES]):
        words = " ".join(data[:_TEXT_BYTES].decode("ascii").split())
        return f"text, {words[:_SHOWN]!r}, not a photo; download the photo again"
    return "not a readable JPEG, PNG, WebP, BMP, TIFF or GIF"


def broken(data: bytes, error: BaseException) -> str:
    """Why a decoder gave up on bytes that begin like a photo of its format, and a remedy; one line."""
    name = _read_format(data) or "file"
    text = " ".join(str(error).split())
    if _is_cut(data, name) or "truncated" in text.lower() or _ended_early(error):
        return f"truncated {name}; {_AGAIN}"
    return f"{name} cannot be decoded{f': {text[:60]}' if text else ''}; save it again as JPEG or PNG"


def _read_format(data: bytes) -> str | None:
    """The format, among those that are read, that bytes begin like."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    if data[:2] == b"BM" and data[6:10] == bytes(4):
        return "BMP"
    return next((name for magic, name in _READ.items() if data.startswith(magic)), None)


def _refusal(data: bytes, name: str) -> BaseException:
    """What the decoder of a format says, which `Image.open` keeps to itself."""
    try:
        Image.OPEN[name.upper()][0](io.BytesIO(data), "").close()
    except PARSER_FAILURES as error:
        return error
    return ValueError()


def _is_cut(data: bytes, name: str) -> bool:
    """Whether a file that cannot be decoded ends before it should: not every decoder tells."""
    match name:
        case "JPEG":
            return b"\xff\xd9" not in data
        case "PNG":
            return b"IEND" not in data
        case "WebP":
            return len(data) < int.from_bytes(data[4:8], "little") + 8
        case "TIFF":
            return _is_cut_tiff(data)
    return False


def _is_cut_tiff(data: bytes) -> bool:
    """Whether the first directory of a TIFF lies beyond its end."""
    if data[2:4] not in {b"*\0", b"\0*"}:
        return False
    order: Literal["little", "big"] = "little" if data[:1] == b"I" else "big"
    start = int.from_bytes(data[4:8], order)
    entries = int.from_bytes(data[start : start + 2], order)
    return len(data) < start + 2 + 12 * entries


def _ended_early(error: BaseException) -> bool:
    # Pillow wraps what parsers raise: the argument of a SyntaxError may be the error itself.
    inner = error.args[0] if isinstance(error, SyntaxError) and error.args else error
    return isinstance(inner, (EOFError, IndexError, struct.error))


def _by_magic(data: bytes) -> tuple[str, str] | None:
    return next((found for magic, found in _FOREIGN.items() if data.startswith(magic)), None)


def _by_structure(data: bytes) -> tuple[str, str] | None:
    if data[:4] == b"RIFF":
        return _RIFF.get(data[8:12])
    if data[257:262] == b"ustar":
        return "tar archive", _UNPACK
    if data[128:132] == b"DICM":
        return "DICOM image", _CONVERT
    if data[:1] == data[188:189] == data[376:377] == b"G":
        return "MPEG video", _FRAMES
    if data[4:8] == b"ftyp":
        return _by_brand(data)
    return ("MP4 or QuickTime video", _FRAMES) if data[4:8] in {b"moov", b"mdat", b"wide"} else None


def _by_brand(data: bytes) -> tuple[str, str]:
    """An ISO base media file, by its major brand, or the compatible ones if that names a container."""
    length = min(int.from_bytes(data[:4], "big"), 256)
    brands = [data[start : start + 4].decode("latin-1") for start in (8, *range(16, length, 4))]
    if brands[0] in _CONTAINERS:
        return next((_CODED[brand] for brand in brands if brand in _CODED), ("HEIF image", _CONVERT))
    return _BRANDS.get(brands[0], ("MP4 or QuickTime video", _FRAMES))


def _markup(data: bytes) -> tuple[str, str] | None:
    start = data[:_MARKUP_BYTES].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if not start.startswith(b"<"):
        return None
    return next((found for tag, found in _MARKUP if tag in start), None)
