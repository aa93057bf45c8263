"""GPS in the headers of photos whose bytes are written here, against degrees calculated by hand."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.datasets.coordinates.writers import ASCII, RATIONAL, Tags, exif, jpeg, png, triple, webp, xmp

from mobilenet.datasets.sources.coordinates.geotag import geotag
from mobilenet.datasets.sources.coordinates.position import Coordinates, Fault, Reason
from mobilenet.datasets.sources.coordinates.xmp import xmp_position

_SYDNEY: Tags = {
    1: (ASCII, b"S\0"),
    2: (RATIONAL, [(33, 1), (51, 1), (2448, 100)]),
    3: (ASCII, b"E\0"),
    4: (RATIONAL, [(151, 1), (12, 1), (5508, 100)]),
}
_AT_SYDNEY = Coordinates(-(33 + 51 / 60 + 24.48 / 3600), 151 + 12 / 60 + 55.08 / 3600)
_NONE = [(0, 0)] * 3


def _found(data: bytes | Path) -> Coordinates | Reason:
    found = geotag("photo", data)
    return found.reason if isinstance(found, Fault) else found


def _near(found: Coordinates | Reason, wanted: Coordinates) -> bool:
    return isinstance(found, Coordinates) and (found.latitude_deg, found.longitude_deg) == pytest.approx(
        (wanted.latitude_deg, wanted.longitude_deg), abs=1e-12
    )


def _tags(changed: Tags) -> Tags:
    return _SYDNEY | changed


def _without(*tags: int) -> Tags:
    return {tag: value for tag, value in _SYDNEY.items() if tag not in tags}


@pytest.mark.parametrize(
    "data",
    [
        jpeg(exif(_SYDNEY)),
        jpeg(exif(_SYDNEY, ">")),
        png(exif(_SYDNEY)),
        png(exif(_SYDNEY), behind=True),
        webp(b"Exif\0\0" + exif(_SYDNEY)),
        jpeg(exif(_SYDNEY), xmp("1.5", "2.5")),
        jpeg(exif(_tags({1: (ASCII, b"South\0"), 3: (ASCII, b"e\0")}))),
    ],
    ids=["jpeg", "big-endian", "png", "behind pixels", "webp", "beside xmp", "words"],
)
def test_formats(data: bytes, tmp_path: Path) -> None:
    assert _near(_found(data), _AT_SYDNEY)
    (tmp_path / "photo.jpg").write_bytes(data)
    assert _near(_found(tmp_path / "photo.jpg"), _AT_SYDNEY)


def test_tiff(tmp_path: Path) -> None:
    written = Image.Exif()
    written.load(exif(_SYDNEY))
    Image.new("RGB", (16, 12)).save(tmp_path / "photo.tif", exif=written)
    assert _near(_found(tmp_path / "photo.tif"), _AT_SYDNEY)


@pytest.mark.parametrize(("north", "east"), [(north, east) for north in "NS" for east in "EW"])
def test_references_are_signs(north: str, east: str) -> None:
    tags = _tags({1: (ASCII, north.encode() + b"\0"), 3: (ASCII, east.encode() + b"\0")})
    latitude, longitude = abs(_AT_SYDNEY.latitude_deg), _AT_SYDNEY.longitude_deg
    wanted = Coordinates(latitude if north == "N" else -latitude, longitude if east == "E" else -longitude)
    assert _near(_found(jpeg(exif(tags))), wanted)


@pytest.mark.parametrize(
    ("parts", "degrees"),
    [
        ([(33, 1), (51, 1), (0, 0)], 33 + 51 / 60),
        ([(33, 1), (51, 1), (7, 0)], 33 + 51 / 60),
        ([(33, 1), (514080, 10000), (0, 1)], 33 + 51.408 / 60),
        ([(338568, 10000), (0, 1), (0, 1)], 33.8568),
        ([(338568, 10000)], 33.8568),
        ([(33, 1), (51, 1)], 33 + 51 / 60),
        ([(33, 1), (51, 1), (60, 1)], 33 + 52 / 60),
        ([(90, 1), (0, 1), (0, 1)], 90),
    ],
)
def test_degrees_without_all_parts(parts: list[tuple[int, int]], degrees: float) -> None:
    found = _found(jpeg(exif(_tags({2: (RATIONAL, parts)}))))
    assert _near(found, Coordinates(-degrees, _AT_SYDNEY.longitude_deg))


_BROKEN: list[tuple[Tags, Reason]] = [
    ({}, Reason.NO_POSITION),
    (_tags({2: (RATIONAL, _NONE), 4: (RATIONAL, _NONE)}), Reason.NO_POSITION),
    (_tags({1: (ASCII, b"\0\0"), 3: (ASCII, b"\0\0")}), Reason.NO_POSITION),
    (
        _tags({1: (ASCII, b"\0"), 2: (RATIONAL, _NONE), 3: (ASCII, b" \0"), 4: (RATIONAL, [(0, 1)] * 3)}),
        Reason.NO_POSITION,
    ),
    (_without(1, 3), Reason.NO_HEMISPHERE),
    (_without(3), Reason.NO_HEMISPHERE),
    (_without(3, 4), Reason.HALF),
    (_tags({4: (RATIONAL, _NONE)}), Reason.HALF),
    (_without(4), Reason.DAMAGED),
    (_tags({2: (RATIONAL, [(0, 0), (51, 1), (24, 1)])}), Reason.DAMAGED),
    (_tags({2: (RATIONAL, [(33, 1), (0, 0), (24, 1)])}), Reason.DAMAGED),
    (_tags({2: (RATIONAL, [(33, 1), (0, 0), (0, 0)])}), Reason.DAMAGED),
    (_tags({2: (RATIONAL, [(33, 1), (61, 1), (0, 1)])}), Reason.DAMAGED),
    (_tags({2: (RATIONAL, [(33, 1)] * 4)}), Reason.DAMAGED),
    (_tags({2: (ASCII, b"33.8\0")}), Reason.DAMAGED),
    (_tags({1: (ASCII, b"E\0")}), Reason.DAMAGED),
    (_tags({1: (ASCII, b"T\0")}), Reason.DAMAGED),
    (_tags({2: (RATIONAL, [(0, 1)] * 3), 4: (RATIONAL, [(0, 1)] * 3)}), Reason.ZERO),
    (_tags({2: (RATIONAL, [(90, 1), (0, 1), (1, 1)])}), Reason.OUT_OF_RANGE),
    (_tags({4: (RATIONAL, [(181, 1), (0, 1), (0, 1)])}), Reason.OUT_OF_RANGE),
]


@pytest.mark.parametrize(("tags", "reason"), _BROKEN)
def test_what_is_no_position(tags: Tags, reason: Reason) -> None:
    assert _found(jpeg(exif(tags))) is reason


@pytest.mark.parametrize("tags", [tags for tags, _ in _BROKEN])
def test_xmp_speaks_where_exif_does_not(tags: Tags) -> None:
    assert _near(_found(jpeg(exif(tags), xmp("48,51.5N", "2,17,40.2W"))), Coordinates(48 + 51.5 / 60, -2.2945))


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_negative_fraction_agrees_with_its_reference(order: str) -> None:
    signed, parts = 10, [(2**32 - 33, 1), (30, 1), (0, 1)]
    south = _found(jpeg(exif(_tags({2: (signed, parts)}), order)))
    assert _near(south, Coordinates(-33.5, _AT_SYDNEY.longitude_deg))
    assert _found(jpeg(exif(_tags({1: (ASCII, b"N\0"), 2: (signed, parts)}), order))) is Reason.DAMAGED


@pytest.mark.parametrize("written", [None, b"", b"rubbish", exif(_SYDNEY)[:30]])
def test_exif_without_gps(written: bytes | None) -> None:
    assert _found(jpeg(written)) is Reason.NO_POSITION


def test_exif_that_cannot_be_read() -> None:
    assert _found(png(b"\0")) is Reason.DAMAGED
    assert _found(png(b"\0", xmp("48,30N", "2,15E"))) == Coordinates(48.5, 2.25)


@pytest.mark.parametrize(
    ("latitude", "longitude", "found"),
    [
        ("48,30N", "2,15E", Coordinates(48.5, 2.25)),
        ("48,30,36N", "2,15,0W", Coordinates(48.51, -2.25)),
        ("48,30.6S", "2,15.0E", Coordinates(-48.51, 2.25)),
        ("48.5", "-2.25", Coordinates(48.5, -2.25)),
        ("48,5", "-2,25", Coordinates(48.5, -2.25)),
        ("0,0N", "0,0E", Reason.ZERO),
        ("91", "91", Reason.OUT_OF_RANGE),
        ("", "", Reason.NO_POSITION),
        ("48,30N", "", Reason.HALF),
        ("48,61N", "2,15E", Reason.NOT_DEGREES),
        ("north", "2,15E", Reason.NOT_DEGREES),
    ],
)
def test_xmp(latitude: str, longitude: str, found: Coordinates | Reason) -> None:
    for data in (jpeg(xmp=xmp(latitude, longitude)), png(xmp=xmp(latitude, longitude), behind=True)):
        got = _found(data)
        assert _near(got, found) if isinstance(found, Coordinates) else got is found


def test_xmp_elements_are_read_and_other_places_are_not() -> None:
    elements = xmp("", "").replace(
        b'exif:GPSLatitude="" exif:GPSLongitude=""/>',
        b"><exif:GPSLatitude>48,30N</exif:GPSLatitude><exif:GPSLongitude>2,15E</exif:GPSLongitude></rdf:Description>",
    )
    assert xmp_position(elements) == Coordinates(48.5, 2.25)
    shown = elements.replace(b"><exif:GPSLat", b"><exif:Shown><rdf:Description><exif:GPSLat", 1).replace(
        b"</exif:GPSLongitude>", b"</exif:GPSLongitude></rdf:Description></exif:Shown>"
    )
    assert xmp_position(shown) is Reason.NO_POSITION
    assert xmp_position(elements.replace(b"http://ns.adobe.com/exif/1.0/", b"urn:other")) is Reason.NO_POSITION


def test_hostile_xmp_is_damaged() -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "1111111111"><!ENTITY b "&a;&a;&a;&a;">]>' + xmp("&b;", "2")
    outside = b'<!DOCTYPE x SYSTEM "file:///dev/random">' + xmp("1", "2")
    nested = b"<a>" * 10_000 + b"GPSLatitude"
    large = xmp("1", "2").replace(b"</x:xmpmeta>", b" " * 2**20 + b"</x:xmpmeta>")
    for packet in (bomb, outside, nested, large, xmp("1", "2")[:-60], xmp("\0", "2"), b"\xffGPSLatitude"):
        assert xmp_position(packet) is Reason.DAMAGED_XMP


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff", b"GIF89a", b"ftypheic"])
def test_bytes_that_are_no_photo_say_why(data: bytes, tmp_path: Path) -> None:
    found = geotag("photo", data)
    assert isinstance(found, Fault)
    assert found.reason is Reason.UNREADABLE
    assert found.detail
    (tmp_path / "photo.jpg").write_bytes(data)
    assert geotag("photo", tmp_path / "photo.jpg") == found


@settings(max_examples=50, deadline=None)
@given(st.floats(-90, 90), st.floats(-180, 180), st.sampled_from("<>"))
def test_every_position_is_read_to_a_ten_thousandth_of_a_second(north: float, east: float, order: str) -> None:
    tags: Tags = {
        1: (ASCII, b"S\0" if north < 0 else b"N\0"),
        2: (RATIONAL, triple(north)),
        3: (ASCII, b"W\0" if east < 0 else b"E\0"),
        4: (RATIONAL, triple(east)),
    }
    found = _found(jpeg(exif(tags, order)))
    step = 1 / 36_000_000
    if abs(north) < step and abs(east) < step:
        assert found is Reason.ZERO or isinstance(found, Coordinates)
        return
    assert isinstance(found, Coordinates)
    assert (found.latitude_deg, found.longitude_deg) == pytest.approx((north, east), abs=step)


_WHOLE = (jpeg(exif(_SYDNEY), xmp("48,30N", "2,15E")), png(exif(_SYDNEY, ">"), xmp("48,30N", "2,15E")))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(_WHOLE), st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=8))
def test_damaged_bytes_are_a_position_within_range_or_a_fault(whole: bytes, changes: list[tuple[int, int]]) -> None:
    data = bytearray(whole)
    for place, value in changes:
        data[place % len(data)] = value
    found = geotag("photo", bytes(data))
    if isinstance(found, Coordinates):
        assert abs(found.latitude_deg) <= 90
        assert abs(found.longitude_deg) <= 180
    else:
        assert found.photo == "photo"
        assert len(found.detail.splitlines()) <= 1
