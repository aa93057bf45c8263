"""Metric learning from classes, and copying the vectors of a teacher."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from mobilenet.datasets.targets import Targets, Unlabelled
from mobilenet.images.augment import Crops
from mobilenet.nn.losses import angular_margin_loss, contrastive_loss, vector_distance
from mobilenet.nn.objective import Raw
from mobilenet.tasks.embedding.head import OUTPUT, PROJECTION
from mobilenet.tasks.embedding.targets import Identities

__all__ = ["EmbeddingObjective"]

_NUMBERS = "numbers"
_SCALE, _MARGIN = 30.0, 0.3
"""Of ArcFace; its authors' 64 and 0.5 are for hundreds of thousands of classes."""

_TEMPERATURE = 0.1


class EmbeddingObjective:
    """Minimises ArcFace's or the supervised contrastive loss of vectors of `dimensions` numbers; also reports the share
    of a batch's photos, among those of whose class there is another one, for which the nearest is of their class.

    `distance` is what students minimise: the squared distance of vectors of length 1, or 1 - their cosine, half of it.
    """

    names = ("loss", "recall_at_1")
    zero_start: tuple[str, ...] = ()
    initial: Mapping[str, float] = MappingProxyType({})
    fits_head = True

    def __init__(
        self,
        dimensions: int,
        *,
        loss: Literal["arcface", "contrastive"] = "contrastive",
        distance: Literal["squared", "cosine"] = "squared",
        projected: bool = True,
    ) -> None:
        self._dimensions, self._loss, self._projected = dimensions, loss, projected
        self._factor = 1.0 if distance == "squared" else 0.5
        self._centres: nn.ParameterDict | None = None

    def learned(self, targets: Targets) -> nn.Module | None:
        """The centre of each class, (classes, D), for ArcFace."""
        if self._loss != "arcface" or isinstance(targets, Unlabelled):
            return None
        classes = len(_identities(targets).names)
        centres = nn.Parameter(F.normalize(torch.randn(classes, self._dimensions)))
        self._centres = nn.ParameterDict({"centres": centres})
        return self._centres

    def batch(self, targets: Targets, indices: NDArray[np.int64], _crops: Crops) -> dict[str, NDArray[np.int64]]:
        """{"numbers": (B,) int64}; the class does not depend on the crop."""
        return {_NUMBERS: _identities(targets).numbers[indices]}

    def __call__(self, outputs: Raw, targets: Mapping[str, Tensor]) -> Tensor:
        """(2,) float32: loss in nats and the share of nearest neighbours that are right (0…1)."""
        vectors, numbers = outputs[OUTPUT], targets[_NUMBERS]
        if self._centres is None:
            loss = contrastive_loss(vectors, numbers, _TEMPERATURE)
        else:
            centres = self._centres["centres"]
            loss = angular_margin_loss(vectors, centres, numbers, scale=_SCALE, margin=_MARGIN)
        return torch.stack([loss, _recall(vectors.detach(), numbers)])

    def distil(self, student: Raw, teacher: Raw, _temperature: float = 1.0) -> Tensor:
        """The distance of the student's vectors from the teacher's, at any temperature: (), summed over photos."""
        return self._factor * vector_distance(student[OUTPUT], teacher[OUTPUT]).sum()

    def fit_head(self, features: Tensor, targets: Mapping[str, Tensor], _seed: int) -> dict[str, Tensor] | None:
        """(N, F) features -> the projection on their principal components, which keeps what is near; None where there
        are more dimensions than components. The centres start at the means of their classes."""
        state = self._components(features) if self._projected else None
        if self._centres is not None and (state is not None or not self._projected):
            vectors = features if state is None else F.linear(features, *state.values())
            self._place_centres(F.normalize(vectors), targets[_NUMBERS])
        return state

    def _components(self, features: Tensor) -> dict[str, Tensor] | None:
        if self._dimensions > min(features.shape):
            return None
        mean = features.double().mean(0)
        centred = features.double() - mean
        _, components = torch.linalg.eigh(centred.T @ centred)
        matrix = components.flip(1)[:, : self._dimensions].T.contiguous()
        return {f"{PROJECTION}.weight": matrix.float(), f"{PROJECTION}.bias": -(matrix @ mean).float()}

    def _place_centres(self, vectors: Tensor, numbers: Tensor) -> None:
        if self._centres is None:
            return
        with torch.no_grad():
            centres = self._centres["centres"]
            sums = torch.zeros_like(centres).index_add_(0, numbers, vectors.to(centres))
            seen = sums.norm(dim=1) > 0
            centres[seen] = F.normalize(sums[seen])


def _recall(vectors: Tensor, numbers: Tensor) -> Tensor:
    """() the share of (N, D) vectors whose nearest other is of their class, of those that have such others."""
    unit = F.normalize(vectors)
    similar = (unit @ unit.T).fill_diagonal_(-2)
    mates = (numbers[:, None] == numbers).sum(1) > 1
    right = numbers[similar.argmax(1)] == numbers
    return (right & mates).sum() / mates.sum().clamp_min(1)


def _identities(targets: Targets) -> Identities:
    if not isinstance(targets, Identities):
        raise TypeError(f"targets are {type(targets).__name__}, not classes")
    return targets
