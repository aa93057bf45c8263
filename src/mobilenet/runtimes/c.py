"""The C compiler of this machine runs the `.c` files that this tool writes, as a shared library.

A compiler trusts its input, so it is given the very bytes whose seal was checked. A library is built once per process
and file.
"""

import ctypes
import hashlib
import platform
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.errors import ModelError
from mobilenet.images.preprocessing import Preprocessing
from mobilenet.model.card import ModelCard
from mobilenet.runtimes.c_file import CFile, read_bytes, read_c_file
from mobilenet.runtimes.engines import ENGINES, c_compiler

__all__ = ["CPredictor", "build"]

_OPTIONS = ("-std=c99", "-O3", "-shared", "-fPIC", "-w")
_LONGEST_S = 600
_ALIGNMENT = 64

_BUILT: dict[tuple[str, tuple[str, ...]], ctypes.CDLL] = {}
"""By the digest of a file, and the options that it was compiled with."""

_BUILDING = threading.Lock()


class CPredictor:
    """A `.c` file as a predictor; `labels`, `preprocessing` and `task` are those of the card. `memory_bytes` is the
    working memory that the network takes on any device."""

    def __init__(self, library: ctypes.CDLL, says: CFile) -> None:
        self.card: ModelCard = says.card
        self.labels: tuple[str, ...] = says.card.labels
        self.preprocessing: Preprocessing = says.card.preprocessing
        self.task: str = says.card.task
        self.memory_bytes: int = says.arena_bytes
        self._outputs = says.card.outputs
        self._function = getattr(library, f"{says.prefix}_run_in")
        self._function.argtypes = [ctypes.c_void_p] * (2 + len(self._outputs))
        self._function.restype = ctypes.c_int
        memory = np.zeros(says.arena_bytes + _ALIGNMENT, np.uint8)
        self._arena = memory[-memory.ctypes.data % _ALIGNMENT :]
        # There is one arena.
        self._turn = threading.Lock()

    @classmethod
    def open(cls, path: Path, _threads: int | None = None) -> "CPredictor":
        """Open a file that `mobilenet export` wrote; ModelError for any other, and without a C compiler. It runs in one
        thread."""
        data = read_bytes(path)
        says = read_c_file(data, path)
        return cls(build(data, path), says)

    def predict(self, images: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        """(N, R, R, 3) uint8 -> the card's outputs by name, (N, *shape) float32; ValueError for other shapes."""
        side = self.card.resolution
        if images.shape[1:] != (side, side, 3) or images.dtype != np.uint8:
            raise ValueError(f"images are {images.dtype} {images.shape}; uint8 (N, {side}, {side}, 3) expected")
        images = np.ascontiguousarray(images)
        answers = {output.name: np.empty((len(images), *output.shape), np.float32) for output in self._outputs}
        sizes = [4 * output.size for output in self._outputs]
        starts = [values.ctypes.data for values in answers.values()]
        pixels, size, arena = images.ctypes.data, side * side * 3, self._arena.ctypes.data
        with self._turn:
            for number in range(len(images)):
                places = [start + number * step for start, step in zip(starts, sizes, strict=True)]
                if self._function(arena, pixels + number * size, *places):
                    raise RuntimeError("the network refused its arguments")
        return answers


def build(data: bytes, path: Path, options: Sequence[str] = ()) -> ctypes.CDLL:
    """The library of a C file, compiled with more `options`; ModelError, naming `path`, if there is no compiler or it
    rejects the file."""
    key = hashlib.sha256(data).hexdigest(), tuple(options)
    with _BUILDING:
        if key not in _BUILT:
            _BUILT[key] = _built(data, path, options)
        return _BUILT[key]


def _built(data: bytes, path: Path, options: Sequence[str]) -> ctypes.CDLL:
    compiler = c_compiler()
    if compiler is None:
        raise ModelError(f"{path} must be compiled to run, and no C compiler was found; {ENGINES['c'].remedy}")
    with tempfile.TemporaryDirectory(prefix="mobilenet-c-") as folder:
        source, library = Path(folder) / "network.c", Path(folder) / "network.so"
        try:
            source.write_bytes(data)
            command = [compiler, *_OPTIONS, *_processor(), *options, "-o", str(library), str(source)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=_LONGEST_S, check=False)  # noqa: S603
            if done.returncode:
                raise ModelError(f"{compiler} cannot compile {path}: {_first_line(done.stderr)}; try another with CC")
            return ctypes.CDLL(str(library))
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ModelError(f"cannot build {path} with {compiler}: {' '.join(str(error).split())}") from error


def _processor() -> tuple[str, ...]:
    """On x86 the file itself looks what the processor has; elsewhere the compiler has to."""
    return ("-mcpu=native",) if platform.machine() in ("aarch64", "arm64") else ()


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if "error" in line), text.strip()[:200])
