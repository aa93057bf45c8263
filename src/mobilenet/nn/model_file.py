"""`model.safetensors`: a trained network with everything that is needed to run it, in one file.

The tensors are the network's state; the metadata entry `mobilenet` is a JSON document with format, architecture, width,
resolution, task, labels, preprocessing and provenance. Nothing in the file is ever executed.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from mobilenet.card import ModelCard
from mobilenet.cost import cost
from mobilenet.errors import ModelError
from mobilenet.files import atomic_write
from mobilenet.nn.network import Classifier
from mobilenet.spec import Network

__all__ = ["build_network", "has_card", "network_of_arrays", "read_model", "write_model"]

_ENTRY = "mobilenet"


def write_model(path: Path, network: nn.Module, card: ModelCard) -> None:
    """Write the network's state and its card to `path`, whole or not at all; StorageError."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    data = save(tensors, {_ENTRY: card.to_json()})
    with atomic_write(path) as file:
        file.write(data)


def read_model(path: Path) -> tuple[Classifier, ModelCard]:
    """Read what `write_model` wrote: the network, ready to run, and its card; ModelError for anything else."""
    metadata, tensors = _read(path)
    if _ENTRY not in metadata:
        raise ModelError(
            f"{path} is a safetensors file, but no model of this tool; train one with mobilenet train, or read other "
            "tools' weights with mobilenet import"
        )
    try:
        card = ModelCard.from_json(metadata[_ENTRY])
    except ModelError as error:
        raise ModelError(f"{path} {error}") from error
    return build_network(card, tensors, path), card


def has_card(path: Path) -> bool:
    """True for a safetensors file that `write_model` wrote, as far as its header says."""
    try:
        with safe_open(str(path), "pt") as file:
            return _ENTRY in (file.metadata() or {})
    except (OSError, SafetensorError):
        return False


def build_network(card: ModelCard, tensors: Mapping[str, Tensor], path: Path) -> Classifier:
    """The network of `card` with these values, ready to run; ModelError names what does not fit, and `path`."""
    _check_size(path, card.network(), tensors)
    network = Classifier(card.network())
    _load_strictly(path, network, tensors)
    return network.eval()


def network_of_arrays(card: ModelCard, arrays: Mapping[str, NDArray[np.float32]], path: Path) -> Classifier:
    """As `build_network`, of NumPy arrays, which must be writable."""
    return build_network(card, {name: torch.from_numpy(values) for name, values in arrays.items()}, path)


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    try:
        with safe_open(str(path), "pt") as file:
            return file.metadata() or {}, {name: file.get_tensor(name) for name in list(file.keys())}
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path} is not a safetensors file, or is damaged: {error}") from error


def _check_size(path: Path, network: Network, tensors: Mapping[str, Tensor]) -> None:
    """Before any memory is taken: a small file may describe a network of any size."""
    params, numbers = cost(network).params, sum(tensor.numel() for tensor in tensors.values())
    if params > numbers:
        raise ModelError(f"{path} does not fit its own table: that has {params:,} parameters, the file {numbers:,}")


def _load_strictly(path: Path, network: Classifier, tensors: Mapping[str, Tensor]) -> None:
    expected = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in tensors.items()}
    if found != expected:
        missing = ", ".join(sorted(expected.keys() - found.keys())[:3]) or "none"
        unexpected = ", ".join(sorted(found.keys() - expected.keys())[:3]) or "none"
        both = sorted(name for name in expected.keys() & found.keys() if expected[name] != found[name])
        shapes = ", ".join(f"{name} is {found[name]}, not {expected[name]}" for name in both[:3]) or "right"
        raise ModelError(
            f"{path} does not fit its own table: missing: {missing}; unexpected: {unexpected}; shapes: {shapes}"
        )
    network.load_state_dict(dict(tensors))
