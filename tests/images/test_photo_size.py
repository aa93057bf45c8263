"""A photo's size from its header alone is that of the decoded photo."""

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilenet.errors import ImageError
from mobilenet.images import Limits, PhotoSize, decode, photo_size

_PICTURE = Image.new("RGB", (24, 16), "red")


def _encoded(kind: str, orientation: int) -> bytes:
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    _PICTURE.save(file, kind, exif=exif)
    return file.getvalue()


def _chunks(png: bytes) -> list[bytes]:
    found, place = [], 8
    while place < len(png):
        end = place + 12 + int.from_bytes(png[place : place + 4], "big")
        found.append(png[place:end])
        place = end
    return found


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_size_is_that_of_the_decoded_photo(kind: str, orientation: int, tmp_path: Path) -> None:
    data = _encoded(kind, orientation)
    (tmp_path / "photo").write_bytes(data)
    for source in (data, tmp_path / "photo"):
        found = photo_size(source)
        assert (found.height, found.width) == decode(source).shape[:2]
        assert (found.orientation, found.stored) == (orientation, (16, 24))


def test_exif_behind_the_pixels_of_a_png_is_found() -> None:
    png = _encoded("PNG", 6)
    chunks = sorted(_chunks(png), key=lambda chunk: (chunk[4:8] == b"IEND", chunk[4:8] == b"eXIf"))
    assert [chunk[4:8] for chunk in chunks[-2:]] == [b"eXIf", b"IEND"]
    assert photo_size(png[:8] + b"".join(chunks)) == PhotoSize(24, 16, 6)


def test_the_pixels_are_not_decoded(tmp_path: Path) -> None:
    header = struct.pack(">IIBBBBB", 5000, 4000, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", b"not zlib"), (b"IEND", b""))
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    path = tmp_path / "photo.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    assert photo_size(path) == PhotoSize(4000, 5000)
    with pytest.raises(ImageError):
        decode(path)


@pytest.mark.parametrize("data", [b"", b"no photo", _encoded("JPEG", 1)[:40], _encoded("PNG", 1)[:20]])
def test_what_is_not_a_photo_has_the_reason_of_the_decoder(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "photo").write_bytes(data)
    for source in (data, tmp_path / "photo"):
        with pytest.raises(ImageError) as size:
            photo_size(source)
        with pytest.raises(ImageError) as pixels:
            decode(source)
        assert str(size.value) == str(pixels.value)


def test_limits_apply_and_pipes_do_not_block(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="24 x 16 pixels is more than the limit of 100"):
        photo_size(_encoded("PNG", 1), limits=Limits(pixels=100))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ImageError, match="not a regular file"):
        photo_size(tmp_path / "pipe")
    with pytest.raises(ImageError, match="cannot be read: no such file"):
        photo_size(tmp_path / "missing")


def _sized(data: bytes) -> PhotoSize | ImageError:
    try:
        return photo_size(data)
    except ImageError as error:
        return error


def test_damaged_bytes_give_a_size_or_a_reason() -> None:
    generator = np.random.default_rng(0)
    for kind in ("JPEG", "PNG", "TIFF", "WEBP"):
        for _ in range(100):
            data = bytearray(_encoded(kind, 6))
            for place in generator.integers(0, len(data), 5):
                data[place] = generator.integers(256)
            assert "\n" not in str(_sized(bytes(data)))
