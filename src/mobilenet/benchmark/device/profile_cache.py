"""The profile of this machine in the user's cache folder, for later searches.

The key of a profile is what its figures depend on: processor, cores and their governor, engines with their versions,
and the grid. If any of them changes, so does the file.
"""

import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mobilenet.benchmark.device.grid import GridSettings, grid_environment, resolved
from mobilenet.benchmark.device.profile import FORMAT, DeviceProfile, Variant
from mobilenet.benchmark.result import Environment
from mobilenet.datasets.cache.eviction import default_directory, remove_quietly, writing
from mobilenet.errors import DataError
from mobilenet.fields import Fields
from mobilenet.files import atomic_write

__all__ = ["MOST_DAYS", "CachedProfile", "cache_profile", "cached_profile", "drop_cached_profile"]

MOST_DAYS = 30
"""An older profile is not used: kernels, drivers and neighbours change."""

_KIND = "cached device profile"
_DAY_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class CachedProfile:
    """A profile, and how many seconds ago it was measured."""

    profile: DeviceProfile
    age_s: float


def cached_profile(grid: GridSettings) -> CachedProfile | None:
    """The cached profile of this machine with these settings; None if there is none.

    DataError for a file that is damaged, from another machine, more than `MOST_DAYS` old, or from the future.
    """
    path = _path(grid)
    try:
        text = path.read_text("ascii")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    profile, measured_s = _opened(path, text)
    if _key(profile.environment, profile, profile.variants) != _wanted(grid):
        raise DataError(f"{path} is from another machine or other versions")
    age_s = time.time() - measured_s
    if not 0 <= age_s <= MOST_DAYS * _DAY_S:
        told = "from the future" if age_s < 0 else f"{age_s / _DAY_S:.0f} days old, {MOST_DAYS} allowed"
        raise DataError(f"{path} is {told}")
    return CachedProfile(profile, age_s)


def cache_profile(grid: GridSettings, profile: DeviceProfile) -> None:
    """Cache a profile just measured with these settings, and remove those too old to use; StorageError on failure."""
    path = _path(grid)
    content = {"measured_s": time.time(), "profile": json.loads(profile.to_json())}
    text = json.dumps({"kind": _KIND, **content, "sha256": _digest(content)}, allow_nan=False)
    with writing(default_directory()), atomic_write(path) as file:
        file.write(text.encode("ascii"))
    for old in _expired(path.parent):
        remove_quietly(old)


def drop_cached_profile(grid: GridSettings) -> None:
    """Remove the cached profile of this machine with these settings, if there is one."""
    remove_quietly(_path(grid))


def _opened(path: Path, text: str) -> tuple[DeviceProfile, float]:
    """The profile, and when it was measured, in seconds since 1970; DataError if the file was changed."""
    try:
        document = json.loads(text)
        fields = Fields(document)
        fields.text("kind", (_KIND,))
        measured_s, digest, _ = fields.number("measured_s"), fields.text("sha256"), fields.inside("profile")
        profile = DeviceProfile.from_json(json.dumps(document["profile"]))
    except (ValueError, TypeError, RecursionError, DataError) as error:
        raise DataError(f"{path} is damaged: {error}") from error
    if digest != _digest({name: document[name] for name in ("measured_s", "profile")}):
        raise DataError(f"{path} is damaged: its checksum differs")
    return profile, measured_s


def _expired(folder: Path) -> Iterator[Path]:
    for path in folder.glob("*.json"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > MOST_DAYS * _DAY_S:
                yield path


def _path(grid: GridSettings) -> Path:
    # Left out where it is the usual one, as in the names of profiles that knew no other.
    plan = {} if grid.plan == "speed" else {"plan": grid.plan}
    return default_directory() / "profiles" / f"{_digest(_wanted(grid) | plan)[:32]}.json"


def _wanted(grid: GridSettings) -> dict[str, Any]:
    """The key of a profile that would be measured now."""
    grid = resolved(grid)
    return _key(grid_environment(grid), grid, grid.variants)


def _key(
    environment: Environment, candidates: GridSettings | DeviceProfile, variants: tuple[Variant, ...]
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "processor": environment.processor,
        "machine": environment.system.rpartition(" ")[2],
        "cores": environment.cores,
        "governor": environment.governor,
        "versions": environment.versions,
        "classes": candidates.classes,
        "widths": list(candidates.widths),
        "resolutions": list(candidates.resolutions),
        "variants": [str(variant) for variant in variants],
    }


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode("ascii")).hexdigest()
