"""An ONNX classifier of another tool as a teacher: one image in, one score per class out.

What its file does not say, the user does: the names of its classes and how pixels become its input.
"""

import ast
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor

from mobilenet.errors import ConfigError, ModelError
from mobilenet.images.augment import Crops, render, whole_photos
from mobilenet.model.onnx_card import one_line
from mobilenet.runtimes.onnxruntime import REFUSALS
from mobilenet.runtimes.onnxruntime import session as opened
from mobilenet.training.teacher.settings import Teaching

__all__ = ["SCORES", "ForeignClassifier", "open_foreign"]

SCORES = "scores"
"""The name of its only output."""

_METADATA = ("labels", "classes", "class_names", "names")
"""Keys under which exporters store the names of classes."""

_LONGEST_LIST = 10_000_000
"""Characters of a list of names."""

_FLOAT, _PIXELS = "tensor(float)", "tensor(uint8)"


@dataclass(frozen=True, slots=True, eq=False)
class ForeignClassifier:
    """Answers as `teacher.model.Answer` does, with one output, `SCORES`, in the order of `labels`.

    `planes`: whether its input is (N, 3, R, R), not (N, R, R, 3); `batch`: the only number of images that it takes,
    None for any. `mean` and `std` (3,) are in pixel values.
    """

    session: onnxruntime.InferenceSession
    labels: tuple[str, ...]
    resolution: int
    planes: bool
    batch: int | None
    mean: Tensor
    std: Tensor

    def __call__(self, pixels: Tensor, crops: Crops) -> dict[str, Tensor]:
        """(N, S, S, 3) uint8 pixels and N crops -> {"scores": (N, classes) float32}."""
        rendered = render(pixels.cpu(), crops, self.resolution, self.mean, self.std)
        given = self.session.get_inputs()[0]
        if given.type == _PIXELS:
            rendered = rendered.clamp(0, 255).round().to(torch.uint8)
        inputs = (rendered if self.planes else rendered.permute(0, 2, 3, 1)).contiguous().numpy()
        size = self.batch or len(inputs)
        parts = [self._run(given.name, inputs[start : start + size], size) for start in range(0, len(inputs), size)]
        return {SCORES: torch.from_numpy(np.concatenate(parts))}

    def _run(self, name: str, inputs: NDArray[Any], size: int) -> NDArray[np.float32]:
        missing = size - len(inputs)
        padded = np.concatenate([inputs, np.zeros((missing, *inputs.shape[1:]), inputs.dtype)]) if missing else inputs
        (scores,) = self.session.run(None, {name: padded})
        return np.asarray(scores, np.float32).reshape(size, -1)[: len(inputs)]


def open_foreign(file: Path, teaching: Teaching) -> ForeignClassifier:
    """Open a classifier; ModelError if the engine cannot run it or it is something else, ConfigError naming the option
    where its file does not say enough."""
    try:
        session = opened(file.read_bytes())
    except REFUSALS as error:
        raise ModelError(f"ONNX Runtime cannot run {file}: {one_line(error)}; use another file") from error
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1 or len(outputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].type not in (_FLOAT, _PIXELS):
        raise ModelError(
            f"{file} has {_ends('input', inputs)} and {_ends('output', outputs)}; a teacher has one image as its "
            "input, in float32 or uint8, and one score per class as its output"
        )
    count, *sides = inputs[0].shape
    planes = sides[0] == 3
    if not planes and sides[2] != 3:
        raise ModelError(
            f"{file} takes images of shape {inputs[0].shape}; a teacher takes (N, 3, R, R) or (N, R, R, 3)"
        )
    mean, std = _normalisation(file, teaching, inputs[0].type)
    resolution = _resolution(file, sides[1:] if planes else sides[:2], teaching.resolution)
    batch = count if isinstance(count, int) and count > 0 else None
    labels = _labels(file, session.get_modelmeta().custom_metadata_map, teaching.labels)
    found = ForeignClassifier(session, labels, resolution, planes, batch, mean, std)
    _check_scores(file, found)
    return found


