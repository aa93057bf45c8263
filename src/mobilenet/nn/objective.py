"""What a network is trained to do: the part of a task that computes with tensors."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from mobilenet.datasets.targets import Targets
from mobilenet.images.augment import Crops

__all__ = ["Objective", "Raw"]

Raw = Mapping[str, Tensor]
"""A network's outputs by name before their endings, each (N, *shape) float32."""


class Objective(Protocol):
    """The loss of a task, and whatever else its training needs."""

    @property
    def names(self) -> tuple[str, ...]:
        """The figures reported per step, such as ("loss", "top1"); the first is minimised."""
        ...

    @property
    def zero_start(self) -> tuple[str, ...]:
        """The parameters of the head that are zero when training starts from pretrained weights, by their names in the
        network; the others of the head start as initialised."""
        ...

    @property
    def fits_head(self) -> bool:
        """Whether `fit_head` is worth the features of all photos."""
        ...

    @property
    def initial(self) -> Mapping[str, float]:
        """The parameters of the head that start at a number of their own, by their names in the network, in every
        training."""
        ...

    def learned(self, targets: Targets) -> nn.Module | None:
        """What the loss itself learns beside the network, such as the centres of the classes in the training `targets`;
        it is asked for once, before the first step, and is not part of the model file. None for most losses."""
        ...

    def batch(self, targets: Targets, indices: NDArray[np.int64], crops: Crops) -> dict[str, NDArray[Any]]:
        """The targets of the photos `indices` (B,) as arrays (B, …); `crops` are the parts of the photos that the
        network will see, for targets that move with them."""
        ...

    def __call__(self, outputs: Raw, targets: Mapping[str, Tensor]) -> Tensor:
        """(len(names),) float32: means over the batch, the first with its gradient."""
        ...

    def distil(self, student: Raw, teacher: Raw, temperature: float = 1.0) -> Tensor:
        """The divergence of a student's outputs from its teacher's: (), summed over the photos.

        Probabilities are compared at `temperature` (> 0): logits are divided by it, and the divergence is multiplied by
        its square, which keeps the size of gradients (Hinton et al., 2015)."""
        ...

    def fit_head(self, features: Tensor, targets: Mapping[str, Tensor], seed: int) -> dict[str, Tensor] | None:
        """(N, F) float32 features of all training photos -> the state of the head's rows, by its names in the network;
        None if the head keeps its random initialisation."""
        ...
