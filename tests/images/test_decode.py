import io
import os
import struct
import warnings
import zlib
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from mobilenet.errors import ImageError
from mobilenet.images import ENDINGS, Limits, decode, decode_sized

_CORNERS: NDArray[np.uint8] = np.array(
    [[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[10, 20, 30], [200, 100, 50], [255, 255, 255]]], dtype=np.uint8
)
"""(2, 3, 3): no two pixels are alike, so every turn and mirror shows."""


def _encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """The bytes of a file."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _chunk(kind: bytes, data: bytes) -> bytes:
    """One chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(size: tuple[int, int], depth: int, colour: int, rows: bytes, extra: bytes = b"") -> bytes:
    """A PNG file of raw rows, each with its filter byte; `size` is (width, height), `colour` the PNG colour type."""
    header = struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0)
    body = _chunk(b"IHDR", header) + extra + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


_LOSSLESS = {"PNG": {}, "WEBP": {"lossless": True, "exact": True}, "BMP": {}, "TIFF": {}}
_PICTURE = Image.fromarray(_CORNERS)
_NO_RANGE = "have no fixed range; save it with 8 or 16 bits per channel, unsigned"
_HOSTILE = Path(__file__).parents[3] / "shared" / "data" / "hostile"


@pytest.mark.parametrize("kind", _LOSSLESS)
def test_lossless_formats_give_the_very_pixels(kind: str, tmp_path: Path) -> None:
    data = _encoded(_PICTURE, kind, **_LOSSLESS[kind])
    np.testing.assert_array_equal(decode(data), _CORNERS)
    path = tmp_path / "no ending"
    path.write_bytes(data)
    np.testing.assert_array_equal(decode(path), _CORNERS)


def test_a_gif_gives_its_first_frame() -> None:
    frames = [Image.new("RGB", (4, 3), colour) for colour in ("red", "lime")]
    data = _encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode(data).tolist() == [[[255, 0, 0]] * 4] * 3


def test_a_jpeg_is_close_to_what_was_drawn() -> None:
    flat = Image.new("RGB", (24, 16), (200, 100, 50))
    assert np.abs(decode(_encoded(flat, "JPEG", quality=95)).astype(int) - [200, 100, 50]).max() <= 3


