"""LiteRT runs the `.tflite` files that this tool writes; needs no torch, only the package ai-edge-litert.

The engine is C++ and trusts its files, so it is handed the very bytes whose seal was checked.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from mobilenet.card import ModelCard
from mobilenet.errors import ModelError
from mobilenet.images import Preprocessing
from mobilenet.runtimes.tflite_card import read_card

__all__ = ["LiteRTPredictor"]

_LARGEST_FILE = 2**31
"""Bytes; a flatbuffer's own limit."""


class LiteRTPredictor:
    """A `.tflite` file as a predictor; `labels`, `preprocessing` and `task` are those of its card."""

    def __init__(self, data: bytes, card: ModelCard, threads: int | None = None) -> None:
        self.card = card
        self.labels: tuple[str, ...] = card.labels
        self.preprocessing: Preprocessing = card.preprocessing
        self.task: str = card.task
        self._engine = Interpreter(model_content=data, num_threads=threads or os.cpu_count())
        self._engine.allocate_tensors()
        (given,), (made,) = self._engine.get_input_details(), self._engine.get_output_details()
        self._input, self._output = int(given["index"]), int(made["index"])

    @classmethod
    def open(cls, path: Path, threads: int | None = None) -> "LiteRTPredictor":
        """Open a file that `mobilenet export` wrote; ModelError for any other. `threads`: None is one for each core."""
        data = _read(path)
        card = read_card(data, path)
        try:
            return cls(data, card, threads)
        except (ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise ModelError(f"LiteRT does not run {path}: {reason}; install a newer ai-edge-litert") from error

    def predict(self, images: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        """(N, R, R, 3) uint8 -> `probabilities` (N, classes) float32.

        One photo after another: the planes of one stay in the processor's cache, those of a batch do not. One photo
        alone goes straight through: the smallest networks take a tenth of a millisecond, in which each line counts.
        """
        if len(images) == 1:
            return {"probabilities": self._run(images)}
        answers = np.empty((len(images), len(self.labels)), np.float32)
        for image, answer in zip(images, answers, strict=True):
            answer[:] = self._run(image[None])[0]
        return {"probabilities": answers}

    def _run(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        self._engine.set_tensor(self._input, image)
        self._engine.invoke()
        probabilities: NDArray[np.float32] = self._engine.get_tensor(self._output)
        return probabilities


def _read(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > _LARGEST_FILE:
            raise ModelError(f"{path} has {size:,} bytes, more than a TFLite file can have; give another")
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error
