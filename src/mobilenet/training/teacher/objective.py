"""Distillation (Hinton et al., 2015, arXiv 1503.02531): any task's objective, with a teacher's outputs in its loss."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mobilenet.datasets.targets import Targets, labelled_part
from mobilenet.images.augment import Crops
from mobilenet.nn.objective import Objective, Raw

__all__ = ["TEACHER", "DistilledObjective"]

TEACHER = "teacher."
"""Prefix of the teacher's outputs among the targets of a batch."""

_LABELLED = "labelled"
"""The places (L,) in a batch of the photos that have labels."""


class DistilledObjective:
    """Minimises the mean over the photos of a batch of weight · D + (1 - weight) · T with a label, D without one.

    D is the task's `distil` at `temperature`, T its loss. `weight` is in (0, 1]; `labelled` in 0…1 is the share of the
    run's photos with a label, and what else the task reports is a mean over those alone.
    """

    def __init__(self, objective: Objective, weight: float, temperature: float, labelled: float) -> None:
        self._objective, self._weight, self._temperature = objective, weight, temperature
        self._share = labelled
        self._learned: nn.Module | None = None
        self.names = objective.names if labelled else objective.names[:1]
        self.zero_start, self.initial = objective.zero_start, objective.initial
        self.fits_head = objective.fits_head

    def learned(self, targets: Targets) -> nn.Module | None:
        """As the task's, for the photos with labels; None where no loss of the task is minimised."""
        if self._share and self._weight < 1:
            self._learned = self._objective.learned(labelled_part(targets)[0])
        return self._learned

    def batch(self, targets: Targets, indices: NDArray[np.int64], crops: Crops) -> dict[str, NDArray[Any]]:
        """The targets of those of the photos `indices` (B,) that have some, (L, …) each, and their places (L,) in the
        batch."""
        known, rows = labelled_part(targets)
        chosen = rows[indices]
        places = np.flatnonzero(chosen >= 0)
        if not len(places):
            return {_LABELLED: places}
        return {**self._objective.batch(known, chosen[places], crops.take(places)), _LABELLED: places}

    def __call__(self, outputs: Raw, targets: Mapping[str, Tensor]) -> Tensor:
        """(len(names),) float32: the loss of the mix, and the task's other figures."""
        photos = len(next(iter(outputs.values())))
        labels = {
            name: values for name, values in targets.items() if not name.startswith(TEACHER) and name != _LABELLED
        }
        teacher = {name: targets[f"{TEACHER}{name}"] for name in outputs}
        places = targets[_LABELLED]
        task = self._labelled(_at(outputs, places), labels) if len(places) else None
        loss = self._divergence(outputs, teacher, places, photos)
        if task is not None and self._weight < 1:
            loss = loss + (1 - self._weight) * len(places) / photos * task[0]
        elif self._learned is not None:
            # Processes average the gradients of all that is learned, also those of a share without labels.
            loss = loss + 0 * sum(values.sum() for values in self._learned.parameters())
        others = torch.zeros(len(self.names) - 1, device=loss.device)
        if task is not None:
            # Batches have different numbers of labelled photos: their sum over an epoch is the mean over its photos.
            others = task[1:].detach() * (len(places) / photos / self._share)
        return torch.cat([loss[None], others])

    def distil(self, student: Raw, teacher: Raw, temperature: float = 1.0) -> Tensor:
        """As the task's: () summed over the photos."""
        return self._objective.distil(student, teacher, temperature)

    def fit_head(self, features: Tensor, targets: Mapping[str, Tensor], seed: int) -> dict[str, Tensor] | None:
        """As the task's, for (N, F) features of photos that all have labels."""
        labels = {name: values for name, values in targets.items() if name != _LABELLED}
        return self._objective.fit_head(features, labels, seed)

    def _labelled(self, outputs: Raw, labels: Mapping[str, Tensor]) -> Tensor:
        if self._weight < 1:
            return self._objective(outputs, labels)
        with torch.no_grad():
            return self._objective(outputs, labels)

    def _divergence(self, outputs: Raw, teacher: Raw, places: Tensor, photos: int) -> Tensor:
        everywhere = self._objective.distil(outputs, teacher, self._temperature) / photos
        if self._weight == 1 or not len(places):
            return everywhere
        there = self._objective.distil(_at(outputs, places), _at(teacher, places), self._temperature) / photos
        return everywhere - (1 - self._weight) * there


def _at(outputs: Raw, places: Tensor) -> Raw:
    return {name: values[places] for name, values in outputs.items()}
