"""A profile is found again by what its figures depend on, and only as it was written."""

import json
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO

import pytest

from mobilenet.benchmark.device import profile_cache
from mobilenet.benchmark.device.curve import Curve, Point, Variant
from mobilenet.benchmark.device.grid import GridSettings, grid_environment
from mobilenet.benchmark.device.profile import DeviceProfile
from mobilenet.benchmark.device.profile_cache import cache_profile, cached_profile, drop_cached_profile
from mobilenet.benchmark.result import Environment
from mobilenet.datasets.cache.eviction import remove_debris
from mobilenet.errors import DataError, StorageError
from mobilenet.files import atomic_write

_GRID = GridSettings(widths=(0.25, 0.5), resolutions=(32, 64), runtimes=("litert",), precisions=("int8",))
_DAY_S = 24 * 3600


def _profile(grid: GridSettings = _GRID, p50_ms: float = 0.1) -> DeviceProfile:
    """As if it had been measured here, with latencies that grow with the number of mult-adds."""
    points = tuple(
        Point(width, side, p50_ms * (k + 1) + 1e-7, p50_ms * (k + 2), 1000 * (k + 1), 10_000 * (k + 1))
        for k, (width, side) in enumerate((width, side) for width in grid.widths for side in grid.resolutions)
    )
    curves = tuple(Curve(variant, grid.classes, points) for variant in grid.variants)
    return DeviceProfile(grid_environment(grid), grid.classes, grid.widths, grid.resolutions, 1.5, curves)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MOBILENET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "profiles"


def _file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def test_it_comes_back_with_every_figure() -> None:
    assert cached_profile(_GRID) is None
    cache_profile(_GRID, _profile())
    found = cached_profile(_GRID)
    assert found is not None
    assert found.profile == _profile()
    assert 0 <= found.age_s < 60
    cache_profile(_GRID, _profile(p50_ms=0.2))
    renewed = cached_profile(_GRID)
    assert renewed is not None
    assert renewed.profile == _profile(p50_ms=0.2)
    drop_cached_profile(_GRID)
    assert cached_profile(_GRID) is None
    drop_cached_profile(_GRID)


@pytest.mark.parametrize(
    "other",
    [
        replace(_GRID, threads=(2,)),
        replace(_GRID, runtimes=("onnxruntime",)),
        replace(_GRID, precisions=("float32", "int8")),
        replace(_GRID, resolutions=(32, 96)),
        replace(_GRID, classes=3),
    ],
)
def test_other_settings_have_a_profile_of_their_own(other: GridSettings) -> None:
    cache_profile(_GRID, _profile())
    assert cached_profile(other) is None
    cache_profile(other, _profile(other))
    assert [found.profile if (found := cached_profile(one)) else None for one in (_GRID, other)] == [
        _profile(),
        _profile(other),
    ]


def _versions(name: str) -> Callable[[Environment], Environment]:
    return lambda one: replace(one, versions={**one.versions, name: "99.0"})


