"""The device and its state, without which figures cannot be compared. On Linux most of it is in files."""

import os
import platform
from collections.abc import Iterable
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from mobilenet.benchmark.result import Environment

__all__ = ["clock_mhz", "describe", "temperature_c"]

_ROOT = Path("/")
_CPUS = "sys/devices/system/cpu"


def describe(
    packages: Iterable[str],
    clocks_mhz: tuple[float | None, float | None] = (None, None),
    temperatures_c: tuple[float | None, float | None] = (None, None),
    load: float | None = None,
    root: Path = _ROOT,
) -> Environment:
    """This device, with the versions of `packages` that are installed; `root` is where /proc and /sys are."""
    return Environment(
        processor=_processor(root),
        cores=_cores(),
        memory_bytes=_memory_bytes(root),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        governor=_line(root / _CPUS / "cpu0/cpufreq/scaling_governor"),
        clocks_mhz=_both(clocks_mhz),
        temperatures_c=_both(temperatures_c),
        load=load,
        versions=_versions(packages),
    )


def clock_mhz(root: Path = _ROOT) -> float | None:
    """The highest current clock of any core."""
    khz = _numbers((root / _CPUS).glob("cpu[0-9]*/cpufreq/scaling_cur_freq"))
    return max(khz) / 1000 if khz else None


def temperature_c(root: Path = _ROOT) -> float | None:
    """The current temperature of the hottest sensor."""
    millidegrees = _numbers((root / "sys/class/thermal").glob("thermal_zone*/temp"))
    return max(millidegrees) / 1000 if millidegrees else None


def _both(pair: tuple[float | None, float | None]) -> tuple[float, float] | None:
    before, after = pair
    return None if before is None or after is None else (before, after)


def _processor(root: Path) -> str:
    """The processor's name; ARM kernels name the board instead, in the device tree."""
    for line in _text(root / "proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        if key.strip().lower() == "model name" and value.strip():
            return value.strip()
    board = _text(root / "proc/device-tree/model").strip("\0 \n")
    return board or platform.processor() or platform.machine()


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory_bytes(root: Path) -> int | None:
    for line in _text(root / "proc/meminfo").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return None


def _versions(packages: Iterable[str]) -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in packages:
        with suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def _numbers(paths: Iterable[Path]) -> list[float]:
    """The numbers in files of one number each; a sleeping sensor cannot be read, or is empty."""
    found = []
    for path in paths:
        with suppress(ValueError):
            found.append(float(_text(path)))
    return found


def _line(path: Path) -> str | None:
    return _text(path).strip() or None


def _text(path: Path) -> str:
    """A file of the kernel; empty if there is none or it cannot be read."""
    try:
        return path.read_text("utf-8", errors="replace")
    except OSError:
        return ""