# What a viewer does for each value of the EXIF orientation, in terms of array axes.
_TURNS = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_are_turned_upright(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image, size = decode_sized(_encoded(_PICTURE, kind, exif=exif, **_LOSSLESS[kind]))
    np.testing.assert_array_equal(image, _TURNS[orientation](_CORNERS))
    assert size == image.shape[:2]


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_impossible_orientation_is_upright(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    np.testing.assert_array_equal(decode(_encoded(_PICTURE, "PNG", exif=exif)), _CORNERS)


def test_damaged_exif_does_not_cost_the_photo() -> None:
    image = Image.new("RGB", (16, 16), "white")
    for exif in (
        b"Exif\0\0MM\x00\xd2\x00\x00\x00\x08",
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12\x01" * 9,
        b"Exif\0\0",
    ):
        assert decode(_encoded(image, "JPEG", exif=exif)).min() == 255


def test_a_reduced_jpeg_keeps_its_turn_and_its_whole_size() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    wide = Image.new("RGB", (320, 160))
    wide.paste("white", (0, 0, 160, 160))
    image, size = decode_sized(_encoded(wide, "JPEG", exif=exif), at_least=40)
    assert size == (320, 160)
    assert image.shape == (80, 40, 3)
    assert image[:36].min() > 250
    assert image[44:].max() < 5


@pytest.mark.parametrize(
    ("at_least", "side"),
    [(None, 803), (803, 803), (402, 803), (401, 402), (201, 402), (200, 201), (101, 201), (100, 101), (1, 101)],
)
def test_at_least_takes_the_smallest_scale_that_suffices(at_least: int | None, side: int) -> None:
    data = _encoded(Image.new("RGB", (803, 1000), "teal"), "JPEG")
    image = decode(data, at_least=at_least)
    assert image.shape[1] == side
    assert at_least is None or min(image.shape[:2]) >= at_least
    np.testing.assert_array_equal(image, decode(data, at_least=at_least))


def test_at_least_leaves_other_formats_and_small_photos_whole() -> None:
    assert decode(_encoded(Image.new("RGB", (64, 64)), "PNG"), at_least=8).shape == (64, 64, 3)
    assert decode(_encoded(Image.new("RGB", (8, 8)), "JPEG"), at_least=100).shape == (8, 8, 3)


def test_grey_one_bit_and_palette() -> None:
    grey = Image.fromarray(np.array([[0, 77, 255]], dtype=np.uint8))
    for kind in ("PNG", "BMP", "TIFF", "GIF"):
        assert decode(_encoded(grey, kind)).tolist() == [[[0] * 3, [77] * 3, [255] * 3]]
        assert decode(_encoded(grey.point(lambda v: 255 * (v > 100), mode="1"), kind))[..., 0].tolist() == [[0, 0, 255]]
    palette = Image.fromarray(np.array([[2, 0, 1]], dtype=np.uint8), "P")
    palette.putpalette([9, 8, 7, 255, 0, 0, 0, 0, 255])
    for kind in ("PNG", "GIF", "BMP", "TIFF"):
        assert decode(_encoded(palette, kind)).tolist() == [[[0, 0, 255], [9, 8, 7], [255, 0, 0]]]


def test_cmyk() -> None:
    inks = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    for kind in ("JPEG", "TIFF"):
        assert np.abs(decode(_encoded(inks, kind)).astype(int) - [255, 0, 0]).max() <= 3


def test_transparency_is_laid_on_white() -> None:
    half = Image.fromarray(np.array([[[200, 0, 100, 0], [200, 0, 100, 255], [200, 0, 100, 51]]], dtype=np.uint8))
    over_white = [[255, 255, 255], [200, 0, 100], [244, 204, 224]]  # the last: 0.2 x colour + 0.8 x 255
    for kind in ("PNG", "TIFF", "WEBP"):
        found = decode(_encoded(half, kind, **_LOSSLESS[kind]))
        assert np.abs(found.astype(int) - [over_white]).max() <= 1
    palette = Image.fromarray(np.array([[0, 1]], dtype=np.uint8), "P")
    palette.putpalette([255, 0, 0, 0, 255, 0])
    for kind in ("PNG", "GIF"):
        assert decode(_encoded(palette, kind, transparency=0)).tolist() == [[[255] * 3, [0, 255, 0]]]
    grey = Image.fromarray(np.array([[5, 200]], dtype=np.uint8))
    assert decode(_encoded(grey, "PNG", transparency=5))[..., 0].tolist() == [[255, 200]]
    assert decode(_encoded(grey.convert("LA"), "PNG"))[..., 0].tolist() == [[5, 200]]


@pytest.mark.parametrize("options", [("PNG", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"})])
def test_sixteen_bit_grey_is_scaled(options: tuple[str, dict[str, str]]) -> None:
    deep = Image.fromarray(np.array([[0, 0x00FF, 0x0100, 0x7FFF, 0xFFFF]], dtype=np.uint16))
    assert decode(_encoded(deep, options[0], **options[1]))[..., 0].tolist() == [[0, 0, 1, 127, 255]]


def test_sixteen_bit_grey_with_a_transparent_value_and_colour_with_alpha() -> None:
    deep = Image.fromarray(np.array([[0x1234, 0x1235]], dtype=np.uint16))
    assert decode(_encoded(deep, "PNG", transparency=0x1234))[..., 0].tolist() == [[255, 0x12]]
    colour = _png((2, 1), 16, 2, b"\0\x12\x34\xff\x80\x00\xff\xff\xff\x00\x00\x80\x00")
    assert decode(colour).tolist() == [[[0x12, 0xFF, 0], [0xFF, 0, 0x80]]]
    cut_out = _png(
        (2, 1),
        16,
        2,
        b"\0\x12\x34\xff\x80\x00\xff\xff\xff\x00\x00\x80\x00",
        _chunk(b"tRNS", b"\x12\x34\xff\x80\x00\xff"),
    )
    assert decode(cut_out).tolist() == [[[0xFF] * 3, [0xFF, 0, 0x80]]]
    grey_alpha = _png((2, 1), 16, 4, b"\0\x12\x34\x00\x00\x56\x78\xff\xff")
    assert decode(grey_alpha)[..., 0].tolist() == [[255, 0x56]]


def test_twelve_bits_and_white_is_zero_in_a_tiff() -> None:
    deep = Image.fromarray(np.array([[0x0000, 0xFFFF]], dtype=np.uint16))
    inverted = _encoded(deep, "TIFF", tiffinfo={262: 0})
    assert decode(inverted)[..., 0].tolist() == [[255, 0]]
    packed = _twelve_bit_tiff([0x000, 0x010, 0x7FF, 0xFFF])
    assert decode(packed)[..., 0].tolist() == [[0, 1, 127, 255]]


def _twelve_bit_tiff(values: list[int]) -> bytes:
    bits = "".join(f"{value:012b}" for value in values)
    return _grey_tiff(int(bits, 2).to_bytes(len(bits) // 8, "big"), len(values), 12, sample_format=1)


def _grey_tiff(data: bytes, width: int, bits: int, *, sample_format: int) -> bytes:
    """A TIFF of one row of grey samples; `sample_format` is 1 for unsigned and 2 for signed integers."""
    tags = [(256, width), (257, 1), (258, bits), (259, 1), (262, 1), (273, 8), (277, 1), (278, 1), (279, len(data))]
    tags += [(339, sample_format)]
    entries = b"".join(tag.to_bytes(2, "little") + b"\3\0\1\0\0\0" + value.to_bytes(4, "little") for tag, value in tags)
    start = (8 + len(data)).to_bytes(4, "little")
    return b"II*\0" + start + data + len(tags).to_bytes(2, "little") + entries + bytes(4)


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (Image.fromarray(np.array([[0.5]], dtype=np.float32)), f"floating-point samples {_NO_RANGE}"),
        (Image.fromarray(np.array([[70000]], dtype=np.int32)), f"signed 32-bit samples {_NO_RANGE}"),
        (Image.new("LAB", (2, 2)), "Lab colours are not supported; save it as RGB"),
    ],
)
def test_samples_without_a_range_and_colours_of_a_profile_are_refused(image: Image.Image, reason: str) -> None:
    with pytest.raises(ImageError) as caught:
        decode(_encoded(image, "TIFF"))
    assert str(caught.value) == reason


@pytest.mark.parametrize("bits", [8, 16, 32])
def test_signed_samples_are_refused(bits: int) -> None:
    data = np.array([-1], dtype=f"<i{bits // 8}").tobytes()
    with pytest.raises(ImageError) as caught:
        decode(_grey_tiff(data, 1, bits, sample_format=2))
    assert str(caught.value) == f"signed {bits}-bit samples {_NO_RANGE}"
    if bits < 32:
        assert decode(_grey_tiff(data, 1, bits, sample_format=1)).tolist() == [[[255] * 3]]


def test_other_formats_are_never_tried() -> None:
    unsupported = "not a readable JPEG, PNG, WebP, BMP, TIFF or GIF|not a supported format; convert it to JPEG or PNG"
    for kind in ("PPM", "ICO", "TGA", "PCX", "JPEG2000", "AVIF", "DDS"):
        with pytest.raises(ImageError, match=unsupported):
            decode(_encoded(Image.new("RGB", (16, 16)), kind))


def test_limits_hold_before_anything_is_decoded(tmp_path: Path) -> None:
    bomb = _png((20_000, 20_000), 8, 2, b"")
    with pytest.raises(ImageError, match="more pixels than the limit of 100,000,000"):
        decode(bomb)
    with pytest.raises(ImageError, match="12000 x 9000 pixels is more than the limit of 100,000,000"):
        decode(_png((12_000, 9_000), 8, 2, b""))
    data = _encoded(_PICTURE, "PNG")
    with pytest.raises(ImageError, match="3 x 2 pixels is more than the limit of 5"):
        decode(data, limits=Limits(pixels=5))
    np.testing.assert_array_equal(decode(data, limits=Limits(pixels=6, bytes=len(data))), _CORNERS)
    (tmp_path / "a.png").write_bytes(data)
    for source in (data, tmp_path / "a.png"):
        with pytest.raises(ImageError, match=f"^{len(data)} bytes is more than the limit of {len(data) - 1}$"):
            decode(source, limits=Limits(bytes=len(data) - 1))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF"])
def test_truncated_files_are_refused(kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = _encoded(Image.fromarray(noise), kind)
    for length in (0, 1, 10, len(data) // 4, len(data) // 2, len(data) - 200):
        with pytest.raises(ImageError):
            decode(data[:length])


def test_the_reason_is_short_and_without_the_name(tmp_path: Path) -> None:
    cases = {
        "empty file; copy or download it again": b"",
        "not a readable JPEG, PNG, WebP, BMP, TIFF or GIF": b"\x80" * 20,
    }
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    cases["truncated JPEG; copy or download it again"] = _encoded(Image.fromarray(noise), "JPEG")[:2000]
    for reason, data in cases.items():
        with pytest.raises(ImageError) as caught:
            decode(data)
        assert str(caught.value) == reason


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    for name, reason in {
        "gone.jpg": "no such file or directory",
        "pipe.jpg": "not a regular file",
        "folder.jpg": "not a regular file",
        "loop.jpg": "too many levels of symbolic links",
        "a\0b.jpg": "embedded null byte",
    }.items():
        with pytest.raises(ImageError, match=reason):
            decode(tmp_path / name)


def _odd_exif() -> bytes:
    return _encoded(Image.new("RGB", (32, 32)), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff")


def test_the_odd_photo_makes_pillow_warn() -> None:
    with pytest.warns(UserWarning, match="Corrupt EXIF"), Image.open(io.BytesIO(_odd_exif())) as image:
        image.getexif()


@pytest.mark.parametrize("action", ["always", "error"])
def test_pillow_warns_nobody(action: Literal["always", "error"]) -> None:
    for _ in range(2):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter(action)
            assert decode(_odd_exif()).shape == (32, 32, 3)
            with pytest.raises(ImageError, match="truncated"):
                decode(_png((9_500, 9_500), 8, 0, b"\0"))
        assert not caught


def test_other_warnings_are_left_alone() -> None:
    decode(_odd_exif())
    with pytest.warns(UserWarning, match="mine"):
        warnings.warn("mine", stacklevel=1)


def _reason_or_image(data: bytes) -> str | NDArray[np.uint8]:
    try:
        return decode(data, at_least=8, limits=Limits(pixels=1_000_000))
    except ImageError as error:
        return str(error)


def _assert_refused_or_sound(data: bytes) -> None:
    found = _reason_or_image(data)
    if isinstance(found, str):
        assert 0 < len(found) < 120
        assert "\n" not in found
    else:
        assert found.ndim == 3
        assert found.dtype == np.uint8


@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"II*\0", b"MM\0*", b"GIF89a"]),
)
def test_random_bytes_raise_image_errors_only(data: bytes, magic: bytes) -> None:
    _assert_refused_or_sound(magic + data)


def _samples() -> list[bytes]:
    noise: NDArray[np.uint8] = np.random.default_rng(1).integers(0, 256, (24, 20, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "a description"
    files = [_encoded(image, kind, exif=exif) for kind in ("JPEG", "PNG", "WEBP", "TIFF")]
    files += [
        _encoded(image, "JPEG", progressive=True),
        _encoded(image.convert("CMYK"), "JPEG"),
        _encoded(image, "BMP"),
    ]
    files += [
        _encoded(image.convert("P"), "PNG"),
        _encoded(image.convert("P"), "GIF"),
        _encoded(image.convert("RGBA"), "WEBP"),
    ]
    files += [
        _encoded(image, "TIFF", compression=kind) for kind in ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits")
    ]
    return [*files, _encoded(Image.fromarray(noise[..., 0].astype(np.uint16) * 257), "TIFF")]


@settings(max_examples=300)
@given(st.sampled_from(_samples()), st.data())
def test_mutated_files_raise_image_errors_only(sample: bytes, data: st.DataObject) -> None:
    mutated = bytearray(sample)
    for _ in range(data.draw(st.integers(1, 8))):
        mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    _assert_refused_or_sound(bytes(mutated[: data.draw(st.integers(0, len(mutated))) or None]))


@pytest.mark.skipif(not _HOSTILE.is_dir(), reason="the folder of broken JPEGs, ../shared/data/hostile, is not here")
def test_broken_jpegs_are_decoded_or_refused() -> None:
    files = [path for path in sorted(_HOSTILE.rglob("*")) if path.suffix == ".jpg"]
    refused = 0
    for path in files:
        try:
            assert decode(path, at_least=160).ndim == 3
        except ImageError:
            refused += 1
    assert len(files) == 111
    assert refused > len(files) // 2


def test_the_endings_are_of_these_formats() -> None:
    Image.init()
    kinds = {Image.registered_extensions()[ending] for ending in ENDINGS}
    assert kinds == {"JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF"}