def _normalisation(file: Path, teaching: Teaching, kind: str) -> tuple[Tensor, Tensor]:
    given = teaching.mean is not None or teaching.std is not None
    if kind == _PIXELS:
        if given:
            raise ConfigError(f"{file} takes pixels as they are; omit --teacher-mean and --teacher-std")
        return torch.zeros(3), torch.ones(3)
    if teaching.mean is None or teaching.std is None:
        raise ConfigError(
            f"{file} does not say how its pixels are normalised; give --teacher-mean and --teacher-std in pixel "
            "values, such as 123.675,116.28,103.53 and 58.395,57.12,57.375"
        )
    return torch.tensor(teaching.mean), torch.tensor(teaching.std)


def _resolution(file: Path, sides: list[Any], given: int | None) -> int:
    fixed = [side for side in sides if isinstance(side, int) and side > 0]
    if len(set(fixed)) > 1:
        raise ModelError(f"{file} takes images of {fixed[0]} × {fixed[1]} pixels; a teacher takes square ones")
    if not fixed and given is None:
        raise ConfigError(f"{file} takes images of any size; give --teacher-resolution, in pixels")
    if fixed and given not in (None, fixed[0]):
        raise ConfigError(f"--teacher-resolution {given} is not that of {file}, {fixed[0]}; omit it")
    return int(fixed[0] if fixed else given or 0)


def _labels(file: Path, metadata: Mapping[str, str], given: Path | None) -> tuple[str, ...]:
    if given is not None:
        try:
            text = given.read_text("utf-8")
        except (OSError, ValueError) as error:
            raise ConfigError(f"cannot read {given}: {error}; give one class per line, in UTF-8") from error
        lines = tuple(line.strip() for line in text.splitlines() if line.strip())
        return (_listed(text) or lines) if given.suffix.lower() == ".json" else lines
    for key in _METADATA:
        if found := _listed(metadata.get(key, "")):
            return found
    raise ConfigError(
        f"{file} does not name its classes; give --teacher-labels FILE, with one class per line in the order of the "
        "outputs"
    )


def _listed(text: str) -> tuple[str, ...]:
    """The names in a list, a JSON or Python literal or separated by line breaks or commas; empty if there is none."""
    if not text.strip() or len(text) > _LONGEST_LIST:
        return ()
    value = _literal(text)
    if isinstance(value, Mapping):
        numbered = {str(key): name for key, name in value.items()}
        value = [numbered.get(str(number)) for number in range(len(numbered))]
    if isinstance(value, list | tuple):
        return tuple(value) if all(isinstance(name, str) for name in value) else ()
    lines = text.splitlines() if "\n" in text.strip() else text.split(",")
    return tuple(line.strip() for line in lines if line.strip())


def _literal(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _check_scores(file: Path, found: ForeignClassifier) -> None:
    """ModelError or ConfigError unless there is one finite score per class."""
    noise = np.random.default_rng(0).integers(0, 256, (1, found.resolution, found.resolution, 3), np.uint8)
    try:
        scores = found(torch.from_numpy(noise), whole_photos(1))[SCORES].numpy()
    except (*REFUSALS, ValueError) as error:
        raise ModelError(f"{file} cannot be run on an image: {one_line(error)}; use another file") from error
    if not np.isfinite(scores).all():
        raise ModelError(f"{file} gives scores that are not finite; check --teacher-mean and --teacher-std")
    if scores.shape[1] != len(found.labels):
        raise ConfigError(
            f"{file} has {scores.shape[1]:,} outputs and {len(found.labels):,} names of classes; give --teacher-labels "
            "with one name per output"
        )


def _ends(what: str, ends: list[Any]) -> str:
    shown = ", ".join(f"{end.type} {end.shape}" for end in ends[:3])
    return f"{len(ends)} {what}{'' if len(ends) == 1 else 's'} ({shown})"
