"""A teacher in the student's terms: its outputs under the student's names and in the order of the student's."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mobilenet.errors import ConfigError
from mobilenet.images.augment import Crops, whole_photos
from mobilenet.model.card import ModelCard
from mobilenet.model.outputs import Ending, Output
from mobilenet.model.vocabulary import listed
from mobilenet.nn.endings import raw
from mobilenet.training.teacher.network import Teacher
from mobilenet.training.teacher.settings import UNLABELLED_HINT

__all__ = ["AlignedTeacher", "aligned"]

_SUM_TOLERANCE = 1e-3
"""How far the sum of a file's float32 or 8-bit probabilities may be from 1."""


@dataclass(frozen=True, slots=True, eq=False)
class AlignedTeacher:
    """`outputs` are the student's. `order` (names,) are the places of its names among the teacher's, None for the same
    order. `endings`: what turns the student's raw values into what the teacher gives, "none" for raw values."""

    teacher: Teacher
    outputs: tuple[Output, ...]
    order: Tensor | None
    endings: tuple[Ending, ...]
    sources: tuple[str, ...]

    def raw(self, pixels: Tensor, crops: Crops) -> dict[str, Tensor]:
        """(N, S, S, 3) uint8 pixels of whole photos and N crops of them -> the student's outputs by name, before their
        endings, as the teacher says them: each (N, *shape) float32, on the device of the teacher."""
        found = self.teacher.answer(pixels, crops)
        made = {}
        for output, source, ending in zip(self.outputs, self.sources, self.endings, strict=True):
            values = raw(found[source], ending)
            made[output.name] = values if self.order is None else values[..., self.order.to(values.device)]
        return made

    @property
    def width(self) -> int:
        """Number of values for one photo."""
        return sum(output.size for output in self.outputs)


def aligned(teacher: Teacher, card: ModelCard, noun: str) -> AlignedTeacher:
    """The teacher for a student with this card, whose names are called `noun`, matched by name.

    ConfigError if the teacher lacks one of them, is for another task, or has outputs of another kind.
    """
    if teacher.task not in (None, card.task):
        raise ConfigError(
            f"the teacher {teacher.name} is for {teacher.task}, and the student for {card.task}; use a teacher for "
            f"{card.task}"
        )
    order = _order(teacher, card.labels, noun)
    if teacher.task is None:
        return _scoring(teacher, card, order)
    _check_decoding(teacher, card)
    theirs = {output.name: output for output in teacher.outputs}
    for output in card.outputs:
        other = theirs.get(output.name)
        shape = None if other is None else other.shape
        by_name = shape is not None and shape[-1] == len(teacher.vocabulary.names)
        if shape is not None and order is not None:
            shape = (*shape[:-1], len(order)) if by_name else None
        if shape != output.shape:
            raise ConfigError(
                f"the teacher {teacher.name} has outputs {_shapes(teacher.outputs)}, the student "
                f"{_shapes(card.outputs)}; use a teacher with the same {noun} in the same order"
            )
    names = tuple(output.name for output in card.outputs)
    return AlignedTeacher(teacher, card.outputs, order, tuple[Ending, ...]("none" for _ in names), names)


def _check_decoding(teacher: Teacher, card: ModelCard) -> None:
    """ConfigError where the same numbers mean something else, or vectors are of another length."""
    fields = teacher.vocabulary.fields
    vectors = {output.name: output.size for output in card.outputs if output.ending == "l2"}
    for other in teacher.outputs:
        if other.size != (size := vectors.get(other.name, other.size)):
            raise ConfigError(
                f"the teacher {teacher.name} gives vectors of {other.size:,} numbers, and the student of {size:,}; "
                f"train the student with {other.size:,}, or use another teacher"
            )
    # Vectors mean the same whatever a model file says of them.
    if len(vectors) < len(card.outputs) and any(fields.get(name) != value for name, value in card.decoding.items()):
        raise ConfigError(
            f"the teacher {teacher.name} decodes its outputs differently than the student; use one trained on such data"
        )


def _scoring(teacher: Teacher, card: ModelCard, order: Tensor | None) -> AlignedTeacher:
    """A network of another tool, with one output of scores, which may be probabilities."""
    (output, *others) = card.outputs
    if others or output.shape != (len(card.labels),) or output.ending not in ("softmax", "sigmoid"):
        raise ConfigError(
            f"the teacher {teacher.name} gives one score per class, and the student is for {card.task}; use a teacher "
            f"for {card.task}"
        )
    noise = np.random.default_rng(0).integers(0, 256, (4, teacher.resolution, teacher.resolution, 3), np.uint8)
    ((source, scores),) = teacher.answer(torch.from_numpy(noise), whole_photos(len(noise))).items()
    ending: Ending = output.ending if _are_probabilities(scores, output.ending) else "none"
    return AlignedTeacher(teacher, card.outputs, order, (ending,), (source,))


def _are_probabilities(scores: Tensor, ending: Ending) -> bool:
    inside = bool(((scores >= 0) & (scores <= 1 + _SUM_TOLERANCE)).all())
    return inside and (ending == "sigmoid" or bool(((scores.sum(1) - 1).abs() < _SUM_TOLERANCE).all()))


def _order(teacher: Teacher, wanted: Sequence[str], noun: str) -> Tensor | None:
    names = teacher.vocabulary.names
    if tuple(wanted) == names:
        return None
    place = {name: index for index, name in enumerate(names)}
    missing = [name for name in wanted if name not in place]
    if missing:
        raise ConfigError(
            f"the teacher {teacher.name} does not know {len(missing)} of the student's {len(wanted)} {noun}: "
            f"{listed(missing)}; it knows {listed(names)}; {UNLABELLED_HINT}"
        )
    if twice := [name for name in wanted if names.count(name) > 1]:
        raise ConfigError(
            f"the teacher {teacher.name} has two outputs with the name {twice[0]!r}; give --teacher-labels with "
            "different names"
        )
    return torch.tensor([place[name] for name in wanted])


def _shapes(outputs: Sequence[Output]) -> str:
    return ", ".join(f"{output.name} {output.shape}" for output in outputs)
