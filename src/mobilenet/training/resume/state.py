"""The state of a run between two steps as JSON values and tensors, and back.

It includes no random number generator: every draw follows from (seed, epoch, sample).
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mobilenet.errors import ModelError
from mobilenet.training.loop import Trainer

__all__ = ["capture", "restore"]

_SUMS = "epoch.sums"


def capture(trainer: Trainer) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """JSON values and tensors (...,): network, what the loss has learned, weight average, optimiser, and progress in
    the current epoch."""
    fields = {
        "step": trainer.step,
        "elapsed_s": trainer.elapsed_s,
        "frozen": trainer.frozen,
        "learning_rate": trainer.learning_rate,
        "average_updates": trainer.average.updates,
    }
    tensors = {f"network.{name}": value for name, value in trainer.network.state_dict().items()}
    if trainer.learned is not None:
        tensors |= {f"objective.{name}": value for name, value in trainer.learned.state_dict().items()}
    tensors |= {f"average.{name}": value for name, value in trainer.average.network.state_dict().items()}
    for index, values in trainer.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value for name, value in values.items() if value is not None}
    if trainer.sums:
        tensors[_SUMS] = torch.stack(trainer.sums)
    return fields, tensors


def restore(trainer: Trainer, fields: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Restore a trainer to the values and tensors (...,) of `capture`; ModelError if they are for another network."""
    try:
        trainer.network.load_state_dict(_below("network.", tensors))
        trainer.average.network.load_state_dict(_below("average.", tensors))
        if trainer.learned is not None:
            trainer.learned.load_state_dict(_below("objective.", tensors))
        trainer.step, trainer.elapsed_s = int(fields["step"]), float(fields["elapsed_s"])
        trainer.frozen, trainer.learning_rate = int(fields["frozen"]), float(fields["learning_rate"])
        trainer.average.updates = int(fields["average_updates"])
    except (RuntimeError, KeyError) as error:
        raise ModelError(f"the checkpoint is for another network: {' '.join(str(error).split())[:300]}") from error
    _restore_optimizer(trainer.optimizer, _below("optimizer.", tensors))
    trainer.sums = list(tensors[_SUMS].to(trainer.device)) if _SUMS in tensors else []


def _restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Any]] = {}
    for name, value in tensors.items():
        index, _, key = name.partition(".")
        state.setdefault(int(index), {})[key] = _laid_out_like(parameters[int(index)], value)
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _laid_out_like(parameter: Tensor, value: Tensor) -> Tensor:
    """The file keeps values, not strides; fused optimisers need those of the parameter."""
    return torch.empty_like(parameter).copy_(value) if value.shape == parameter.shape else value


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
