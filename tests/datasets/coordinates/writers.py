"""Writes EXIF, XMP and photos with them byte by byte, without the library that reads them."""

import io
import struct
import zlib
from collections.abc import Mapping, Sequence

from PIL import Image

__all__ = ["ASCII", "RATIONAL", "exif", "jpeg", "png", "triple", "webp", "xmp"]

ASCII, RATIONAL = 2, 5

Tags = Mapping[int, tuple[int, bytes | Sequence[tuple[int, int]]]]
"""Values of tags by number: text with its type, or fractions with theirs."""


def triple(degrees: float) -> list[tuple[int, int]]:
    """Degrees, minutes, and seconds in ten-thousandths, without a sign."""
    ten_thousandths = round(abs(degrees) * 36_000_000)
    minutes, seconds = divmod(ten_thousandths, 600_000)
    return [(minutes // 60, 1), (minutes % 60, 1), (seconds, 10_000)]


def exif(gps: Tags, order: str = "<") -> bytes:
    """A TIFF structure with one directory, which points to one of GPS tags."""
    first = 8 + 2 + 12 + 4
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    pointer = struct.pack(order + "HHHII", 1, 0x8825, 4, 1, first) + bytes(4)
    entries, beyond = b"", b""
    start = first + 2 + 12 * len(gps) + 4
    for tag, (kind, values) in sorted(gps.items()):
        data = values if isinstance(values, bytes) else b"".join(struct.pack(order + "II", *pair) for pair in values)
        entries += struct.pack(order + "HHI", tag, kind, len(values))
        entries += data.ljust(4, b"\0") if len(data) <= 4 else struct.pack(order + "I", start + len(beyond))
        beyond += data if len(data) > 4 else b""
    return head + pointer + struct.pack(order + "H", len(gps)) + entries + bytes(4) + beyond


def xmp(latitude: str, longitude: str, rest: str = "") -> bytes:
    """A packet with both as attributes, and `rest` before them."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
        f' xmlns:exif="http://ns.adobe.com/exif/1.0/">{rest}<rdf:Description rdf:about=""'
        f' exif:GPSLatitude="{latitude}" exif:GPSLongitude="{longitude}"/></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def jpeg(exif: bytes | None = None, xmp: bytes | None = None) -> bytes:
    """A photo with the metadata in segments behind its first marker."""
    plain = _saved("JPEG")
    found = [b"Exif\0\0" + exif] if exif is not None else []
    found += [b"http://ns.adobe.com/xap/1.0/\0" + xmp] if xmp is not None else []
    segments = b"".join(b"\xff\xe1" + struct.pack(">H", len(data) + 2) + data for data in found)
    return plain[:2] + segments + plain[2:]


def png(exif: bytes | None = None, xmp: bytes | None = None, *, behind: bool = False) -> bytes:
    """A photo with the metadata in chunks before its pixels, or `behind` them."""
    plain = _saved("PNG")
    chunks = b"" if exif is None else _chunk(b"eXIf", exif)
    chunks += b"" if xmp is None else _chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)
    place = plain.index(b"IEND") - 4 if behind else plain.index(b"IDAT") - 4
    return plain[:place] + chunks + plain[place:]


def webp(exif: bytes, xmp: bytes = b"") -> bytes:
    """A photo as Pillow writes it, which only passes metadata on."""
    file = io.BytesIO()
    Image.new("RGB", (16, 12), (90, 60, 30)).save(file, "WEBP", exif=exif, xmp=xmp)
    return file.getvalue()


def _saved(kind: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (16, 12), (90, 60, 30)).save(file, kind)
    return file.getvalue()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
