"""`model.safetensors`: a network's arrays and its card in one file, read and written without torch.

The arrays are those of `nn.network.TableNetwork.state_dict()`, by name; the metadata entry `mobilenet` is the card as
JSON. Nothing in the file is ever executed.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from mobilenet.errors import ModelError
from mobilenet.files import atomic_write
from mobilenet.model.card import ModelCard
from mobilenet.model.graph import Arrays
from mobilenet.spec.cost import cost

__all__ = ["check_size", "has_card", "read_arrays", "write_arrays"]

_ENTRY = "mobilenet"


def write_arrays(path: Path, card: ModelCard, arrays: Arrays) -> None:
    """Write a network to `path` atomically; StorageError."""
    data = save({name: np.ascontiguousarray(values) for name, values in arrays.items()}, {_ENTRY: card.to_json()})
    with atomic_write(path) as file:
        file.write(data)


def read_arrays(path: Path) -> tuple[ModelCard, dict[str, NDArray[np.float32]]]:
    """Read what `write_arrays` wrote: the card, and arrays by name: filters (out, in / groups, height, width), ….

    ModelError for anything else, or if there are fewer numbers than the card requires.
    """
    try:
        with safe_open(str(path), "np") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in list(file.keys())}
    except (OSError, SafetensorError, TypeError) as error:
        raise ModelError(f"{path} is not a safetensors file, or is damaged: {error}") from error
    if _ENTRY not in metadata:
        raise ModelError(
            f"{path} is a safetensors file, but not a model of this tool; train one with mobilenet train, or read "
            "other tools' weights with mobilenet import"
        )
    try:
        card = ModelCard.from_json(metadata[_ENTRY])
    except ModelError as error:
        raise ModelError(f"{path} {error}") from error
    check_size(path, card, sum(values.size for values in arrays.values()))
    return card, arrays


def has_card(path: Path) -> bool:
    """Whether a file is a safetensors file written by `write_arrays`, judging by its header."""
    try:
        with safe_open(str(path), "np") as file:
            return _ENTRY in (file.metadata() or {})
    except (OSError, SafetensorError):
        return False


def check_size(path: Path, card: ModelCard, numbers: int) -> None:
    """ModelError if `numbers` is too few for the table of `card`: a small file may describe a network of any size.

    Called before any memory is allocated for that network.
    """
    params = cost(card.network()).params
    if params > numbers:
        raise ModelError(f"{path} does not match its card: {params:,} parameters expected, {numbers:,} found")
