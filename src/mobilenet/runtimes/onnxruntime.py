"""ONNX Runtime runs the `.onnx` files that this tool writes; it needs neither torch nor the package onnx."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as engine

from mobilenet.errors import ModelError
from mobilenet.images.preprocessing import Preprocessing
from mobilenet.model.card import ModelCard
from mobilenet.model.onnx_card import check_answers, in_batches, one_line, read_card, read_sealed
from mobilenet.runtimes.processor import sums_overflow

__all__ = ["REFUSALS", "OnnxRuntimePredictor", "session"]

_ERRORS_ONLY = 3
"""Log level of ONNX Runtime: its warnings are meant for engine developers."""

REFUSALS = (
    engine.Fail,
    engine.InvalidArgument,
    engine.InvalidGraph,
    engine.InvalidProtobuf,
    engine.NotImplemented,
    engine.RuntimeException,
)
"""What the engine raises for a file that it cannot run."""


class OnnxRuntimePredictor:
    """A `.onnx` file as a predictor; `labels`, `preprocessing` and `task` are those of the card."""

    def __init__(self, session: onnxruntime.InferenceSession, card: ModelCard) -> None:
        self.card = card
        self.labels: tuple[str, ...] = card.labels
        self.preprocessing: Preprocessing = card.preprocessing
        self.task: str = card.task
        self._outputs = card.outputs
        self._session = session
        given = session.get_inputs()[0]
        self._input: str = given.name
        self._batch: int = given.shape[0] if isinstance(given.shape[0], int) else 1

    @classmethod
    def open(cls, path: Path, threads: int | None = None) -> "OnnxRuntimePredictor":
        """Open a file that `mobilenet export` wrote; ModelError for any other. `threads`: default, one per core."""
        data = read_sealed(path)
        try:
            opened = session(data, threads)
        except REFUSALS as error:
            raise ModelError(
                f"ONNX Runtime cannot run {path}: {one_line(error)}; install a newer onnxruntime"
            ) from error
        card = read_card(opened.get_modelmeta().custom_metadata_map, path)
        check_answers([(made.name, tuple(made.shape[1:])) for made in opened.get_outputs()], card, path)
        return cls(opened, card)

    def predict(self, images: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        """(N, R, R, 3) uint8 -> the card's outputs by name, (N, *shape) float32."""
        return in_batches(images, self._batch, self._outputs, self._run)

    def _run(self, images: NDArray[np.uint8]) -> list[NDArray[Any]]:
        answers: list[NDArray[Any]] = self._session.run(None, {self._input: images})
        return answers


def session(data: bytes, threads: int | None = None) -> onnxruntime.InferenceSession:
    """The engine with the bytes of an ONNX file, ready to run; `REFUSALS` if it cannot run it."""
    onnxruntime.set_default_logger_severity(_ERRORS_ONLY)
    return onnxruntime.InferenceSession(data, _options(threads), providers=["CPUExecutionProvider"])


def _options(threads: int | None) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    options.intra_op_num_threads = threads or os.cpu_count() or 1
    options.inter_op_num_threads = 1
    # A thread that spins while waiting for work takes a core from the decoding of the next photo.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if sums_overflow():
        options.add_session_config_entry("session.x64quantprecision", "1")
    return options
