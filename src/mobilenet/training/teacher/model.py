"""Opening the teacher of a run: any model file that the tool opens, or an ONNX classifier of another tool."""

import hashlib
import json
from pathlib import Path

import torch
from torch import Tensor

from mobilenet.errors import ConfigError, ModelError
from mobilenet.extras import missing_package
from mobilenet.images.augment import Crops, render
from mobilenet.model.card import ModelCard
from mobilenet.model.seal import has_seal
from mobilenet.model.vocabulary import Vocabulary
from mobilenet.nn.endings import raw
from mobilenet.nn.model_file import read_model
from mobilenet.nn.network import TableNetwork, place
from mobilenet.runs.origin import read_origin
from mobilenet.runtimes.predictor import Predictor, model_file, open_model
from mobilenet.training.teacher.network import Answer, Teacher
from mobilenet.training.teacher.settings import Teaching

__all__ = ["open_teacher"]


def open_teacher(teaching: Teaching, device: torch.device, dtype: torch.dtype) -> Teacher:
    """Open the model that `teaching` names; a network of torch computes on `device` in `dtype`.

    ModelError for a missing or damaged model; ConfigError if an option for another tool's network is missing, or
    given for one of ours.
    """
    file = model_file(teaching.model)
    if file.suffix.lower() == ".onnx" and not _is_ours(file):
        return _foreign(file, teaching)
    given = [f"--teacher-{name}" for name in ("labels", "mean", "std", "resolution") if getattr(teaching, name)]
    if given:
        raise ConfigError(f"{file} says itself how it is used; omit {' and '.join(given)}")
    answer: Answer
    if file.suffix.lower() == ".safetensors":
        network, card = read_model(file)
        answer = _NetworkAnswer(network, card, device, dtype)
    else:
        predictor = open_model(file)
        card = predictor.card
        answer = _PredictorAnswer(predictor)
    if not card.outputs:
        raise ModelError(f"{file} has no outputs to learn from; use a trained model as the teacher")
    trained_on = read_origin(teaching.model, card).trained_on
    digest = _digest(file, str(dtype))
    return Teacher(
        str(teaching.model), digest, card.task, card.vocabulary, card.outputs, card.resolution, trained_on, answer
    )


def _foreign(file: Path, teaching: Teaching) -> Teacher:
    try:
        # Only networks of other tools need the engine here.
        from mobilenet.training.teacher.foreign import open_foreign
    except ModuleNotFoundError as error:
        needs = missing_package(error)
        if needs is None:
            raise
        raise ModelError(f"{file} {needs}") from error
    found = open_foreign(file, teaching)
    described = [found.labels, teaching.mean, teaching.std, found.resolution]
    digest = _digest(file, json.dumps(described))
    vocabulary = Vocabulary(found.labels)
    return Teacher(str(teaching.model), digest, None, vocabulary, (), found.resolution, None, found)


def _is_ours(file: Path) -> bool:
    try:
        return has_seal(file.read_bytes())
    except OSError as error:
        raise ModelError(f"cannot read {file}: {(error.strerror or str(error)).lower()}") from error


def _digest(file: Path, about: str) -> str:
    with file.open("rb") as opened:
        content = hashlib.file_digest(opened, "sha256").hexdigest()
    return hashlib.sha256(f"{content} {about}".encode()).hexdigest()


class _NetworkAnswer:
    """A network of torch: the very crops of the student, at its own resolution."""

    def __init__(self, network: TableNetwork, card: ModelCard, device: torch.device, dtype: torch.dtype) -> None:
        self._network = network.eval()
        place(self._network, device)
        self._resolution, self._dtype = card.resolution, dtype
        self._mean = torch.tensor(card.preprocessing.mean, device=device)
        self._std = torch.tensor(card.preprocessing.std, device=device)

    def __call__(self, pixels: Tensor, crops: Crops) -> dict[str, Tensor]:
        with torch.no_grad():
            inputs = render(pixels.to(self._mean.device), crops, self._resolution, self._mean, self._std, self._dtype)
            found: dict[str, Tensor] = self._network(inputs)
            return found


class _PredictorAnswer:
    """A file of ours for another engine, which takes pixels: colours beyond 0…255 are clipped, and rounded."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    def __call__(self, pixels: Tensor, crops: Crops) -> dict[str, Tensor]:
        card = self._predictor.card
        inputs = render(pixels.cpu(), crops, card.resolution, torch.zeros(3), torch.ones(3))
        images = inputs.clamp(0, 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
        found = self._predictor.predict(images)
        return {output.name: raw(torch.from_numpy(found[output.name]), output.ending) for output in card.outputs}
