"""The optimisers, and the parameters that weight decay applies to."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from mobilenet.training.recipe import Plan
from mobilenet.training.settings import Optimizer

__all__ = ["PaperRMSprop", "build_optimizer", "parameter_groups", "parts"]


class PaperRMSprop(torch.optim.Optimizer):
    """RMSprop as in TensorFlow, which the paper used: epsilon inside the root, the mean square initialised to one.

    torch's own adds epsilon outside the root, which is a different algorithm at the paper's epsilon of 1.
    """

    def __init__(
        self, params: Iterable[Any], lr: float, *, alpha: float = 0.9, momentum: float = 0.9, epsilon: float = 1.0
    ) -> None:
        super().__init__(
            params, {"lr": lr, "alpha": alpha, "momentum": momentum, "epsilon": epsilon, "weight_decay": 0.0}
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update every parameter that has a gradient; returns what `closure` does."""
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


def parameter_groups(network: nn.Module, weight_decay: float, layer_decay: float = 1.0) -> list[dict[str, Any]]:
    """Parameter groups for an optimiser, each with its `weight_decay` and its `scale` of the learning rate.

    Filters and matrices decay; depthwise filters, norms and biases do not (paper, section 3.2). The last part of the
    network (`parts`) has scale 1, each part before it `layer_decay` times the scale of the next.
    """
    groups: list[dict[str, Any]] = []
    for depth, part in enumerate(reversed(parts(network))):
        _add(groups, part, weight_decay, layer_decay**depth)
    return [group for group in groups if group["params"]]


def parts(network: nn.Module) -> list[nn.Module]:
    """What shares a learning rate and is unfrozen together: stem, each block, classifier, in order of computation."""
    return [part for part in network.children() if any(True for _ in part.parameters())]


def _add(groups: list[dict[str, Any]], part: nn.Module, weight_decay: float, scale: float) -> None:
    if not groups or groups[-1]["scale"] != scale:
        groups += [{"params": [], "weight_decay": decay, "scale": scale} for decay in (weight_decay, 0.0)]
    for module in part.modules():
        depthwise = getattr(module, "groups", 1) > 1
        for parameter in module.parameters(recurse=False):
            groups[-1 if depthwise or parameter.ndim < 2 else -2]["params"].append(parameter)


def build_optimizer(
    network: nn.Module, name: Optimizer, plan: Plan, learned: nn.Module | None = None
) -> torch.optim.Optimizer:
    """The optimiser called `name`, at the plan's peak learning rate; what the loss has `learned` does not decay."""
    groups = parameter_groups(network, plan.weight_decay, plan.layer_decay)
    if learned is not None:
        groups.append({"params": [*learned.parameters()], "weight_decay": 0.0, "scale": 1.0})
    rate = plan.learning_rate
    match name:
        case "sgd":
            return torch.optim.SGD(groups, rate, momentum=0.9, nesterov=True, fused=True)
        case "adamw":
            return torch.optim.AdamW(groups, rate, fused=True)
        case "rmsprop":
            return PaperRMSprop(groups, rate)
