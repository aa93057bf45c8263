"""Profiles that are made up by hand, and what becomes of them when a file is edited or damaged."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobilenet.benchmark import Environment
from mobilenet.benchmark.device.curve import Curve, Point, Variant
from mobilenet.benchmark.device.profile import DeviceProfile
from mobilenet.errors import DataError
from mobilenet.spec import mobilenet_v1

_REMEDY = "; make one with mobilenet benchmark --grid --out device.json"


def _made() -> DeviceProfile:
    board = Environment(
        "Raspberry Pi 5", 4, 8_000_000_000, "Linux", None, (1500.0, 2400.0), None, 0.1, {"python": "3.11.7"}
    )
    points = tuple(
        Point(width, side, side * width / 100, side * width / 90, int(1e6 * width), side * 10_000)
        for width in (0.25, 0.5)
        for side in (32, 64, 96)
    )
    curves = (Curve(Variant("litert", "float32", 1), 10, points), Curve(Variant("litert", "int8", 2), 10, points[:3]))
    return DeviceProfile(board, 10, (0.25, 0.5), (32, 64, 96), 61.5, curves)


@pytest.fixture
def profile() -> DeviceProfile:
    return _made()


def test_a_profile_comes_back_from_its_json(profile: DeviceProfile, tmp_path: Path) -> None:
    profile.write(tmp_path / "device.json")
    assert DeviceProfile.read(tmp_path / "device.json") == profile


def test_errors_are_told_to_readers_and_not_needed(profile: DeviceProfile) -> None:
    """Profiles that were written before there was an error of memory have none."""
    document = json.loads(profile.to_json())
    for row, curve in zip(document["curves"], profile.curves, strict=True):
        assert row.pop("memory_error_p90") == curve.memory_error
        assert row.pop("error_p90") == curve.error
    del document["candidates"]
    assert DeviceProfile.from_json(json.dumps(document)) == profile


_POINT = ("curves", 0, "points", 0)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("kind",), "benchmark", "kind is 'benchmark' instead of device profile"),
        (("format",), "1", "format is '1' instead of a whole number"),
        (("classes",), -3, "classes is -3 instead of a whole number from 2 to 100000"),
        (("classes",), True, "classes is True instead of a whole number"),
        (("seconds",), "long", "seconds is 'long' instead of a number"),
        (("widths",), [], "widths is [] instead of a non-empty list"),
        (("widths",), 1, "widths is 1 instead of a non-empty list"),
        (("widths", 1), -1, "widths[1] is -1 instead of a number from 0 to 9.0072e+15"),
        (("widths", 1), 0, "width multiplier 0 is out of range; use a number above 0"),
        (("resolutions",), [], "resolutions is [] instead of a non-empty list"),
        (("resolutions", 0), 100, "resolution 100 is not a multiple of 32; use 96 or 128"),
        (("resolutions", 0), 96.0, "resolutions[0] is 96.0 instead of a whole number"),
        (("environment",), None, "environment is None instead of an object"),
        (("environment", "cores"), "many", "environment.cores is 'many' instead of a whole number"),
        (("environment", "clocks_mhz"), [1], "environment.clocks_mhz is [1] instead of two numbers"),
        (("environment", "versions"), {"python": 3}, "environment.versions.python is 3 instead of a string"),
        (("curves",), [], "curves is [] instead of a non-empty list"),
        (("curves",), {}, "curves is {} instead of a non-empty list"),
        (("curves", 0), 5, "curves[0] is 5 instead of an object"),
        (("curves", 1), {"runtime": "litert"}, "curves[1].precision is missing"),
        (("curves", 0, "precision"), "int4", "curves[0].precision is 'int4' instead of float32 or int8"),
        (("curves", 0, "precision"), ["int8"], "curves[0].precision is ['int8'] instead of float32 or int8"),
        (("curves", 0, "runtime"), 7, "curves[0].runtime is 7 instead of torch or litert or"),
        (("curves", 0, "threads"), 0, "curves[0].threads is 0 instead of a whole number from 1 to 1024"),
        (("curves", 0, "points"), [], "curves[0].points is [] instead of a non-empty list"),
        ((*_POINT, "width_multiplier"), "a", "curves[0].points[0].width_multiplier is 'a' instead of a number"),
        ((*_POINT, "width_multiplier"), 17, "width multiplier 17 is out of range"),
        ((*_POINT, "resolution"), 100, "resolution 100 is not a multiple of 32"),
        (
            (*_POINT, "p50_ms"),
            float("inf"),
            "curves[0].points[0].p50_ms is inf instead of a number from 1e-06 to 1e+09",
        ),
        ((*_POINT, "p50_ms"), float("nan"), "curves[0].points[0].p50_ms is nan instead of a number"),
        ((*_POINT, "p50_ms"), 0.36, "curves[0].points[0].p95_ms is 0.0888"),
        ((*_POINT, "file_bytes"), 0, "curves[0].points[0].file_bytes is 0 instead of a whole number from 1"),
        ((*_POINT, "peak_bytes"), "9", "curves[0].points[0].peak_bytes is '9' instead of a whole number"),
        ((*_POINT, "peak_bytes"), -5, "curves[0].points[0].peak_bytes is -5 instead of a whole number from 0"),
    ],
)
def test_a_damaged_field_is_named_with_the_file(
    place: tuple[str | int, ...], value: object, message: str, profile: DeviceProfile, tmp_path: Path
) -> None:
    path = tmp_path / "fz.json"
    path.write_text(json.dumps(_replaced(json.loads(profile.to_json()), place, value)))
    with pytest.raises(DataError) as caught:
        DeviceProfile.read(path)
    line = str(caught.value)
    assert line.startswith(f"{path} is not a device profile: {message}")
    assert line.endswith(_REMEDY)


def test_a_curve_that_is_there_twice_and_one_of_too_few_points_are_refused(profile: DeviceProfile) -> None:
    document = json.loads(profile.to_json())
    first = document["curves"][0]
    for curves, message in (
        ([first, first], "it contains float32 on litert with 1 thread twice"),
        ([{**first, "points": first["points"][:1]}], "too few measurements of float32 on litert"),
        ([{**first, "points": [{**one, "peak_bytes": None} for one in first["points"]]}], "too few measurements"),
    ):
        with pytest.raises(DataError, match=message):
            DeviceProfile.from_json(json.dumps({**document, "curves": curves}))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "Expecting value: line 1 column 1 (char 0)"),
        (b"\xff\xfe{}", "it is not UTF-8 text"),
        (b"[1]", "it is [1] instead of an object"),
        (b"null", "it is None instead of an object"),
        (b"{}", "kind is missing"),
        (b"[" * 100_000, "it is nested too deeply"),
        (b'{"kind": "device profile", "format": ' + b"9" * 5000 + b"}", "Exceeds the limit"),
    ],
)
def test_a_file_that_holds_something_else_is_named(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "fz.json"
    path.write_bytes(data)
    with pytest.raises(DataError) as caught:
        DeviceProfile.read(path)
    assert str(caught.value).startswith(f"{path} is not a device profile: {message}")
    assert str(caught.value).endswith(_REMEDY)
    assert "\n" not in str(caught.value)


_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-5, 300),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.integers(-1, 1), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=1),
)


@given(st.data())
def test_whatever_is_damaged_it_is_read_or_refused_in_one_line(data: st.DataObject) -> None:
    """What is read gives estimates that are numbers and can be written again."""
    whole = json.loads(_made().to_json())
    del whole["candidates"]
    place = data.draw(st.sampled_from(list(_places(whole))))
    text = json.dumps(_replaced(whole, place, data.draw(_VALUES)))
    try:
        found = DeviceProfile.from_json(text)
    except DataError as error:
        line = str(error)
        # A document of another version is one, and says so.
        assert line.startswith("not a device profile: ") or place == ("format",)
        assert _REMEDY in line
        assert "\n" not in line
        return
    for estimate in found.estimates(mobilenet_v1(0.5, 64, found.classes)):
        assert 0 < estimate.p50_ms <= estimate.p95_ms < float("inf")
        assert estimate.peak_bytes >= 0
        assert 0 < estimate.error < float("inf")
        assert 0 < estimate.memory_error < float("inf")
    assert DeviceProfile.from_json(found.to_json()) == found


def _places(value: Any, above: tuple[str | int, ...] = ()) -> Any:
    """Where in a document something may be damaged."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inside:
        yield (*above, key)
        yield from _places(part, (*above, key))


def _replaced(document: Any, place: tuple[str | int, ...], value: object) -> Any:
    changed = copy.deepcopy(document)
    inside = changed
    for key in place[:-1]:
        inside = inside[key]
    inside[place[-1]] = value
    return changed
