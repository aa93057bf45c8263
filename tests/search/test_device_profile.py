"""Which candidates a search has this machine measured for."""

from pathlib import Path

import pytest

from mobilenet.benchmark.device.grid import GridSettings
from mobilenet.errors import SpecError
from mobilenet.scenes import SceneSettings, write_scenes
from mobilenet.search.budget import Limits
from mobilenet.search.fit import fit
from mobilenet.search.settings import FitSettings
from mobilenet.training.settings import TrainingSettings

_WIDTHS = (0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0)
_RESOLUTIONS = (96, 128, 160, 192, 224)


class _MeasuringError(Exception):
    """Where a grid would be measured."""


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FitSettings:
    def measure(grid: GridSettings, *_: object) -> None:
        raise _MeasuringError(grid)

    monkeypatch.setenv("MOBILENET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("mobilenet.search.device_profile.measure_grid", measure)
    photos = tmp_path / "photos"
    write_scenes(photos, SceneSettings(train=20, validation=10, side=32))
    return FitSettings(TrainingSettings(photos), Limits(size_bytes=5e6), tmp_path / "fit", runtimes=("litert",))


@pytest.mark.parametrize(
    ("asked", "widths", "resolutions"),
    [
        ({}, _WIDTHS, _RESOLUTIONS),
        ({"widths": (0.5, 0.25), "resolutions": (96, 64)}, (0.25, 0.5), (64, 96)),
        ({"widths": (0.3, 0.3)}, (0.25, 0.3), _RESOLUTIONS),
        ({"widths": (0.25,)}, (0.25, 0.375), _RESOLUTIONS),
        ({"widths": (0.25, 1.0), "resolutions": (32,)}, (0.25, 1.0), (32, 96)),
    ],
)
def test_what_is_named_is_measured_and_a_single_one_beside_its_nearest_usual_neighbour(
    asked: dict[str, tuple[float, ...]],
    widths: tuple[float, ...],
    resolutions: tuple[int, ...],
    settings: FitSettings,
) -> None:
    named = FitSettings(settings.training, settings.limits, settings.out, runtimes=settings.runtimes, **asked)  # type: ignore[arg-type]
    with pytest.raises(_MeasuringError) as caught:
        fit(named)
    (grid,) = caught.value.args
    assert (grid.widths, grid.resolutions) == (widths, resolutions)


def test_what_is_no_network_is_refused(settings: FitSettings) -> None:
    odd = FitSettings(settings.training, settings.limits, settings.out, resolutions=(96, 100))
    with pytest.raises(SpecError, match="resolution 100 is not a multiple of 32; use 96 or 128"):
        fit(odd)
