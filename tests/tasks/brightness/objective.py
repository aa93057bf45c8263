"""Squared error of the brightness and cross-entropy of the quadrant."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from brightness.targets import Light
from mobilenet.datasets.targets import Targets
from mobilenet.images.augment import Crops
from mobilenet.nn.losses import softmax_divergence
from mobilenet.nn.objective import Raw


class LightObjective:
    names = ("loss", "quadrant")
    zero_start: tuple[str, ...] = ()
    initial: Mapping[str, float] = MappingProxyType({})
    fits_head = True

    def learned(self, targets: Targets) -> None:
        return None

    def batch(self, targets: Targets, indices: NDArray[np.int64], crops: Crops) -> dict[str, NDArray[Any]]:
        assert isinstance(targets, Light)
        # left and right change places on a mirrored photo
        quadrant = targets.quadrant[indices] ^ crops.mirrored.astype(np.int64)
        return {"brightness": targets.brightness[indices], "quadrant": quadrant}

    def __call__(self, outputs: Raw, targets: Mapping[str, Tensor]) -> Tensor:
        found = torch.sigmoid(outputs["brightness"][:, 0])
        loss = F.mse_loss(found, targets["brightness"]) + F.cross_entropy(outputs["quadrant"], targets["quadrant"])
        right = (outputs["quadrant"].detach().argmax(1) == targets["quadrant"]).float().mean()
        return torch.stack([loss, right])

    def distil(self, student: Raw, teacher: Raw, temperature: float = 1.0) -> Tensor:
        one, other = (torch.sigmoid(raw["brightness"]) for raw in (student, teacher))
        quadrants = softmax_divergence(student["quadrant"], teacher["quadrant"], temperature)
        return F.mse_loss(one, other, reduction="sum") + quadrants

    def fit_head(self, _features: Tensor, _targets: Mapping[str, Tensor], _seed: int) -> None:
        return None
