"""What is said of files that are not photos: what they are by their own formats' definitions, never by their names."""

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilenet.errors import ImageError
from mobilenet.images import decode

_CONVERT = "not a supported format; convert it to JPEG or PNG, for example with ImageMagick"
_VIDEO = "not a photo; extract its frames, for example with ffmpeg"
_AGAIN = "not a photo; download the photo again"
_ARCHIVE = "not a photo; unpack it first"


def _reason(data: bytes) -> str:
    with pytest.raises(ImageError) as caught:
        decode(data)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def _media(major: bytes, *compatible: bytes) -> bytes:
    """An ISO base media file (ISO/IEC 14496-12, 4.3): size, ftyp, major brand, version, compatible brands."""
    brands = major + bytes(4) + b"".join(compatible)
    return struct.pack(">I", 8 + len(brands)) + b"ftyp" + brands + struct.pack(">I", 16) + b"mdat" + bytes(8)


def _saved(kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (48, 40, 3), dtype=np.uint8)
    Image.fromarray(noise).save(file, kind, **options)
    return file.getvalue()


def _tar() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.jpg"))
    return file.getvalue()


def _zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.jpg", b"x")
    return file.getvalue()


def _array() -> bytes:
    file = io.BytesIO()
    np.save(file, np.zeros(3))
    return file.getvalue()


_HTML = b"<!DOCTYPE html><html><body>404 Not Found</body></html>"
_SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
_LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (_media(b"heic", b"mif1", b"heic"), f"HEIC photo, {_CONVERT}"),
        (_media(b"mif1", b"miaf", b"heix"), f"HEIC photo, {_CONVERT}"),
        (_media(b"mif1", b"avif", b"miaf"), f"AVIF image, {_CONVERT}"),
        (_media(b"mif1"), f"HEIF image, {_CONVERT}"),
        (_media(b"avis", b"msf1"), f"AVIF image, {_CONVERT}"),
        (_media(b"crx ", b"isom"), f"raw photo of a Canon camera, {_CONVERT}"),
        (_media(b"isom", b"avc1"), f"MP4 or QuickTime video, {_VIDEO}"),
        (_media(b"qt  "), f"MP4 or QuickTime video, {_VIDEO}"),
        (b"\x1aE\xdf\xa3" + b"\x01" * 20, f"Matroska or WebM video, {_VIDEO}"),
        (b"RIFF\x40\0\0\0AVI LIST" + bytes(60), f"AVI video, {_VIDEO}"),
        (b"\x47" + (b"\x40" * 187 + b"\x47") * 4, f"MPEG video, {_VIDEO}"),
        (_saved("AVIF"), f"AVIF image, {_CONVERT}"),
        (_saved("JPEG2000"), f"JPEG 2000 image, {_CONVERT}"),
        (_saved("JPEG2000", no_jp2=True), f"JPEG 2000 image, {_CONVERT}"),
        (_saved("ICO"), f"Windows icon, {_CONVERT}"),
        (_saved("PPM"), f"PNM image, {_CONVERT}"),
        (_saved("PDF"), "PDF document, not a photo; export its pages or pictures as PNG"),
        (_SVG, "SVG drawing, not a photo; render it as PNG"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- a -->" + _SVG, "SVG drawing, not a photo; render it as PNG"),
        (_HTML, f"HTML page, {_AGAIN}"),
        (b"\n  <HTML><svg/></HTML>", f"HTML page, {_AGAIN}"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", f"XML document, {_AGAIN}"),
        (_LFS, "Git LFS pointer, not a photo; fetch the photo with: git lfs pull"),
        (b'{"error": "rate limit\nexceeded"}', f'text, \'{{"error": "rate limit exceeded"}}\', {_AGAIN}'),
        (bytes(5000), "nothing but zero bytes; copy or download it again"),
        (b"", "empty file; copy or download it again"),
        (b"\xff", "only 1 byte, not a photo; copy or download it again"),
        (_tar(), f"tar archive, {_ARCHIVE}"),
        (_zip(), f"ZIP archive or Office document, {_ARCHIVE}"),
        (gzip.compress(b"x", mtime=0), f"gzip archive, {_ARCHIVE}"),
        (bz2.compress(b"x"), f"bzip2 archive, {_ARCHIVE}"),
        (lzma.compress(b"x"), f"xz archive, {_ARCHIVE}"),
        (_array(), "NumPy array, not a photo; save its photos as JPEG or PNG"),
        (bytes(range(128, 256)), "not a readable JPEG, PNG, WebP, BMP, TIFF or GIF"),
    ],
)
def test_a_file_is_named_for_what_it_is(data: bytes, reason: str) -> None:
    assert _reason(data) == reason


@pytest.mark.parametrize(
    ("kind", "name"),
    [("JPEG", "JPEG"), ("PNG", "PNG"), ("WEBP", "WebP"), ("BMP", "BMP"), ("TIFF", "TIFF"), ("GIF", "GIF")],
)
def test_what_is_left_of_a_photo_is_truncated(kind: str, name: str) -> None:
    whole = _saved(kind)
    for length in (16, 40, len(whole) // 2, len(whole) - 100):
        assert _reason(whole[:length]) == f"truncated {name}; copy or download it again"


def test_a_damaged_photo_is_not_called_truncated() -> None:
    whole = bytearray(_saved("PNG"))
    place = whole.index(b"IDAT")
    whole[place + 20] ^= 0xFF
    assert _reason(bytes(whole)).startswith("PNG cannot be decoded: ")
    text = struct.pack(">I", 3) + b"tEXta\0b" + struct.pack(">I", zlib.crc32(b"tEXta\0b") ^ 1)
    odd = _saved("PNG")
    assert _reason(odd[:33] + text + odd[33:]) == (
        "PNG cannot be decoded: broken PNG file (bad header checksum in b'tEXt'); save it again as JPEG or PNG"
    )


def test_the_name_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(_LFS)
    with pytest.raises(ImageError, match=r"^Git LFS pointer, not a photo"):
        decode(tmp_path / "photo.jpg")
