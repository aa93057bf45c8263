"""The state of a run, to go on from: one safetensors file and one JSON file that carries its checksum.

A checkpoint is written under names of its own and becomes current when `state.json` is renamed, so a run that is
stopped at any moment leaves the old checkpoint or the new one.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from mobilenet.errors import ModelError
from mobilenet.files import atomic_write
from mobilenet.training.average import WeightAverage

__all__ = ["Position", "has_checkpoint", "load_checkpoint", "save_checkpoint"]

_STATE = "state.json"


@dataclass(frozen=True, slots=True)
class Position:
    """How far a run is: whole epochs done, optimiser steps done, and seconds of training spent."""

    epoch: int
    step: int
    elapsed_s: float


def save_checkpoint(
    folder: Path, position: Position, network: nn.Module, average: WeightAverage, optimizer: torch.optim.Optimizer
) -> None:
    """Write the whole state of a run into `folder`; StorageError leaves the previous checkpoint as it was."""
    data = save(_tensors(network, average, optimizer))
    name = f"epoch{position.epoch:05d}.safetensors"
    with atomic_write(folder / name) as file:
        file.write(data)
    state = {
        "epoch": position.epoch,
        "step": position.step,
        "elapsed_s": position.elapsed_s,
        "average_updates": average.updates,
        "tensors": name,
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    with atomic_write(folder / _STATE) as file:
        file.write(json.dumps(state).encode())
    for old in folder.glob("epoch*.safetensors"):
        if old.name != name:
            old.unlink()


def has_checkpoint(folder: Path) -> bool:
    """Whether there is one to load, damaged or not."""
    return (folder / _STATE).is_file()


def load_checkpoint(
    folder: Path, network: nn.Module, average: WeightAverage, optimizer: torch.optim.Optimizer
) -> Position | None:
    """Bring network, average and optimiser to the state in `folder`; None where there is no checkpoint yet.

    ModelError when it is damaged or belongs to another network.
    """
    if not has_checkpoint(folder):
        return None
    try:
        state = json.loads((folder / _STATE).read_text("utf-8"))
        data = (folder / state["tensors"]).read_bytes()
        if hashlib.sha256(data).hexdigest() != state["sha256"]:
            raise ModelError(f"the checkpoint in {folder} is damaged (its checksum differs); start a new run")
        position = Position(state["epoch"], state["step"], state["elapsed_s"])
        average.updates = state["average_updates"]
        tensors = load(data)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise ModelError(f"cannot read the checkpoint in {folder}: {error}; start a new run") from error
    _restore(tensors, network, average, optimizer)
    return position


def _tensors(network: nn.Module, average: WeightAverage, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    tensors |= {f"average.{name}": value for name, value in average.network.state_dict().items()}
    for index, values in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value for name, value in values.items() if value is not None}
    return {name: value.contiguous() for name, value in tensors.items()}


def _restore(
    tensors: Mapping[str, Tensor], network: nn.Module, average: WeightAverage, optimizer: torch.optim.Optimizer
) -> None:
    try:
        network.load_state_dict(_below("network.", tensors))
        average.network.load_state_dict(_below("average.", tensors))
    except RuntimeError as error:
        raise ModelError(f"the checkpoint is of another network: {' '.join(str(error).split())[:300]}") from error
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Any]] = {}
    for name, value in _below("optimizer.", tensors).items():
        index, _, key = name.partition(".")
        state.setdefault(int(index), {})[key] = _laid_out_like(parameters[int(index)], value)
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _laid_out_like(parameter: Tensor, value: Tensor) -> Tensor:
    """The file keeps values, not strides; fused optimisers walk through memory and need the parameter's."""
    return torch.empty_like(parameter).copy_(value) if value.shape == parameter.shape else value


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
