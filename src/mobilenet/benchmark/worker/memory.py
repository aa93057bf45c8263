"""How much memory this process holds, and held at its peak.

Not `ru_maxrss`, where it can be avoided: Linux hands it down from the process that started this one, so that a small
program started by a large one seems large.
"""

import resource
import sys
from contextlib import suppress
from pathlib import Path

__all__ = ["forget_peak", "peak_bytes", "resident_bytes"]

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def resident_bytes() -> int:
    """Memory held now; where the system does not tell, the peak until now."""
    return _status("VmRSS") or _maxrss_bytes()


def peak_bytes() -> int:
    """The most memory held since the start, or since `forget_peak`."""
    return _status("VmHWM") or _maxrss_bytes()


def forget_peak() -> None:
    """Let `peak_bytes` begin again from what is held now, where the system can do that (Linux)."""
    # Not allowed in some containers; the peak since the start is then the answer, which is never too small.
    with suppress(OSError):
        _CLEAR.write_text("5", "ascii")


def _status(key: str) -> int | None:
    try:
        lines = _STATUS.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:")), None)


def _maxrss_bytes() -> int:
    """In kilobytes everywhere but on macOS."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
