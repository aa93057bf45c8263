"""LiteRT runs the `.tflite` files that this tool writes; it needs no torch, only the package ai-edge-litert.

The engine is C++ and trusts its input, so it is given the very bytes whose seal was checked.
"""

import contextlib
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from mobilenet.errors import ModelError
from mobilenet.images.preprocessing import Preprocessing
from mobilenet.model.card import ModelCard
from mobilenet.model.tflite_card import SUPPRESSING_THREADS, read_card

__all__ = ["LiteRTPredictor", "interpreter"]

_LARGEST_FILE = 2**31
"""Bytes; the limit of flatbuffers."""

_GREETING, _GREETED = threading.Lock(), threading.Event()
"""The engine prints a greeting once per process; opening the first file holds this lock meanwhile."""


class LiteRTPredictor:
    """A `.tflite` file as a predictor; `labels`, `preprocessing` and `task` are those of the card."""

    def __init__(self, data: bytes, card: ModelCard, threads: int | None = None) -> None:
        self.card = card
        self.labels: tuple[str, ...] = card.labels
        self.preprocessing: Preprocessing = card.preprocessing
        self.task: str = card.task
        # The engine has a single buffer for its input and one for its output.
        self._turn = threading.Lock()
        if card.suppressed is not None:
            threads = min(threads or os.cpu_count() or 1, SUPPRESSING_THREADS)
        self._engine = interpreter(data, threads)
        given, made = self._engine.get_input_details(), self._engine.get_output_details()
        side = card.preprocessing.resolution
        _check_ends("inputs", given, [("pixels", "uint8", (1, side, side, 3))])
        _check_ends("outputs", made, [(output.name, "float32", (1, *output.shape)) for output in card.outputs])
        self._outputs = card.outputs
        self._input, self._answers = int(given[0]["index"]), [(str(end["name"]), int(end["index"])) for end in made]

    @classmethod
    def open(cls, path: Path, threads: int | None = None) -> "LiteRTPredictor":
        """Open a file that `mobilenet export` wrote; ModelError for any other. `threads`: default, one per core."""
        data = _read(path)
        card = read_card(data, path)
        try:
            return cls(data, card, threads)
        except (ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise ModelError(
                f"LiteRT cannot run {path}: {reason}; write it again, or upgrade ai-edge-litert"
            ) from error

    def predict(self, images: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        """(N, R, R, 3) uint8 -> the card's outputs by name, (N, *shape) float32.

        One photo at a time: the planes of one stay in the processor's cache, those of a batch do not. A single photo
        takes a shortcut: the smallest networks take a tenth of a millisecond, in which every line counts.
        """
        if len(images) == 1:
            return self._run(images)
        answers = {output.name: np.empty((len(images), *output.shape), np.float32) for output in self._outputs}
        for number, image in enumerate(images):
            for name, answer in self._run(image[None]).items():
                answers[name][number] = answer[0]
        return answers

    def _run(self, image: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        with self._turn:
            self._engine.set_tensor(self._input, image)
            self._engine.invoke()
            return {name: self._engine.get_tensor(index) for name, index in self._answers}


def interpreter(data: bytes, threads: int | None = None) -> Interpreter:
    """The engine with the bytes of a TFLite file, ready to run; ValueError or RuntimeError if it cannot run it."""
    engine = Interpreter(model_content=data, num_threads=threads or os.cpu_count())
    _allocate(engine)
    return engine


def _allocate(engine: Interpreter) -> None:
    """Plan the engine's memory; silenced the first time, when the engine prints its greeting."""
    if not _GREETED.is_set():
        with _GREETING:
            if not _GREETED.is_set():
                with _silence():
                    engine.allocate_tensors()
                _GREETED.set()
                return
    engine.allocate_tensors()


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep the engine from printing its greeting to stderr, for which it has no setting.

    For one thread at a time, since stderr belongs to the process. Errors of the engine are not lost; what other threads
    print in these milliseconds is, as is the stderr of any process that they start meanwhile.
    """
    try:
        kept = os.dup(2)
    except OSError:  # no stderr
        yield
        return
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _check_ends(
    what: str, tensors: Sequence[Mapping[str, Any]], wanted: Sequence[tuple[str, str, tuple[int, ...]]]
) -> None:
    """ValueError unless the tensors, `what` of the graph, have these names, types and shapes."""
    found = [
        (str(tensor["name"]), np.dtype(tensor["dtype"]).name, tuple(map(int, tensor["shape"]))) for tensor in tensors
    ]
    if found != list(wanted):
        raise ValueError(f"its {what} are {found}, but its card says {wanted}")


def _read(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > _LARGEST_FILE:
            raise ModelError(f"{path} has {size:,} bytes, more than a TFLite file can have; use another file")
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error
