"""Degrees as people and programs write them, against values calculated by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobilenet.datasets.sources.coordinates.degrees import Axis, from_parts, parse_degrees, parse_position
from mobilenet.datasets.sources.coordinates.position import Coordinates, Reason


@pytest.mark.parametrize(
    ("written", "degrees"),
    [
        ("48.5", 48.5),
        (" +48.5 ", 48.5),
        ("-33.25", -33.25),
        ("−33.25", -33.25),
        ("48,5", 48.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e-05", 1e-05),
        ("48.5°", 48.5),
        ("48.5° N", 48.5),
        ("48.5S", -48.5),
        ("s 48.5", -48.5),
        ("-48.5 S", -48.5),
        ("48°30'", 48.5),
        ("48°30'36\"N", 48.51),
        ("48° 30′ 36″ S", -48.51),
        ("48 30 36", 48.51),
        ("48:30:36", 48.51),
        ("48d30'36\"N", 48.51),
        ("48 30.6 N", 48.51),
        ("48° 30,6' S", -48.51),
        ("48°30'36.0''", 48.51),
        ("-0 30 0", -0.5),
        ("48 30 60", 48.5 + 60 / 3600),
        (48, 48.0),
        (-48.5, -48.5),
    ],
)
def test_ways_of_writing_a_latitude(written: object, degrees: float) -> None:
    assert parse_degrees(written, "latitude") == pytest.approx(degrees, abs=1e-12)


@pytest.mark.parametrize("written", [None, "", " ", "-", "?", "NaN", "null", "N/A", math.nan])
def test_blank_is_unknown_and_not_zero(written: object) -> None:
    found = parse_degrees(written, "latitude")
    assert found is not None
    assert math.isnan(found)


@pytest.mark.parametrize(
    "written",
    [
        "north",
        "48.5 E",
        "N 48.5 N",
        "-48.5 N",
        "48 61 0",
        "48d30m36s",
        "48 30 61",
        "48.5 30",
        "1,234.5",
        "48.5.1",
        "4_8",
        "٤٨.5x",
        "N",
        "x" * 65,
        "1" * 65,
        True,
        [48.5],
        {"degrees": 48.5},
    ],
)
def test_anything_else_is_no_number_of_degrees(written: object) -> None:
    assert parse_degrees(written, "latitude") is None


def test_a_whole_number_beyond_any_float_is_out_of_range() -> None:
    assert parse_position(10**400, 13) is Reason.OUT_OF_RANGE
    assert parse_position(13, -(10**400)) is Reason.OUT_OF_RANGE


@pytest.mark.parametrize(
    ("latitude", "longitude", "found"),
    [
        ("48.5", "2.25", Coordinates(48.5, 2.25)),
        ("90", "-180", Coordinates(90.0, -180.0)),
        ("-90", "180", Coordinates(-90.0, 180.0)),
        ("0", "2.25", Coordinates(0.0, 2.25)),
        ("0", "0.0", Reason.ZERO),
        ("-0.0", "0", Reason.ZERO),
        ("", "", Reason.NO_POSITION),
        ("48.5", "", Reason.HALF),
        ("nan", "2.25", Reason.HALF),
        ("91", "13", Reason.SWAPPED),
        ("-151.2", "-33.8", Reason.SWAPPED),
        ("91", "91", Reason.OUT_OF_RANGE),
        ("48.5", "180.001", Reason.OUT_OF_RANGE),
        (math.inf, 13, Reason.OUT_OF_RANGE),
        ("151.2 E", "33.8 S", Reason.SWAPPED),
        ("2.25 E", "north", Reason.NOT_DEGREES),
        ("Paris", "2.25", Reason.NOT_DEGREES),
    ],
)
def test_both_together(latitude: object, longitude: object, found: Coordinates | Reason) -> None:
    assert parse_position(latitude, longitude) == found


@given(st.text(max_size=70), st.sampled_from(("latitude", "longitude")))
def test_any_text_is_a_number_or_none(text: str, axis: Axis) -> None:
    found = parse_degrees(text, axis)
    assert found is None or isinstance(found, float)


@given(st.floats(-180, 180), st.sampled_from("EW "))
def test_a_number_survives_every_notation(degrees: float, letter: str) -> None:
    signed = -abs(degrees) if letter == "W" else abs(degrees)
    for text in (repr(signed) if letter == " " else f"{abs(degrees)!r} {letter}", f"{degrees!r}"):
        assert parse_degrees(text, "longitude") == (degrees if text == f"{degrees!r}" else signed)
    whole = int(abs(degrees))
    minutes = (abs(degrees) - whole) * 60
    assert parse_degrees(f"{whole}° {minutes:.9f}' {letter}", "longitude") == pytest.approx(signed, abs=1e-9)


def test_parts_beyond_sixty_are_no_degrees() -> None:
    assert from_parts(10, 30, 36) == pytest.approx(10.51)
    assert from_parts(-10, 30, 36) == pytest.approx(-10.51)
    assert from_parts(10, 60.001, 0) is None
    assert from_parts(10, -1, 0) is None
    assert from_parts(10, 0, math.nan) is None
    assert from_parts(math.inf, 0, 0) is None
