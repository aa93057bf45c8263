"""C files compiled with options of a test's own and run."""

import ctypes
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mobilenet.model.outputs import Output
from mobilenet.runtimes.c import CPredictor
from mobilenet.runtimes.c_file import read_c_file
from mobilenet.runtimes.engines import c_compiler

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror")

needs_compiler = pytest.mark.skipif(c_compiler() is None, reason="there is no C compiler; install gcc or clang")

TIERS = {
    "scalar": ("-DNETWORK_TIER=0", "-DNETWORK_NO_VECTORS"),
    "plain": ("-DNETWORK_TIER=0",),
    "avx2": ("-DNETWORK_TIER=1",),
    "avx-vnni": ("-DNETWORK_TIER=2",),
    "avx512": ("-DNETWORK_TIER=3",),
}
"""What chooses the kernels of a processor; those of the compiler's vectors, and without them, run on every one."""

_FLAGS = {"avx2": "avx2", "avx-vnni": "avx_vnni", "avx512": "avx512_vnni"}


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
    flags, needed = Path("/proc/cpuinfo"), _FLAGS.get(tier)
    return needed is None or (flags.is_file() and needed in flags.read_text("ascii", errors="replace").split())


def answers(data: bytes, images: NDArray[np.uint8], folder: Path, *options: str) -> dict[str, NDArray[np.float32]]:
    """Each output of all images, by name."""
    return predictor(data, folder, ("-O1", *options)).predict(images)


def raw_answers(
    data: bytes, outputs: Sequence[Output], image: NDArray[np.uint8], folder: Path, *options: str
) -> dict[str, NDArray[np.float32]]:
    """Each output of one image, of a file whose card describes no network."""
    source, library = folder / "network.c", folder / f"network{len(list(folder.iterdir()))}.so"
    source.write_bytes(data)
    command = [str(c_compiler()), *STRICT, "-O1", *options, "-shared", "-fPIC", "-o", str(library), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    function = ctypes.CDLL(str(library)).network_run
    pixels = np.ascontiguousarray(image)
    made = {output.name: np.full(output.shape, np.nan, np.float32) for output in outputs}
    places = [values.ctypes.data for values in (pixels, *made.values())]
    assert function(*map(ctypes.c_void_p, places)) == 0
    return made
