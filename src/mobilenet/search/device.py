"""What the device of a search can do, and in which ways a network may run on it."""

from mobilenet.benchmark.environment import describe
from mobilenet.benchmark.grid import GridSettings, installed_runtimes, measure_grid
from mobilenet.benchmark.profile import DeviceProfile, Variant
from mobilenet.benchmark.result import Environment
from mobilenet.errors import ConfigError
from mobilenet.export.formats import FORMATS
from mobilenet.export.run import check_engines
from mobilenet.quantize.calibrate import FEWEST_PHOTOS
from mobilenet.search.settings import FitListener, FitSettings

__all__ = ["device_profile", "is_this_device", "variants_of"]

_SECONDS = 60.0


def device_profile(settings: FitSettings, given: DeviceProfile | None, listener: FitListener) -> DeviceProfile:
    """The profile that is given, or a new one of this device; it is kept in the folder of the search."""
    if given is None:
        listener.say("no --device is given: this machine is measured first")
        grid = GridSettings(runtimes=_proving(settings), threads=(settings.threads,), seconds=_SECONDS)
        given = measure_grid(grid, lambda *at: listener.working("measuring this device", *at))
    given.write(settings.out / "device.json")
    return given


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
        raise ConfigError("no engine that runs exported files is installed; pip install 'mobilenet[litert]'")
    return found


def variants_of(settings: FitSettings, profile: DeviceProfile, photos: int) -> tuple[Variant, ...]:
    """What the profile knows of the engines and the number of threads that are asked for; 8 bits where `photos` to
    train on are enough to calibrate with. ConfigError for nothing, and for engines that are not installed."""
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
    kept = tuple(variant for variant in found if variant.precision != "int8" or photos >= FEWEST_PHOTOS)
    if not kept:
        raise ConfigError(f"{photos} photos are too few for 8 bits, and the profile has nothing else; add photos")
    return kept
