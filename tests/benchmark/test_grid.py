"""A small grid is measured here; what it says is checked for what must hold on every machine."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mobilenet.benchmark.grid import GridSettings, _design, measure_grid
from mobilenet.benchmark.profile import DeviceProfile
from mobilenet.cli.main import main
from mobilenet.errors import ConfigError, DataError
from mobilenet.spec import mobilenet_v1

_SMALL = GridSettings(widths=(0.25, 0.5), resolutions=(32, 64, 96), runtimes=("litert",), seconds=0.1)


@pytest.fixture(scope="module")
def profile() -> DeviceProfile:
    return measure_grid(_SMALL)


def test_larger_networks_take_more(profile: DeviceProfile) -> None:
    assert [str(variant) for variant in profile.variants] == [
        "float32 on litert with 1 thread",
        "int8 on litert with 1 thread",
    ]
    for curve in profile.curves:
        small, large = (curve.estimate(mobilenet_v1(*knobs, 10)) for knobs in ((0.25, 32), (0.5, 96)))
        assert 0 < small.p50_ms < large.p50_ms
        assert small.p50_ms <= small.p95_ms
        assert small.file_bytes < large.file_bytes
        assert small.peak_bytes > 0
        assert curve.error > 0


def test_sizes_are_those_of_files(profile: DeviceProfile) -> None:
    floats, whole = (curve.estimate(mobilenet_v1(0.25, 64, 10)).file_bytes for curve in profile.curves)
    assert floats == pytest.approx(4 * 220_000, rel=0.1)
    assert 3 < floats / whole < 4


def test_a_profile_survives_its_file(profile: DeviceProfile, tmp_path: Path) -> None:
    path = tmp_path / "device.json"
    profile.write(path)
    assert DeviceProfile.read(path) == profile
    candidates = json.loads(path.read_text())["candidates"]
    assert len(candidates) == 2 * 3 * 2
    assert {row["measured"] for row in candidates} <= {True, False}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "not a device profile"),
        ("[1]", "not a device profile"),
        ("nonsense", "not a device profile"),
        ('{"kind": "device profile", "format": 99}', "of format 99, this version reads 1"),
        ('{"kind": "device profile", "format": 1}', "lacks"),
    ],
)
def test_what_is_no_profile_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "device.json"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        DeviceProfile.read(path)


def test_measurements_that_cannot_be_are_refused(profile: DeviceProfile) -> None:
    document = json.loads(profile.to_json())
    document["curves"][0]["points"][0]["p50_ms"] = -1.0
    with pytest.raises(DataError, match="cannot be"):
        DeviceProfile.from_json(json.dumps(document))


def test_the_pattern_meets_every_width_and_resolution_and_the_corners() -> None:
    widths, sides = GridSettings().widths, GridSettings().resolutions
    chosen = _design(widths, sides)
    assert {(0.25, 96), (0.25, 224), (1.0, 96), (1.0, 224)} <= set(chosen)
    assert all(sum(width == one for one, _ in chosen) >= 3 for width in widths)
    assert all(sum(side == one for _, one in chosen) >= 3 for side in sides)
    assert len(chosen) < len(widths) * len(sides)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"widths": (0.5,)}, "two widths"),
        ({"classes": 1}, "1 classes"),
        ({"threads": (0,)}, "0 threads"),
        ({"seconds": 0.0}, "0 seconds"),
    ],
)
def test_settings_that_make_no_sense_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(_SMALL, **change)  # type: ignore[arg-type]


def test_an_engine_that_runs_no_exported_files_is_refused() -> None:
    with pytest.raises(ConfigError, match="torch runs no exported files"):
        measure_grid(replace(_SMALL, runtimes=("torch",)))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--grid"], "--grid needs --out"),
        (["--grid", "--out", "d.json", "model.tflite"], "leave out the files"),
        (["--out", "d.json", "model.tflite"], "go with --grid"),
        ([], "at least one model file"),
    ],
)
def test_wrong_usage_is_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert message in err
