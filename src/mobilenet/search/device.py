"""What the device of a search can do, and in which ways a network may run on it."""

from mobilenet.benchmark.grid import GridSettings, installed_runtimes, measure_grid
from mobilenet.benchmark.profile import DeviceProfile, Variant
from mobilenet.errors import ConfigError
from mobilenet.export.formats import FORMATS
from mobilenet.search.settings import FitListener, FitSettings

__all__ = ["device_profile", "variants_of"]

_SECONDS = 60.0


def device_profile(settings: FitSettings, listener: FitListener, *, under_way: bool) -> DeviceProfile:
    """The profile that a search `under_way` began with; else the one that is given, or a new one of this device."""
    kept = settings.out / "device.json"
    if kept.is_file() and under_way:
        return DeviceProfile.read(kept)
    if settings.device is not None:
        profile = DeviceProfile.read(settings.device)
    else:
        listener.say("no --device is given: this machine is measured first")
        grid = GridSettings(runtimes=_proving(settings), threads=(settings.threads,), seconds=_SECONDS)
        profile = measure_grid(grid, lambda *at: listener.working("measuring this device", *at))
    profile.write(kept)
    return profile


def _proving(settings: FitSettings) -> tuple[str, ...]:
    """Engines that can prove a file and are installed."""
    found = settings.runtimes or tuple(
        kind.runtime for kind in FORMATS.values() if kind.runtime in installed_runtimes()
    )
    if not found:
        raise ConfigError("no engine that runs exported files is installed; pip install 'mobilenet[litert]'")
    return found


def variants_of(settings: FitSettings, profile: DeviceProfile) -> tuple[Variant, ...]:
    """What the profile knows of the engines and the number of threads that are asked for; ConfigError for nothing."""
    proving = _proving(settings)
    found = tuple(
        variant for variant in profile.variants if variant.threads == settings.threads and variant.runtime in proving
    )
    if not found:
        known = ", ".join(dict.fromkeys(map(str, profile.variants)))
        raise ConfigError(
            f"the profile says nothing of {' or '.join(proving)} with --threads {settings.threads}; it has: {known}"
        )
    return found
