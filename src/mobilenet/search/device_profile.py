"""The device profile of a search, and the variants in which a network may run on it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from mobilenet.benchmark.device.grid import (
    RESOLUTIONS,
    WIDTHS,
    GridSettings,
    installed_runtimes,
    measure_grid,
    resolved,
)
from mobilenet.benchmark.device.profile import DeviceProfile, Variant
from mobilenet.benchmark.device.profile_cache import cache_profile, cached_profile, drop_cached_profile
from mobilenet.benchmark.environment import describe
from mobilenet.benchmark.result import Environment
from mobilenet.datasets.photos import Photos
from mobilenet.errors import ConfigError, DataError, ImageError, StorageError
from mobilenet.export.export import check_engines
from mobilenet.extras import pip_install
from mobilenet.images.preprocessing import Preprocessing
from mobilenet.model.precision import PRECISIONS, Precision
from mobilenet.quantize.calibrate import FEWEST_PHOTOS
from mobilenet.runtimes.engines import FORMATS
from mobilenet.search.settings import FitListener, FitSettings
from mobilenet.search.trial.files import first_clause

__all__ = ["device_profile", "is_this_device", "narrowed", "possible_precisions", "variants_of"]

_Number = TypeVar("_Number", int, float)

_SECONDS = 60.0
_STEADY = 0.2
"""With a larger error of latencies, other programs were busy, and a later search may measure better."""


def device_profile(
    settings: FitSettings,
    given: DeviceProfile | None,
    listener: FitListener,
    check: Callable[[GridSettings], None],
    *,
    begun: bool,
) -> DeviceProfile:
    """The given profile, or that in the folder of a search that has `begun` to train, or that cached for this machine
    by an earlier search, or a new one, which is cached; a copy is written to the folder.

    `check` may reject the budget before a grid is measured.
    """
    kept = settings.out / "device.json"
    profile = given or (_kept(settings, kept, listener) if begun else None)
    profile = profile or _of_this_machine(settings, listener, check)
    profile.write(kept)
    return profile


def _kept(settings: FitSettings, path: Path, listener: FitListener) -> DeviceProfile | None:
    """The profile that the search started with; None if there is none, or it is damaged."""
    if not path.is_file():
        return None
    try:
        profile = DeviceProfile.read(path)
    except DataError as error:
        listener.say(f"{first_clause(str(error))}; the profile of this machine is used instead")
        return None
    if settings.renew_profile:
        listener.say(f"this search keeps the profile that it started with, {path}; for a new one choose another --out")
    return profile


def _of_this_machine(
    settings: FitSettings, listener: FitListener, check: Callable[[GridSettings], None]
) -> DeviceProfile:
    grid = _grid(settings)
    cached = None if settings.renew_profile else _cached(grid, listener)
    return cached or _measured(grid, listener, check)


def _grid(settings: FitSettings) -> GridSettings:
    return resolved(
        GridSettings(
            widths=_measured_values(settings.widths, WIDTHS),
            resolutions=_measured_values(settings.resolutions, RESOLUTIONS),
            runtimes=_proving(settings),
            threads=(settings.threads,),
            seconds=_SECONDS,
            plan=settings.plan,
        )
    )


def _measured_values(wanted: Sequence[_Number], usual: Sequence[_Number]) -> tuple[_Number, ...]:
    """In order, all those that are `wanted`, or the usual ones; beside a single one its nearest usual neighbour, for a
    grid has two at least."""
    if len(set(wanted)) == 1:
        only = wanted[0]
        return tuple(sorted((only, min((value for value in usual if value != only), key=lambda one: abs(one - only)))))
    return tuple(sorted(set(wanted or usual)))


def narrowed(profile: DeviceProfile, widths: Sequence[float], resolutions: Sequence[int]) -> DeviceProfile:
    """The profile with these widths and resolutions alone, where any are named; ConfigError for others than it has."""
    return replace(
        profile,
        widths=_kept_values("width", widths, profile.widths),
        resolutions=_kept_values("resolution", resolutions, profile.resolutions),
    )


def _kept_values(name: str, wanted: Sequence[_Number], known: Sequence[_Number]) -> tuple[_Number, ...]:
    if unknown := [value for value in wanted if value not in known]:
        has = ", ".join(f"{value:g}" for value in known)
        raise ConfigError(f"the device profile has no {name} {unknown[0]:g}; choose from {has}")
    return tuple(sorted(set(wanted or known)))


def _cached(grid: GridSettings, listener: FitListener) -> DeviceProfile | None:
    try:
        found = cached_profile(grid)
    except DataError as error:
        listener.say(f"{first_clause(str(error))}; this machine is measured again")
        return None
    if found is None:
        return None
    listener.say(
        f"using the profile of this machine measured {_ago(found.age_s)} (latencies within "
        f"{_error(found.profile):.0%}); renew it with --renew-profile"
    )
    return found.profile


def _measured(grid: GridSettings, listener: FitListener, check: Callable[[GridSettings], None]) -> DeviceProfile:
    check(grid)
    listener.say(
        "no --device is given: measuring this machine first, for about a minute; later searches reuse its profile"
    )
    profile = measure_grid(grid, lambda *at: listener.working("measuring this device", *at))
    if not (error := _error(profile)) <= _STEADY:
        listener.say(
            f"other programs were busy, and latencies are known only within {error:.0%}: the next search measures again"
        )
        drop_cached_profile(grid)
        return profile
    try:
        cache_profile(grid, profile)
    except StorageError as error:
        listener.say(f"{first_clause(str(error))}; the next search measures again")
    return profile


def _error(profile: DeviceProfile) -> float:
    """The 90th percentile of the relative error of latencies, in the worst variant."""
    return max(curve.error for curve in profile.curves)


def _ago(seconds: float) -> str:
    """90 -> '1 minute ago'."""
    for name, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if (number := int(seconds / length)) > 0:
            return f"{number} {name}{'' if number == 1 else 's'} ago"
    return "just now"


def is_this_device(environment: Environment) -> bool:
    """Whether figures of that device apply here: it has the same processor and architecture."""
    return _kind(environment) == _kind(describe(()))


def _kind(environment: Environment) -> tuple[str, str]:
    return environment.processor, environment.system.rpartition(" ")[2]


def _proving(settings: FitSettings) -> tuple[str, ...]:
    """Engines that can verify a file: the requested ones, else the installed ones."""
    found = settings.runtimes or tuple(
        kind.runtime for kind in FORMATS.values() if kind.usual and kind.runtime in installed_runtimes()
    )
    if not found:
        raise ConfigError(f"no engine that runs exported files is installed; {pip_install('ai_edge_litert')}")
    return found


def variants_of(settings: FitSettings, profile: DeviceProfile, photos: Photos) -> tuple[Variant, ...]:
    """The variants of the profile with the requested engines and number of threads; 8 bits only if enough training
    `photos` for calibration can be decoded. ConfigError if there are none, or an engine is not installed."""
    proving = _proving(settings)
    check_engines([name for name, kind in FORMATS.items() if kind.runtime in proving])
    found = tuple(
        variant for variant in profile.variants if variant.threads == settings.threads and variant.runtime in proving
    )
    if not found:
        known = ", ".join(dict.fromkeys(map(str, profile.variants)))
        raise ConfigError(
            f"the profile does not contain {' or '.join(proving)} with --threads {settings.threads}; it has: {known}"
        )
    readable = _readable(photos, FEWEST_PHOTOS)
    kept = tuple(variant for variant in found if variant.precision in _possible(readable))
    if not kept:
        raise ConfigError(f"{readable} photos are too few for 8 bits, and the profile has no others; add photos")
    return kept


def possible_precisions(photos: Photos) -> tuple[Precision, ...]:
    """All precisions; without 8 bits if too few training `photos` for calibration can be decoded."""
    return _possible(_readable(photos, FEWEST_PHOTOS))


def _possible(readable: int) -> tuple[Precision, ...]:
    return tuple(one for one in PRECISIONS if one != "int8" or readable >= FEWEST_PHOTOS)


def _readable(photos: Photos, enough: int) -> int:
    """The number of decodable photos; stops at `enough`."""
    found = 0
    for number in range(len(photos)):
        try:
            Preprocessing(32).prepare(photos.read(number))
        except ImageError:
            continue
        found += 1
        if found == enough:
            break
    return found
