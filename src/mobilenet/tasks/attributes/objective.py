"""Binary cross-entropy of the known attributes, its distillation, and a linear classifier fitted to features."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from mobilenet.datasets.targets import Targets
from mobilenet.images.augment import Crops
from mobilenet.nn.linear_probe import fit_binary_heads
from mobilenet.nn.losses import sigmoid_divergence
from mobilenet.nn.objective import Raw
from mobilenet.spec.mobilenet import CLASSIFIER
from mobilenet.tasks.attributes.targets import AttributeTargets
from mobilenet.tasks.attributes.weighting import value_weights

__all__ = ["AttributeObjective"]

_OUTPUT, _VALUES, _WEIGHTS = "probabilities", "values", "weights"


class AttributeObjective:
    """Minimises the weighted mean binary cross-entropy of the known values, with label smoothing (0…0.9); also reports
    the share of them that a threshold of 0.5 answers correctly.

    Weights give rare attributes their share of what the network learns (`weighting`); those of unknown values are 0.
    """

    names = ("loss", "accuracy")
    zero_start = (f"{CLASSIFIER}.weight", f"{CLASSIFIER}.bias")
    initial: Mapping[str, float] = MappingProxyType({})
    fits_head = True

    def __init__(self, *, label_smoothing: float = 0.0, class_balanced: bool = False) -> None:
        self._smoothing, self._balanced = label_smoothing, class_balanced
        self._weighed: tuple[AttributeTargets, NDArray[np.float32]] | None = None

    def learned(self, _targets: Targets) -> None:
        """Nothing: the classifier is part of the network."""

    def batch(self, targets: Targets, indices: NDArray[np.int64], _crops: Crops) -> dict[str, NDArray[np.float32]]:
        """{"values": (B, attributes) float32, 0 or 1, "weights": (B, attributes) float32, 0 for unknown values}; they
        do not depend on the crop."""
        if not isinstance(targets, AttributeTargets):
            raise TypeError(f"targets are {type(targets).__name__}, not attributes")
        said = targets.values[indices]
        weights = self._weights(targets)[np.maximum(said, 0), np.arange(said.shape[1])]
        return {_VALUES: (said == 1).astype(np.float32), _WEIGHTS: np.where(said >= 0, weights, np.float32(0))}

    def __call__(self, outputs: Raw, targets: Mapping[str, Tensor]) -> Tensor:
        """(2,) float32: loss in nats, and the share of correct answers (0…1); 0 for a batch without known values."""
        logits, values, weights = outputs[_OUTPUT], targets[_VALUES], targets[_WEIGHTS]
        known = weights > 0
        count = known.sum().clamp_min(1)
        soft = values * (1 - self._smoothing) + self._smoothing / 2
        losses = F.binary_cross_entropy_with_logits(logits, soft, weights, reduction="sum")
        right = ((logits.detach() >= 0) == (values > 0)) & known
        return torch.stack([losses / count, right.sum() / count])

    def distil(self, student: Raw, teacher: Raw, temperature: float = 1.0) -> Tensor:
        """Kullback-Leibler divergence of each of the student's probabilities from the teacher's, as distributions over
        yes and no: (), in nats, mean over attributes, summed over photos."""
        return sigmoid_divergence(student[_OUTPUT], teacher[_OUTPUT], temperature)

    def fit_head(self, features: Tensor, targets: Mapping[str, Tensor], seed: int) -> dict[str, Tensor]:
        """A linear classifier fitted to (N, F) features, full batch."""
        matrix, bias = fit_binary_heads(features, targets[_VALUES], targets[_WEIGHTS], seed)
        return {f"{CLASSIFIER}.weight": matrix, f"{CLASSIFIER}.bias": bias}

    def _weights(self, targets: AttributeTargets) -> NDArray[np.float32]:
        """The weights of a no and of a yes (2, attributes); all batches of a run come from the same targets."""
        if self._weighed is None or self._weighed[0] is not targets:
            self._weighed = targets, value_weights(targets, balanced=self._balanced)
        return self._weighed[1]
