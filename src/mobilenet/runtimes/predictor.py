"""What every engine offers, and how a path becomes one."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mobilenet.errors import ConfigError, ModelError
from mobilenet.extras import missing_package
from mobilenet.runs.folder import MODEL, RunFolder

if TYPE_CHECKING:
    from mobilenet.images.preprocessing import Preprocessing
    from mobilenet.model.card import ModelCard

__all__ = ["RUNTIMES", "Predictor", "model_file", "open_model"]


class Predictor(Protocol):
    """A trained model, ready to run.

    Threads may share it: `predict` gives each caller the answers to its own images, in arrays of its own. LiteRT and
    OpenVINO have one place for their input and take callers in turns, so who wants several answers at once opens the
    file several times.
    """

    @property
    def card(self) -> "ModelCard":
        """Everything that its file says of it; `card.outputs` are what it answers with."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the outputs."""

    @property
    def preprocessing(self) -> "Preprocessing":
        """How a photo becomes input pixels; its `resolution` is the side that `predict` wants."""

    @property
    def task(self) -> str:
        """The name of its task, such as `classification`."""

    def predict(self, images: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        """(N, R, R, 3) uint8 RGB -> each output of the card by its name, (N, *shape) float32; of a classifier
        `probabilities` (N, classes)."""


def _torch(path: Path, threads: int | None) -> Predictor:
    from mobilenet.runtimes.torch import TorchPredictor

    return TorchPredictor.open(path, threads)


def _litert(path: Path, threads: int | None) -> Predictor:
    from mobilenet.runtimes.litert import LiteRTPredictor

    return LiteRTPredictor.open(path, threads)


def _onnxruntime(path: Path, threads: int | None) -> Predictor:
    from mobilenet.runtimes.onnxruntime import OnnxRuntimePredictor

    return OnnxRuntimePredictor.open(path, threads)


def _openvino(path: Path, threads: int | None) -> Predictor:
    from mobilenet.runtimes.openvino import OpenVinoPredictor

    return OpenVinoPredictor.open(path, threads)


Opener = Callable[[Path, int | None], Predictor]

RUNTIMES: dict[str, dict[str, Opener]] = {
    ".safetensors": {"torch": _torch},
    ".tflite": {"litert": _litert},
    ".onnx": {"onnxruntime": _onnxruntime, "openvino": _openvino},
}
"""Which engines run a file, by its suffix and by the engine's name; the first is taken where none is named."""

_SUPPORTED = f"a run folder (with its {MODEL}) or a file that ends in {', '.join(RUNTIMES)}"


def model_file(path: Path) -> Path:
    """The model file that `path` means: itself, or the one in a run folder; ModelError names what is supported."""
    if path.is_dir():
        file = RunFolder(path).model
        if not file.is_file():
            raise ModelError(f"no {MODEL} in {path}; a model is {_SUPPORTED}")
        return file
    if not path.is_file():
        raise ModelError(f"no model at {path}; a model is {_SUPPORTED}")
    if path.suffix.lower() not in RUNTIMES:
        raise ModelError(f"{path} ends in {path.suffix or 'nothing'!r}; a model is {_SUPPORTED}")
    return path


def open_model(path: Path, runtime: str | None = None, threads: int | None = None) -> Predictor:
    """Open a run folder or a model file with the engine that runs it, or with the `runtime` that is named.

    `threads`: processor threads for one batch, as many as there are cores where None; torch has one number for all that
    it runs in a process, and the last one given holds. Threads may open files at the same time. ModelError if it is no
    model, is damaged, or is a backbone, which answers nothing; ConfigError where `runtime` does not run such a file.
    """
    file = model_file(path)
    opener = _opener(file, runtime)
    try:
        predictor = opener(file, threads)
    except ModuleNotFoundError as error:
        needs = missing_package(error)
        if needs is None:
            raise
        raise ModelError(f"{file} {needs}") from error
    if not predictor.card.outputs:
        raise ModelError(f"{file} has no classifier; train one on it with mobilenet train DATA --weights {file}")
    return predictor


def _opener(file: Path, runtime: str | None) -> Opener:
    engines = RUNTIMES[file.suffix.lower()]
    if runtime is None:
        return next(iter(engines.values()))
    if runtime not in engines:
        raise ConfigError(f"{runtime} does not run {file.suffix} files ({file}); use {' or '.join(engines)}")
    return engines[runtime]
