"""The interface of every engine, and how to open a path with one."""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mobilenet.errors import ConfigError, ModelError
from mobilenet.extras import missing_package
from mobilenet.runs.folder import MODEL, RunFolder
from mobilenet.runtimes.engines import ENGINES, SUFFIXES, engines_of

if TYPE_CHECKING:
    from mobilenet.images.preprocessing import Preprocessing
    from mobilenet.model.card import ModelCard

__all__ = ["Predictor", "model_file", "open_model"]


class Predictor(Protocol):
    """A trained model, ready to run.

    It is thread-safe: `predict` returns new arrays to each caller. LiteRT and OpenVINO have a single input buffer and
    serve one caller at a time; for parallel predictions open the file several times.
    """

    @property
    def card(self) -> "ModelCard":
        """The description in its file; `card.outputs` are the outputs of `predict`."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the outputs."""

    @property
    def preprocessing(self) -> "Preprocessing":
        """How a photo becomes input pixels; its `resolution` is the side R of the input of `predict`."""

    @property
    def task(self) -> str:
        """The name of the model's task, such as `classification`."""

    def predict(self, images: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        """(N, R, R, 3) uint8 RGB -> each output of the card by name, (N, *shape) float32; for a classifier
        `probabilities` (N, classes)."""


_SUPPORTED = f"a run folder with {MODEL}, or a file ending in {', '.join(SUFFIXES)}"


def model_file(path: Path) -> Path:
    """The model file at `path`: the file itself, or the one in a run folder; ModelError names what is supported."""
    if path.is_dir():
        file = RunFolder(path).model
        if not file.is_file():
            raise ModelError(f"no {MODEL} in {path}; a model is {_SUPPORTED}")
        return file
    if not path.is_file():
        raise ModelError(f"no model at {path}; a model is {_SUPPORTED}")
    if path.suffix.lower() not in SUFFIXES:
        raise ModelError(
            f"{path} ends in {path.suffix or 'nothing'!r}; a model is {_SUPPORTED}; for weights of other tools, use "
            "mobilenet import"
        )
    return path


def open_model(path: Path, runtime: str | None = None, threads: int | None = None) -> Predictor:
    """Open a run folder or a model file with the default engine for it, or with `runtime`.

    `threads`: CPU threads per batch (default: one per core); torch has one setting for the whole process, and the last
    one given holds. Thread-safe. ModelError if it is not a model, is damaged, or is a backbone, which has no outputs;
    ConfigError if `runtime` cannot run such a file.
    """
    file = model_file(path)
    engine = ENGINES[_engine(file, runtime)]
    try:
        opener = getattr(importlib.import_module(engine.module), engine.predictor)
        predictor: Predictor = opener.open(file, threads)
    except ModuleNotFoundError as error:
        needs = missing_package(error)
        if needs is None:
            raise
        raise ModelError(f"{file} {needs}") from error
    if not predictor.card.outputs:
        raise ModelError(f"{file} has no classifier; train one on it with mobilenet train DATA --weights {file}")
    return predictor


def _engine(file: Path, runtime: str | None) -> str:
    engines = engines_of(file.suffix.lower())
    if runtime is None:
        return engines[0]
    if runtime not in engines:
        raise ConfigError(f"{runtime} cannot run {file.suffix} files ({file}); use {' or '.join(engines)}")
    return runtime
