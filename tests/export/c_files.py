"""C files compiled with options of a test's own and run."""

import ctypes
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mobilenet.runtimes.c import CPredictor
from mobilenet.runtimes.c_file import read_c_file
from mobilenet.runtimes.engines import c_compiler

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror")

needs_compiler = pytest.mark.skipif(c_compiler() is None, reason="there is no C compiler; install gcc or clang")

TIERS = {"plain": 0, "avx2": 1}
"""What NETWORK_TIER chooses."""


def predictor(data: bytes, folder: Path, options: Sequence[str] = ("-O1",)) -> CPredictor:
    """The file, compiled without any warning."""
    source, library = folder / "network.c", folder / f"network{len(list(folder.iterdir()))}.so"
    source.write_bytes(data)
    command = [str(c_compiler()), *STRICT, *options, "-shared", "-fPIC", "-o", str(library), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return CPredictor(ctypes.CDLL(str(library)), read_c_file(data, source))


def supported(tier: str) -> bool:
    """Whether this processor runs a tier."""
    flags = Path("/proc/cpuinfo")
    return tier == "plain" or (flags.is_file() and f" {tier} " in flags.read_text("ascii", errors="replace"))


def answers(data: bytes, images: NDArray[np.uint8], folder: Path, *options: str) -> dict[str, NDArray[np.float32]]:
    """Each output of all images, by name."""
    return predictor(data, folder, ("-O1", *options)).predict(images)
