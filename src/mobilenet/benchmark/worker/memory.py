"""The resident memory of this process, now and at its peak.

`ru_maxrss` is only a fallback: on Linux it is inherited from the parent process, so that a small program started by a
large one seems large.
"""

import resource
import sys
from contextlib import suppress
from pathlib import Path

__all__ = ["forget_peak", "peak_bytes", "resident_bytes"]

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def resident_bytes() -> int:
    """Resident memory now; the peak so far if the system does not report it."""
    return _status("VmRSS") or _maxrss_bytes()


def peak_bytes() -> int:
    """Peak resident memory since the start, or since `forget_peak`."""
    return _status("VmHWM") or _maxrss_bytes()


def forget_peak() -> None:
    """Reset `peak_bytes` to the resident memory now, if the system supports it (Linux)."""
    # Not allowed in some containers; the peak since the start is then returned, which is never too small.
    with suppress(OSError):
        _CLEAR.write_text("5", "ascii")


def _status(key: str) -> int | None:
    try:
        lines = _STATUS.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:")), None)


def _maxrss_bytes() -> int:
    """The kernel reports kilobytes, except on macOS."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
