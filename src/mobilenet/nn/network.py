"""From the table to torch: one module per row, named like the row."""

import torch
from torch import Tensor, nn

from mobilenet.errors import SpecError
from mobilenet.nn.layers import Convolution, ConvUnit, GlobalAverage, LinearUnit
from mobilenet.spec.rows import Conv, GlobalPool, Linear, Network, Row

__all__ = ["Classifier", "place"]


class Classifier(nn.Module):
    """The network of a spec whose rows follow one another: (N, 3, R, R) normalised pixels -> (N, classes) float32
    logits; with a spec of 0 classes, (N, features) float32.

    `SpecError` for a row that has no module (the networks that are only compared with have branches and pools).
    """

    def __init__(self, spec: Network) -> None:
        super().__init__()
        self.spec = spec
        for row in spec.rows:
            self._place(row.name, _module(row, spec.name))
        self.turned = _is_turned(self, spec.name)
        self._body = len(spec.rows) - isinstance(spec.rows[-1], Linear)

    def features(self, x: Tensor) -> Tensor:
        """(N, 3, R, R) normalised pixels -> (N, features) float32: what the last linear row reads."""
        if self.turned:
            x = x.flip((2, 3))
        for row in self.spec.rows[: self._body]:
            x = self.get_submodule(row.name)(x)
        return x

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        for row in self.spec.rows[self._body :]:
            x = self.get_submodule(row.name)(x)
        return x

    def _place(self, name: str, module: nn.Module) -> None:
        parent: nn.Module = self
        *groups, last = name.split(".")
        for group in groups:
            if not hasattr(parent, group):
                parent.add_module(group, nn.Module())
            parent = parent.get_submodule(group)
        parent.add_module(last, module)


def place(network: nn.Module, device: torch.device) -> nn.Module:
    """Move `network` to `device` and lay its filters out as (out, height, width, in), the fastest order everywhere."""
    return network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def _is_turned(network: nn.Module, architecture: str) -> bool:
    """Whether convolutions want turned planes (`nn.layers.Convolution`): all that look around themselves, or none.

    Nothing turns them back: the average over the plane, which ends every network here, is the same either way.
    """
    found = [module for module in network.modules() if isinstance(module, Convolution) and module.kernel_size != (1, 1)]
    turned = {module.turned for module in found}
    if len(turned) > 1:
        raise SpecError(f"{architecture} mixes TensorFlow's padding with another; give all its rows one padding")
    return turned == {True}


def _module(row: Row, architecture: str) -> nn.Module:
    match row:
        case Conv(inputs=()):
            return ConvUnit(row)
        case GlobalPool(inputs=()):
            return GlobalAverage(row)
        case Linear(inputs=()):
            return LinearUnit(row)
    raise SpecError(f"{architecture} can be costed but not trained: row {row.name} has no module; use a mobilenet_v1")
