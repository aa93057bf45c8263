"""`mobilenet fit` without `--device`: what is refused at once, and this machine's profile from search to search."""

import os
import re
import signal
import time
from itertools import product
from pathlib import Path

import pytest

from mobilenet.benchmark.device.curve import Curve, Point
from mobilenet.benchmark.device.grid import GridSettings, grid_environment
from mobilenet.benchmark.device.profile import DeviceProfile
from mobilenet.cli.main import main
from mobilenet.errors import StorageError

_GRID = GridSettings(widths=(0.25, 0.375), resolutions=(32, 64), runtimes=("litert",))


def _figures() -> DeviceProfile:
    """As if this machine had been measured: 0.1 ms for 0.25-32 and more for larger ones, files of their true sizes."""
    points = {
        precision: tuple(
            Point(
                width,
                side,
                1.6 * width * (side / 64) ** 2,
                1.8 * width * (side / 64) ** 2,
                size[width],
                8 * side * 1000,
            )
            for width, side in product(_GRID.widths, _GRID.resolutions)
        )
        for precision, size in (
            ("float32", {0.25: 856_000, 0.375: 1_840_000}),
            ("int8", {0.25: 259_000, 0.375: 525_000}),
        )
    }
    curves = tuple(Curve(variant, _GRID.classes, points[variant.precision]) for variant in _GRID.variants)
    return DeviceProfile(grid_environment(_GRID), _GRID.classes, _GRID.widths, _GRID.resolutions, 60.0, curves)


@pytest.fixture(autouse=True)
def measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[GridSettings]:
    """The grids that were measured in place of the usual one; nothing is in the cache."""
    found: list[GridSettings] = []

    def measure(grid: GridSettings, _: object) -> DeviceProfile:
        found.append(grid)
        return _figures()

    monkeypatch.setenv("MOBILENET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("mobilenet.search.trial.proving._SECONDS", 0.2)
    monkeypatch.setattr("mobilenet.search.device_profile._grid", lambda _: _GRID)
    monkeypatch.setattr("mobilenet.search.device_profile.measure_grid", measure)
    # However far apart made-up figures are.
    monkeypatch.setattr("mobilenet.search.device_profile._STEADY", 1e9)
    return found


def _run(*words: object) -> int:
    return main(["fit", *map(str, words)])


def test_this_device_is_measured_once(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], measured: list[GridSettings]
) -> None:
    """After a budget that nothing keeps, and after a search that was stopped in its first training."""
    words = [photos, "--runtime", "litert", "--out", tmp_path / "fit", "--epochs", 32]
    assert _run(*words, "--latency", "0.0001ms") == 1
    assert not measured
    assert _stopped(*words, "--size", "400kB") == 130
    assert _stopped(*words, "--size", "400kB") == 130
    assert len(measured) == 1
    capsys.readouterr()


def _stopped(*words: object) -> int:
    """Of a search that is interrupted where its first training would begin."""

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mobilenet.search.trial.trainings.train", stop)
        return _run(*words)


@pytest.mark.parametrize(
    ("budget", "needs", "advice"),
    [
        (
            ["--latency", "0.0001ms"],
            r"0\.0001 ms at p95, 10% of latency in reserve: .* needs [0-9.]+ ms at p95",
            "latency",
        ),
        (
            ["--size", "200kB"],
            r"a file of 200 kB: .* in int8 on litert with 1 thread, needs a file of 2\d\d kB",
            "size",
        ),
        (["--memory", "20kB"], r"20 kB of memory: .* needs [0-9.]+ [kM]B of memory", "memory"),
    ],
)
def test_an_impossible_budget_is_refused_before_the_grid_is_measured(
    budget: list[str],
    needs: str,
    advice: str,
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    measured: list[GridSettings],
) -> None:
    assert _run(photos, "--out", tmp_path / "fit", *budget) == 1
    out, err = capsys.readouterr()
    assert out == ""
    line = rf"mobilenet: no candidate fits the budget of {needs}; try --{advice} [0-9.]+(ms|kB|MB)\n"
    assert re.fullmatch(line, err)
    assert "the smallest, 0.25-32 in " in err
    assert not measured
    assert not (tmp_path / "fit" / "device.json").exists()


def test_a_size_is_refused_without_measuring_and_the_advice_is_enough(
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    measured: list[GridSettings],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def never(*_: object) -> None:
        pytest.fail("something is measured")

    monkeypatch.setattr("mobilenet.search.feasibility.measure_smallest", never)
    assert _run(photos, "--out", tmp_path / "fit", "--size", "200kB") == 1
    assert not measured
    advice = capsys.readouterr().err.partition("; try ")[2].split()
    assert _stopped(photos, "--out", tmp_path / "fit", *advice) == 130
    assert len(measured) == 1


def test_narrow_weights_are_refused_before_anything_is_measured(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], measured: list[GridSettings]
) -> None:
    run = tmp_path / "narrow"
    words = ["--width", "0.125", "--resolution", "32", "--epochs", "1", "--out", str(run)]
    assert main(["train", str(photos), *words]) == 0
    assert _run(photos, "--out", tmp_path / "fit", "--size", "1MB", "--weights", run) == 2
    assert "all weights to start from are narrower than any candidate" in capsys.readouterr().err
    assert not measured


