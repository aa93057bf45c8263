"""OpenVINO runs the `.onnx` files that this tool writes; it needs neither torch nor the package onnx."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.errors import ModelError
from mobilenet.images.preprocessing import Preprocessing
from mobilenet.model.card import ModelCard
from mobilenet.model.onnx_card import CARD_ENTRY, check_answers, in_batches, one_line, read_card, read_sealed
from mobilenet.runtimes.processor import sums_overflow


@contextmanager
def _without_reporting() -> Iterator[None]:
    """Block the package with which importing openvino sends telemetry over the network and leaves files in the user's
    home; openvino works without it."""
    reporter = "openvino_telemetry"
    absent = reporter not in sys.modules
    if absent:
        sys.modules[reporter] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if absent:
            del sys.modules[reporter]


with _without_reporting():
    import openvino

__all__ = ["OpenVinoPredictor", "compiled", "read"]

_METADATA = "framework"
"""Where OpenVINO stores the metadata of an ONNX file."""


class OpenVinoPredictor:
    """A `.onnx` file as a predictor; `labels`, `preprocessing` and `task` are those of the card."""

    def __init__(self, model: openvino.CompiledModel, card: ModelCard) -> None:
        self.card = card
        self.labels: tuple[str, ...] = card.labels
        self.preprocessing: Preprocessing = card.preprocessing
        self.task: str = card.task
        self._outputs = card.outputs
        # A single request, guarded by a lock: the engine computes one at a time in any case (NUM_STREAMS).
        self._turn, self._request = threading.Lock(), model.create_infer_request()
        # Views of the engine's own memory: passing it arrays on every call costs 60 µs, a sixth of a small network.
        self._pixels = self._request.input_tensors[0].data
        self._answers = [tensor.data for tensor in self._request.output_tensors]
        self._batch = int(model.input(0).shape[0])

    @classmethod
    def open(cls, path: Path, threads: int | None = None) -> "OpenVinoPredictor":
        """Open a file that `mobilenet export` wrote; ModelError for any other. `threads`: default, one per core."""
        data = read_sealed(path)
        try:
            model = read(data)
            card = read_card(_metadata(model), path)
            if model.is_dynamic():
                # Kernels for one known shape are faster than those for any shape.
                model.reshape([1, card.resolution, card.resolution, 3])
            ready = compiled(model, threads)
            check_answers(_answers(ready, card), card, path)
            return cls(ready, card)
        except RuntimeError as error:
            raise ModelError(f"OpenVINO cannot run {path}: {one_line(error)}; install a newer openvino") from error

    def predict(self, images: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        """(N, R, R, 3) uint8 -> the card's outputs by name, (N, *shape) float32."""
        return in_batches(images, self._batch, self._outputs, self._run)

    def _run(self, images: NDArray[np.uint8]) -> list[NDArray[Any]]:
        if images.shape != self._pixels.shape:
            raise ValueError(f"images have shape {images.shape}, but this network takes {self._pixels.shape}")
        with self._turn:
            self._pixels[:] = images
            self._request.infer()
            return [answer.copy() for answer in self._answers]


def read(data: bytes) -> openvino.Model:
    """The network in the bytes of an ONNX file; RuntimeError if the engine cannot read it."""
    return openvino.Core().read_model(data)


def compiled(model: openvino.Model, threads: int | None = None) -> openvino.CompiledModel:
    """The network ready to run on the CPU; RuntimeError if the engine cannot run it."""
    return openvino.Core().compile_model(model, "CPU", _options(threads))


def _answers(model: openvino.CompiledModel, card: ModelCard) -> list[tuple[str, tuple[int, ...]]]:
    """Name and shape for one photo of each output; if an output has several names, that in the card."""
    known = {output.name for output in card.outputs}
    return [
        (min(made.get_names() & known or made.get_names(), default=""), tuple(made.shape)[1:]) for made in model.outputs
    ]


def _metadata(model: openvino.Model) -> dict[str, str]:
    place = [_METADATA, CARD_ENTRY]
    return {CARD_ENTRY: model.get_rt_info(place).astype(str)} if model.has_rt_info(place) else {}


def _options(threads: int | None) -> dict[str, Any]:
    options: dict[str, Any] = {
        # On processors with bfloat16, OpenVINO would use it for float32 files.
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        # Otherwise its thread is pinned to one core, and waits there while other cores idle.
        "ENABLE_CPU_PINNING": False,
    }
    if sums_overflow():
        # It has no exact 8-bit kernels for such a processor; this way it computes in float32 and rounds to 8 bits.
        options["LP_TRANSFORMS_MODE"] = "NO"
    return options if threads is None else options | {"INFERENCE_NUM_THREADS": threads}
