"""The moving average of a network's weights: what is evaluated and saved."""

import copy

import torch
from torch import Tensor, nn

from mobilenet.nn.network import TableNetwork

__all__ = ["WeightAverage"]


class WeightAverage:
    """An exponential moving average of parameters and batch-norm statistics (Polyak averaging).

    Its window starts short and grows until the decay is `decay`, so that the first epochs are soon forgotten.
    """

    def __init__(self, network: TableNetwork, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(requires_grad=False)
        self.decay = decay
        self.updates = 0
        self._averaged = _floats(self.network)
        self._followed = _floats(network)

    @torch.no_grad()
    def restart(self) -> None:
        """Reset the average to the network's current weights."""
        self.updates = 0
        torch._foreach_copy_(self._averaged, self._followed)

    @torch.no_grad()
    def update(self) -> None:
        """Move the average towards the network's current weights."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(self._averaged, self._followed, 1 - decay)


def _floats(network: nn.Module) -> list[Tensor]:
    return [*network.parameters(), *network.buffers()]