def test_a_later_search_uses_the_profile_of_this_machine_again(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], measured: list[GridSettings]
) -> None:
    words = [photos, "--size", "700kB", "--out"]
    assert _stopped(*words, tmp_path / "first") == 130
    err = capsys.readouterr().err
    assert "no --device is given: measuring this machine first, for about a minute; later searches reuse its" in err
    chosen = [line for line in err.splitlines() if " candidates, " in line]
    assert _stopped(*words, tmp_path / "second") == 130
    err = capsys.readouterr().err
    assert re.search(
        r"^using the profile of this machine measured just now \(latencies within \d+%\); renew it with "
        r"--renew-profile$",
        err,
        re.MULTILINE,
    )
    assert [line for line in err.splitlines() if " candidates, " in line] == chosen
    assert len(chosen) == 1
    assert len(measured) == 1
    assert (tmp_path / "second" / "device.json").read_text() == _figures().to_json()
    assert _stopped(*words, tmp_path / "third", "--renew-profile") == 130
    assert "using the profile" not in capsys.readouterr().err
    assert len(measured) == 2


def test_a_search_that_has_begun_keeps_its_profile(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], measured: list[GridSettings]
) -> None:
    words = [photos, "--size", "700kB", "--out", tmp_path / "fit"]
    assert _stopped(*words) == 130
    (tmp_path / "fit" / "runs").mkdir()
    capsys.readouterr()
    assert _stopped(*words, "--renew-profile") == 130
    assert "this search keeps the profile that it started with, " in capsys.readouterr().err
    assert len(measured) == 1
    (tmp_path / "fit" / "device.json").write_text("{")
    assert _stopped(*words) == 130
    err = capsys.readouterr().err
    assert "device.json is not a device profile: " in err
    assert "; the profile of this machine is used instead" in err
    assert "--grid" not in err
    assert len(measured) == 1
    assert DeviceProfile.read(tmp_path / "fit" / "device.json") == _figures()


def test_a_cached_profile_that_cannot_be_used_is_measured_again(
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    measured: list[GridSettings],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = [photos, "--size", "700kB", "--out", tmp_path / "fit"]
    assert _stopped(*words) == 130
    (path,) = (tmp_path / "cache" / "profiles").iterdir()
    whole = path.read_text()
    path.write_text(whole[: len(whole) // 2])
    capsys.readouterr()
    assert _stopped(*words) == 130
    assert re.search(rf"^{path} is damaged: .*; this machine is measured again$", capsys.readouterr().err, re.MULTILINE)
    assert len(measured) == 2
    assert _stopped(*words) == 130
    assert len(measured) == 2
    later = time.time() + 31 * 24 * 3600
    monkeypatch.setattr("mobilenet.benchmark.device.profile_cache.time.time", lambda: later)
    capsys.readouterr()
    assert _stopped(*words) == 130
    assert f"{path} is 31 days old, 30 allowed; this machine is measured again" in capsys.readouterr().err
    assert len(measured) == 3


def test_figures_of_a_busy_machine_are_not_cached(
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    measured: list[GridSettings],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = [photos, "--size", "700kB", "--out", tmp_path / "fit"]
    assert _stopped(*words) == 130
    monkeypatch.setattr("mobilenet.search.device_profile._STEADY", 0.0)
    assert _stopped(*words, "--renew-profile") == 130
    assert "other programs were busy, and latencies are known only within " in capsys.readouterr().err
    assert not list((tmp_path / "cache" / "profiles").iterdir())
    assert _stopped(*words) == 130
    assert len(measured) == 3
    capsys.readouterr()


def test_measuring_that_is_interrupted_leaves_no_profile(
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    measured: list[GridSettings],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stop(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    words = [photos, "--size", "700kB", "--out", tmp_path / "fit"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mobilenet.search.device_profile.measure_grid", stop)
        assert _run(*words) == 143
    assert not (tmp_path / "cache" / "profiles").exists()
    assert not (tmp_path / "fit" / "device.json").exists()

    def full(*_: object) -> None:
        raise StorageError("cannot write there: no space left on device; free some space and run again")

    monkeypatch.setattr("mobilenet.search.device_profile.cache_profile", full)
    capsys.readouterr()
    assert _stopped(*words) == 130
    err = capsys.readouterr().err
    assert "cannot write there: no space left on device; the next search measures again\n" in err
    assert len(measured) == 1


def test_the_profile_of_a_device_is_not_renewed(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    device = tmp_path / "device.json"
    assert _run(photos, "--device", device, "--size", "1MB", "--renew-profile") == 2
    err = capsys.readouterr().err
    assert err == f"mobilenet: --renew-profile measures this machine, and --device gives {device}; omit one\n"
