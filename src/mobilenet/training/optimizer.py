"""The optimisers, and which parameters they decay."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from mobilenet.training.settings import TrainingSettings

__all__ = ["PaperRMSprop", "build_optimizer", "parameter_groups"]


class PaperRMSprop(torch.optim.Optimizer):
    """RMSprop as in TensorFlow, with which the paper trained: epsilon inside the root, the mean square starting at one.

    torch's own adds epsilon outside the root, which at the paper's epsilon of 1 is another algorithm.
    """

    def __init__(
        self, params: Iterable[Any], lr: float, *, alpha: float = 0.9, momentum: float = 0.9, epsilon: float = 1.0
    ) -> None:
        super().__init__(
            params, {"lr": lr, "alpha": alpha, "momentum": momentum, "epsilon": epsilon, "weight_decay": 0.0}
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One update of every parameter that has a gradient."""
        loss = None if closure is None else closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, group)
        return loss

    def _update(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["square"] = torch.ones_like(parameter)
            state["velocity"] = torch.zeros_like(parameter)
        if group["weight_decay"]:
            gradient = gradient.add(parameter, alpha=group["weight_decay"])
        square, velocity = state["square"], state["velocity"]
        square.mul_(group["alpha"]).addcmul_(gradient, gradient, value=1 - group["alpha"])
        velocity.mul_(group["momentum"]).addcdiv_(gradient, square.add(group["epsilon"]).sqrt_(), value=group["lr"])
        parameter.sub_(velocity)


def parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Two groups: filters and matrices, which decay; depthwise filters, norms and biases, which do not (paper, section
    3.2).
    """
    decayed: list[Tensor] = []
    kept: list[Tensor] = []
    for module in network.modules():
        depthwise = getattr(module, "groups", 1) > 1
        for parameter in module.parameters(recurse=False):
            (kept if depthwise or parameter.ndim < 2 else decayed).append(parameter)
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": kept, "weight_decay": 0.0}]


def build_optimizer(network: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    """The optimiser that the settings name, at its peak learning rate."""
    groups = parameter_groups(network, settings.decay)
    rate = settings.peak_learning_rate
    match settings.optimizer:
        case "sgd":
            return torch.optim.SGD(groups, rate, momentum=0.9, nesterov=True, fused=True)
        case "adamw":
            return torch.optim.AdamW(groups, rate, fused=True)
        case "rmsprop":
            return PaperRMSprop(groups, rate)
