"""From a model file to a network and back; `mobilenet.model.arrays` reads and writes the file itself."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mobilenet.errors import ModelError
from mobilenet.model.arrays import check_size, read_arrays, write_arrays
from mobilenet.model.card import ModelCard
from mobilenet.nn.network import TableNetwork

__all__ = ["arrays_of", "build_network", "network_of_arrays", "read_model", "write_model"]


def write_model(path: Path, network: nn.Module, card: ModelCard) -> None:
    """Write the network's state and its card to `path` atomically; StorageError."""
    write_arrays(path, card, arrays_of(network))


def arrays_of(network: nn.Module) -> dict[str, NDArray[np.float32]]:
    """The network's state by name, shaped as in `model.graph.Arrays`: filters (out, in / groups, height, width), …; on
    the CPU, an array shares its memory with the network."""
    state = network.state_dict()
    return {name: value.detach().cpu().contiguous().numpy() for name, value in state.items()}


def read_model(path: Path) -> tuple[TableNetwork, ModelCard]:
    """Read what `write_model` wrote: the network in evaluation mode, and its card; ModelError for anything else."""
    card, arrays = read_arrays(path)
    return network_of_arrays(card, arrays, path), card


def build_network(card: ModelCard, tensors: Mapping[str, Tensor], path: Path) -> TableNetwork:
    """The network of `card`, in evaluation mode, with `tensors` shaped as in `model.graph.Arrays`: filters (out, in /
    groups, height, width), … float32. ModelError names `path` and what does not match."""
    check_size(path, card, sum(tensor.numel() for tensor in tensors.values()))
    network = TableNetwork(card.network(), card.outputs)
    _load_strictly(path, network, tensors)
    return network.eval()


def network_of_arrays(card: ModelCard, arrays: Mapping[str, NDArray[np.float32]], path: Path) -> TableNetwork:
    """As `build_network`, from writable NumPy arrays: filters (out, in / groups, height, width), … float32."""
    return build_network(card, {name: torch.from_numpy(values) for name, values in arrays.items()}, path)


def _load_strictly(path: Path, network: TableNetwork, tensors: Mapping[str, Tensor]) -> None:
    expected = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in tensors.items()}
    if found != expected:
        missing = ", ".join(sorted(expected.keys() - found.keys())[:3]) or "none"
        unexpected = ", ".join(sorted(found.keys() - expected.keys())[:3]) or "none"
        both = sorted(name for name in expected.keys() & found.keys() if expected[name] != found[name])
        shapes = ", ".join(f"{name} is {found[name]}, not {expected[name]}" for name in both[:3]) or "match"
        raise ModelError(
            f"{path} does not match its card: missing: {missing}; unexpected: {unexpected}; shapes: {shapes}"
        )
    network.load_state_dict(dict(tensors))
