"""Cross-entropy over classes, its distillation, and a linear classifier fitted to features."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mobilenet.datasets.targets import Targets
from mobilenet.images.augment import Crops
from mobilenet.nn.linear_probe import fit_head
from mobilenet.nn.losses import classification_loss, softmax_divergence
from mobilenet.nn.objective import Raw
from mobilenet.spec.mobilenet import CLASSIFIER
from mobilenet.tasks.classification.targets import ClassTargets

__all__ = ["ClassificationObjective"]

_OUTPUT, _NUMBERS = "probabilities", "numbers"


class ClassificationObjective:
    """Minimises the mean cross-entropy with label smoothing (0…0.9); also reports top-1 accuracy."""

    names = ("loss", "top1")
    zero_start = (f"{CLASSIFIER}.weight", f"{CLASSIFIER}.bias")
    initial: Mapping[str, float] = MappingProxyType({})
    fits_head = True

    def __init__(self, classes: int, *, label_smoothing: float = 0.0, class_balanced: bool = False) -> None:
        self._classes, self._smoothing, self._balanced = classes, label_smoothing, class_balanced

    def learned(self, _targets: Targets) -> None:
        """Nothing: the classifier is part of the network."""

    def batch(self, targets: Targets, indices: NDArray[np.int64], _crops: Crops) -> dict[str, NDArray[np.int64]]:
        """{"numbers": (B,) int64}; the class does not depend on the crop."""
        if not isinstance(targets, ClassTargets):
            raise TypeError(f"targets are {type(targets).__name__}, not classes")
        return {_NUMBERS: targets.numbers[indices]}

    def __call__(self, outputs: Raw, targets: Mapping[str, Tensor]) -> Tensor:
        """(2,) float32: loss in nats and top-1 accuracy (0…1)."""
        logits, numbers = outputs[_OUTPUT], targets[_NUMBERS]
        loss = classification_loss(logits, numbers, self._smoothing)
        return torch.stack([loss, (logits.detach().argmax(1) == numbers).float().mean()])

    def distil(self, student: Raw, teacher: Raw, temperature: float = 1.0) -> Tensor:
        """Kullback-Leibler divergence of the student's outputs from the teacher's: (), in nats, summed over photos."""
        return softmax_divergence(student[_OUTPUT], teacher[_OUTPUT], temperature)

    def fit_head(self, features: Tensor, targets: Mapping[str, Tensor], seed: int) -> dict[str, Tensor]:
        """A linear classifier fitted to (N, F) features, full batch."""
        numbers = targets[_NUMBERS]
        weights = self._class_weights(numbers) if self._balanced else None
        matrix, bias = fit_head(features, numbers, self._classes, seed, weights)
        return {f"{CLASSIFIER}.weight": matrix, f"{CLASSIFIER}.bias": bias}

    def _class_weights(self, numbers: Tensor) -> Tensor:
        """Weights that give all classes the same influence, with a mean of 1 over the photos."""
        return len(numbers) / (self._classes * torch.bincount(numbers, minlength=self._classes).clamp_min(1))