@pytest.mark.parametrize(
    "change",
    [
        _versions("mobilenet"),
        _versions("ai-edge-litert"),
        _versions("numpy"),
        lambda one: replace(one, processor="ARM Cortex-A76"),
        lambda one: replace(one, system="Linux 6.6 sparc"),
        lambda one: replace(one, cores=one.cores + 1),
        lambda one: replace(one, governor="powersave"),
    ],
)
def test_another_machine_and_other_versions_are_measured_anew(
    change: Callable[[Environment], Environment], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache_profile(_GRID, _profile())
    before = _file(folder)
    monkeypatch.setattr(profile_cache, "grid_environment", lambda grid: change(grid_environment(grid)))
    assert cached_profile(_GRID) is None
    # A file that somebody has copied to where this machine looks.
    cache_profile(_GRID, _profile())
    with pytest.raises(DataError, match=r"\.json is from another machine or other versions$"):
        cached_profile(_GRID)
    assert len(list(folder.iterdir())) == 2
    assert before.exists()


def test_another_format_of_profiles_is_measured_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    cache_profile(_GRID, _profile())
    monkeypatch.setattr(profile_cache, "FORMAT", 2)
    assert cached_profile(_GRID) is None


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('"p50_ms": 0.2', '"p50_ms": 0.1', "its checksum differs"),
        ('"measured_s": 1', '"measured_s": 2', "its checksum differs"),
        ('"measured_s": 1', '"measured_s": "x1', ""),
        ('"sha256"', '"md5"', "sha256 is missing"),
        ('"profile"', '"figures"', "profile is missing"),
        ("cached device profile", "device profile", "kind is 'device profile' instead of"),
        ('"kind": "device profile"', '"kind": "benchmark"', "not a device profile: kind is 'benchmark'"),
        ("}", "", ""),
        ("{", "[" * 100_000, ""),
    ],
)
def test_a_damaged_one_is_refused(old: str, new: str, reason: str, folder: Path) -> None:
    cache_profile(_GRID, _profile())
    text = _file(folder).read_text()
    assert old in text
    _file(folder).write_text(text.replace(old, new, 1))
    with pytest.raises(DataError, match=r"\.json is damaged: ") as raised:
        cached_profile(_GRID)
    assert reason in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"null", b"[]", b'{"kind": "cached device profile"}'])
def test_what_is_no_profile_is_refused(content: bytes, folder: Path) -> None:
    cache_profile(_GRID, _profile())
    _file(folder).write_bytes(content)
    with pytest.raises(DataError, match=r"\.json (is damaged|cannot be read): "):
        cached_profile(_GRID)


def test_a_month_later_it_is_too_old(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache_profile(_GRID, _profile())
    written = json.loads(_file(folder).read_text())["measured_s"]
    for days, message in (
        (30.01, "is 30 days old, 30 allowed"),
        (45, "is 45 days"),
        (-1, "is from the future"),
    ):
        monkeypatch.setattr(profile_cache.time, "time", lambda days=days: written + days * _DAY_S)
        with pytest.raises(DataError, match=message):
            cached_profile(_GRID)
    monkeypatch.setattr(profile_cache.time, "time", lambda: written + 29.5 * _DAY_S)
    found = cached_profile(_GRID)
    assert found is not None
    assert found.age_s == pytest.approx(29.5 * _DAY_S)


def test_writing_removes_what_is_too_old_to_be_used(folder: Path) -> None:
    folder.mkdir(parents=True)
    for name, days in (("old", 31), ("young", 29)):
        (folder / f"{name}.json").write_text("{}")
        os.utime(folder / f"{name}.json", (0, time.time() - days * _DAY_S))
    cache_profile(_GRID, _profile())
    assert len(list(folder.iterdir())) == 2
    assert (folder / "young.json").exists()


def test_several_at_once_see_a_whole_profile() -> None:
    """Eight writers of two profiles; whoever reads meanwhile gets one of the two."""
    profiles = [_profile(p50_ms=0.1), _profile(p50_ms=0.2)]
    cache_profile(_GRID, profiles[0])
    with ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(cache_profile, _GRID, profiles[number % 2]) for number in range(8)]
        readers = [pool.submit(cached_profile, _GRID) for _ in range(8)]
        for writer in writers:
            writer.result()
        found = [reader.result() for reader in readers]
    assert all(one is not None and one.profile in profiles for one in found)


def test_another_run_that_cleans_the_cache_leaves_one_that_is_being_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def cleaned(path: Path) -> Iterator[IO[bytes]]:
        with atomic_write(path) as file:
            yield file
            remove_debris(folder.parent, "of-this-version")

    monkeypatch.setattr(profile_cache, "atomic_write", cleaned)
    cache_profile(_GRID, _profile())
    assert cached_profile(_GRID) is not None


def test_a_folder_that_cannot_be_written_is_one_line(folder: Path) -> None:
    folder.parent.write_text("no folder")
    with pytest.raises(StorageError, match=r"^cannot write .*cache"):
        cache_profile(_GRID, _profile())


def test_variants_are_those_of_the_settings() -> None:
    assert _profile().variants == (Variant("litert", "int8", 1),)
