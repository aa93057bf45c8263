"""What the processor at hand does to the sums of 8-bit networks."""

import platform
from pathlib import Path

__all__ = ["sums_overflow"]

_X86 = {"x86_64", "amd64", "i386", "i686", "x86"}
_CPU = Path("/proc/cpuinfo")


def sums_overflow() -> bool:
    """Whether the fastest 8-bit kernels of engines give wrong sums: on x86 without VNNI, or if nothing tells.

    There they add pairs of products in 16 bits, which overflow: 2 × 255 × 127 > 32,767. Engines have exact kernels for
    such processors, but use them only on request; without them the outputs of an 8-bit network are silently wrong.
    """
    if platform.machine().lower() not in _X86:
        return False
    try:
        return "vnni" not in _CPU.read_text("ascii", "replace")
    except OSError:
        return True
