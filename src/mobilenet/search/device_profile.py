"""What the device of a search can do, and in which ways a network may run on it."""

from pathlib import Path

from mobilenet.benchmark.device.grid import GridSettings, installed_runtimes, measure_grid
from mobilenet.benchmark.device.profile import DeviceProfile, Variant
from mobilenet.benchmark.environment import describe
from mobilenet.benchmark.result import Environment
from mobilenet.datasets import Photos
from mobilenet.errors import ConfigError, DataError, ImageError
from mobilenet.export.export import check_engines
from mobilenet.export.formats import FORMATS
from mobilenet.extras import pip_install
from mobilenet.images import Preprocessing
from mobilenet.quantize.calibrate import FEWEST_PHOTOS
from mobilenet.search.settings import FitListener, FitSettings
from mobilenet.search.trial.files import first_clause

__all__ = ["device_profile", "is_this_device", "variants_of"]

_SECONDS = 60.0


def device_profile(
    settings: FitSettings, given: DeviceProfile | None, listener: FitListener, *, known: bool
) -> DeviceProfile:
    """The profile that is given, or the one that is kept in the folder of the search where that is `known` to be of
    this device, or a new one; it is kept there."""
    kept = settings.out / "device.json"
    profile = given or (_kept(kept, listener) if known else None) or _measured(settings, listener)
    profile.write(kept)
    return profile


def _kept(path: Path, listener: FitListener) -> DeviceProfile | None:
    """The profile that was measured before; None where there is none, or a damaged one."""
    if not path.is_file():
        return None
    try:
        return DeviceProfile.read(path)
    except DataError as error:
        listener.say(f"{first_clause(str(error))}; this machine is measured again")
        return None


def _measured(settings: FitSettings, listener: FitListener) -> DeviceProfile:
    listener.say("no --device is given: this machine is measured first")
    grid = GridSettings(runtimes=_proving(settings), threads=(settings.threads,), seconds=_SECONDS)
    return measure_grid(grid, lambda *at: listener.working("measuring this device", *at))


def is_this_device(environment: Environment) -> bool:
    """Whether figures of that device hold here: the same processor and architecture."""
    return _kind(environment) == _kind(describe(()))


def _kind(environment: Environment) -> tuple[str, str]:
    return environment.processor, environment.system.rpartition(" ")[2]


def _proving(settings: FitSettings) -> tuple[str, ...]:
    """Engines that can prove a file: those that are asked for, else those that are installed."""
    found = settings.runtimes or tuple(
        kind.runtime for kind in FORMATS.values() if kind.runtime in installed_runtimes()
    )
    if not found:
        raise ConfigError(f"no engine that runs exported files is installed; {pip_install('ai_edge_litert')}")
    return found


def variants_of(settings: FitSettings, profile: DeviceProfile, photos: Photos) -> tuple[Variant, ...]:
    """What the profile knows of the engines and the number of threads that are asked for; 8 bits where enough of the
    `photos` to train on can be decoded to calibrate with. ConfigError for nothing, and for engines that are not
    installed."""
    proving = _proving(settings)
    check_engines([name for name, kind in FORMATS.items() if kind.runtime in proving])
    found = tuple(
        variant for variant in profile.variants if variant.threads == settings.threads and variant.runtime in proving
    )
    if not found:
        known = ", ".join(dict.fromkeys(map(str, profile.variants)))
        raise ConfigError(
            f"the profile says nothing of {' or '.join(proving)} with --threads {settings.threads}; it has: {known}"
        )
    readable = _readable(photos, FEWEST_PHOTOS)
    kept = tuple(variant for variant in found if variant.precision != "int8" or readable >= FEWEST_PHOTOS)
    if not kept:
        raise ConfigError(f"{readable} photos are too few for 8 bits, and the profile has nothing else; add photos")
    return kept


def _readable(photos: Photos, enough: int) -> int:
    """How many can be decoded; no more are tried when there are `enough`."""
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
