"""The parent's side of `worker`: a process that holds one open model, and waits without spinning."""

import json
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mobilenet.benchmark.result import Contender
from mobilenet.errors import ModelError

__all__ = ["Opening", "Turn", "Worker"]

# Without the current folder on the path, where a file may have the name of one of our imports.
_COMMAND = (sys.executable, "-P", "-m", "mobilenet.benchmark.worker.worker")

_PATIENCE_S = 5.0
"""Time for a process to end after its stdin is closed."""


@dataclass(frozen=True, slots=True)
class Opening:
    """Time and memory to open a model; as in `result.Timing`."""

    resolution: int | None
    import_ms: float
    load_ms: float
    first_ms: float
    engine_bytes: int
    peak_bytes: int
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """Latencies (calls,) of single images one after another; the total time, the CPU time of all threads, and how long
    the first thread waited for a core; `idles` as in `result.Timing`.
    """

    latencies_ns: NDArray[np.int64]
    wall_ns: int
    processor_ns: int
    waited_ns: int
    idles: bool


class Worker:
    """A process for one model at a time; use it as a context manager, which ends it.

    ModelError if the model cannot be opened, or if the process ends on its own, as when an engine crashes or memory
    runs out.
    """

    def __init__(self) -> None:
        self._doing = "the benchmark"
        self._remarks = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            _COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._remarks, text=True, encoding="ascii"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._process.kill()
        try:
            # Closes stdin, which ends a working process.
            self._process.communicate(timeout=_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
        self._remarks.close()

    def open(self, contender: Contender, photo: str | None = None) -> Opening:
        """Load a model in place of the previous one, and run it once; `photo` is the input of later turns."""
        self._doing = str(contender)
        fields = {"file": contender.file, "runtime": contender.runtime, "threads": contender.threads, "photo": photo}
        answer = self._ask({"open": fields})
        return Opening(**{**answer, "remarks": tuple(answer["remarks"])})

    def turn(self, seconds: float, warm_up: float = 0.0) -> Turn:
        """Time single images for `seconds`, after `warm_up` untimed seconds; at least one image in each."""
        answer = self._ask({"turn": {"seconds": seconds, "warm_up": warm_up}})
        latencies_ns = np.asarray(answer["latencies_ns"], np.int64)
        if not latencies_ns.size:
            raise ModelError(f"{self._doing}: no image was timed; measure it again")
        return Turn(**{**answer, "latencies_ns": latencies_ns})

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        given, answers = self._process.stdin, self._process.stdout
        if given is None or answers is None:
            raise RuntimeError("the worker was started without pipes")
        try:
            given.write(json.dumps(request) + "\n")
            given.flush()
            line = answers.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise ModelError(self._obituary())
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ModelError(answer["error"])
        return answer

    def _obituary(self) -> str:
        """How the process ended, with the last line of its stderr."""
        code = self._process.wait()
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        self._remarks.seek(0)
        remarks = self._remarks.read().decode("utf-8", errors="replace").split("\n")
        last = next((line.strip() for line in reversed(remarks) if line.strip()), "no message")
        return f"{self._doing}: its process {how}: {last}; measure the others without it"
