"""What every engine offers, and how a path becomes one."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mobilenet.errors import ModelError

if TYPE_CHECKING:
    from mobilenet.images import Preprocessing

__all__ = ["Predictor", "model_file", "open_model"]

_RUN_MODEL = "model.safetensors"
_SUPPORTED = f"a run folder (with its {_RUN_MODEL}) or a .safetensors file"


class Predictor(Protocol):
    """A trained model, ready to run."""

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
        """(N, R, R, 3) uint8 RGB -> outputs by name; classification: `probabilities` (N, classes) float32."""


def model_file(path: Path) -> Path:
    """The model file that `path` means: itself, or the one in a run folder; ModelError names what is supported."""
    if path.is_dir():
        file = path / _RUN_MODEL
        if not file.is_file():
            raise ModelError(f"no {_RUN_MODEL} in {path}; a model is {_SUPPORTED}")
        return file
    if not path.is_file():
        raise ModelError(f"no model at {path}; a model is {_SUPPORTED}")
    if path.suffix.lower() != ".safetensors":
        raise ModelError(f"{path} ends in {path.suffix or 'nothing'!r}; a model is {_SUPPORTED}")
    return path


def open_model(path: Path) -> Predictor:
    """Open a run folder or a model file with the engine that runs it; ModelError if it is none, is damaged, or is a
    backbone, which answers nothing."""
    file = model_file(path)
    try:
        from mobilenet.runtimes.torch import TorchPredictor
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ModelError(f"{file} runs on torch, which is not installed; pip install 'mobilenet[train]'") from error
    predictor = TorchPredictor.open(file)
    if not predictor.labels:
        raise ModelError(f"{file} has no classifier; train one on it with mobilenet train DATA --weights {file}")
    return predictor
