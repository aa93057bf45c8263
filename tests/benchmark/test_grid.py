"""A small grid is measured here; what it says is checked for what must hold on every machine."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import pytest

from mobilenet.benchmark.device.design import for_latency, for_memory
from mobilenet.benchmark.device.grid import GridSettings, measure_grid
from mobilenet.benchmark.device.profile import DeviceProfile
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
        assert all(point.peak_bytes is not None for point in curve.points)
        assert small.memory_error == curve.memory_error >= 0.02


def test_sizes_are_those_of_files(profile: DeviceProfile) -> None:
    floats, whole = (curve.estimate(mobilenet_v1(0.25, 64, 10)).file_bytes for curve in profile.curves)
    assert floats == pytest.approx(4 * 220_000, rel=0.1)
    assert 3 < floats / whole < 4


def test_a_profile_survives_its_file(profile: DeviceProfile, tmp_path: Path) -> None:
    path = tmp_path / "device.json"
    profile.write(path)
    assert DeviceProfile.read(path) == profile
    document = json.loads(path.read_text())
    assert [row["memory_error_p90"] for row in document["curves"]] == [one.memory_error for one in profile.curves]
    candidates = document["candidates"]
    assert len(candidates) == 2 * 3 * 2
    measured = [(row["precision"], row["width_multiplier"], row["resolution"]) for row in candidates if row["measured"]]
    points = [
        (one.variant.precision, at.width_multiplier, at.resolution) for one in profile.curves for at in one.points
    ]
    assert sorted(measured) == sorted(points)


def test_a_profile_of_another_version_says_so(tmp_path: Path) -> None:
    path = tmp_path / "device.json"
    path.write_text('{"kind": "device profile", "format": 99}')
    with pytest.raises(
        DataError, match=r"device\.json is a device profile of format 99, this version reads 1; make one"
    ):
        DeviceProfile.read(path)


def test_the_pattern_meets_every_width_and_resolution_and_the_corners() -> None:
    widths, sides = GridSettings().widths, GridSettings().resolutions
    chosen = for_latency(widths, sides)
    assert {(0.25, 96), (0.25, 224), (1.0, 96), (1.0, 224)} <= set(chosen)
    assert all(sum(width == one for one, _ in chosen) >= 3 for width in widths)
    assert all(sum(side == one for _, one in chosen) >= 3 for side in sides)
    assert len(chosen) < len(widths) * len(sides)


def test_memory_is_measured_of_half_of_them_at_every_width_and_at_both_ends() -> None:
    points = for_latency(GridSettings().widths, GridSettings().resolutions)
    chosen = for_memory(points)
    assert {(0.25, 96), (1.0, 224)} <= set(chosen) <= set(points)
    assert {width for width, _ in chosen} == set(GridSettings().widths)
    assert {side for _, side in chosen} == set(GridSettings().resolutions)
    assert len(points) / 2 <= len(chosen) <= len(points) / 2 + 1
    assert for_memory(points[:6]) == points[:6]


def test_threads_that_are_given_twice_are_measured_once() -> None:
    few = replace(_SMALL, resolutions=(32, 64), precisions=("int8",), threads=(1, 1))
    assert [str(variant) for variant in measure_grid(few).variants] == ["int8 on litert with 1 thread"]


_find_spec = importlib.util.find_spec


def _without(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    monkeypatch.setattr(
        "mobilenet.runtimes.engines.find_spec", lambda name: None if name in packages else _find_spec(name)
    )


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine, or the package that writes its files."""
    _without(monkeypatch, "onnx")
    onnx = r"^writing files for onnxruntime needs onnx; pip install 'mobilenet\[onnx\]'$"
    with pytest.raises(ConfigError, match=onnx):
        measure_grid(replace(_SMALL, runtimes=("litert", "onnxruntime")))
    _without(monkeypatch, "onnx", "ai_edge_litert", "openvino")
    with pytest.raises(ConfigError, match=onnx):
        measure_grid(replace(_SMALL, runtimes=()))
    _without(monkeypatch, "onnx", "ai_edge_litert", "openvino", "onnxruntime")
    with pytest.raises(ConfigError, match=r"^no engine is installed; pip install 'mobilenet\[litert\]'$"):
        measure_grid(replace(_SMALL, runtimes=()))


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
    with pytest.raises(ConfigError, match="torch does not run exported files"):
        measure_grid(replace(_SMALL, runtimes=("torch",)))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--grid"], "--grid needs --out"),
        (["--grid", "--out", "d.json", "model.tflite"], "leave out the files"),
        (["--out", "d.json", "model.tflite"], "--out and --classes need --grid"),
        (["--grid", "--out", "d.json", "--photo", "x.jpg"], "--photo and --plot cannot be combined with --grid"),
        (["--grid", "--out", "d.json", "--plot", "x.png"], "--photo and --plot cannot be combined with --grid"),
        ([], "at least one model file"),
    ],
)
def test_wrong_usage_is_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert message in err
