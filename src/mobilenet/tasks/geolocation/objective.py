"""Cross-entropy over cells smoothed over those nearby, its distillation, and a linear classifier fitted to features."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from mobilenet.datasets.targets import Targets
from mobilenet.images.augment import Crops
from mobilenet.metrics.geodesic import EARTH_RADIUS_KM, unit_vectors
from mobilenet.nn.linear_probe import fit_head
from mobilenet.nn.losses import softmax_divergence
from mobilenet.nn.objective import Raw
from mobilenet.spec.mobilenet import CLASSIFIER
from mobilenet.tasks.geolocation.table import Table
from mobilenet.tasks.geolocation.targets import PlaceTargets

__all__ = ["GeolocationObjective"]

_OUTPUT, _VECTORS, _NUMBERS = "probabilities", "vectors", "numbers"


class GeolocationObjective:
    """Minimises the mean cross-entropy of the cells with labels smoothed over those nearby (`smoothing`), and over all
    (`label_smoothing`, 0…0.9); also reports the share of photos whose likeliest cell is their own."""

    names = ("loss", "own_cell")
    zero_start = (f"{CLASSIFIER}.weight", f"{CLASSIFIER}.bias")
    initial: Mapping[str, float] = MappingProxyType({})
    fits_head = True

    def __init__(
        self, table: Table, *, smoothing: float, label_smoothing: float = 0.0, class_balanced: bool = False
    ) -> None:
        self._table, self._smoothing = table, smoothing
        self._label_smoothing, self._balanced = label_smoothing, class_balanced

    def learned(self, _targets: Targets) -> None:
        """Nothing: the classifier is part of the network."""

    def batch(self, targets: Targets, indices: NDArray[np.int64], _crops: Crops) -> dict[str, NDArray[Any]]:
        """{"vectors": (B, 3) float32 places as unit vectors, "numbers": (B,) int64 own cells}; they do not depend on
        the crop."""
        if not isinstance(targets, PlaceTargets):
            raise TypeError(f"targets are {type(targets).__name__}, not places")
        vectors = unit_vectors(targets.degrees[indices]).astype(np.float32)
        return {_VECTORS: vectors, _NUMBERS: targets.numbers[indices]}

    def __call__(self, outputs: Raw, targets: Mapping[str, Tensor]) -> Tensor:
        """(2,) float32: loss in nats, and the share of own cells that are the likeliest (0…1)."""
        logits, numbers = outputs[_OUTPUT], targets[_NUMBERS]
        loss = F.cross_entropy(logits, self._labels(targets), label_smoothing=self._label_smoothing)
        return torch.stack([loss, (logits.detach().argmax(1) == numbers).float().mean()])

    def distil(self, student: Raw, teacher: Raw, temperature: float = 1.0) -> Tensor:
        """Kullback-Leibler divergence of the student's outputs from the teacher's: (), in nats, summed over photos."""
        return softmax_divergence(student[_OUTPUT], teacher[_OUTPUT], temperature)

    def fit_head(self, features: Tensor, targets: Mapping[str, Tensor], seed: int) -> dict[str, Tensor]:
        """A linear classifier fitted to (N, F) features, full batch."""
        cells = len(self._table.centres)
        weights = self._cell_weights(targets[_NUMBERS]) if self._balanced else None
        matrix, bias = fit_head(features, self._labels(targets), cells, seed, weights)
        return {f"{CLASSIFIER}.weight": matrix, f"{CLASSIFIER}.bias": bias}

    def _labels(self, targets: Mapping[str, Tensor]) -> Tensor:
        """(B,) own cells, or (B, C) those smoothed as by `smoothing.smooth_labels`."""
        vectors, numbers = targets[_VECTORS], targets[_NUMBERS]
        if not self._smoothing:
            return numbers
        centres, spreads = (
            torch.from_numpy(values).to(vectors) for values in (self._table.vectors, self._table.spreads_km)
        )
        # Not by products, of which float32 keeps nothing below a kilometre.
        chords = torch.cdist(vectors, centres, compute_mode="donot_use_mm_for_euclid_dist")
        far = 2 * EARTH_RADIUS_KM * torch.asin((chords / 2).clamp_max(1))
        return torch.softmax(-far / (self._smoothing * spreads[numbers])[:, None], 1)

    def _cell_weights(self, numbers: Tensor) -> Tensor:
        """(C,) weights that give all cells the same influence, with a mean of 1 over the photos."""
        cells = len(self._table.centres)
        return len(numbers) / (cells * torch.bincount(numbers, minlength=cells).clamp_min(1))
