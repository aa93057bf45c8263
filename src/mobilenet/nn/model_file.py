"""`model.safetensors`: a trained network with everything that is needed to run it, in one file.

The tensors are the network's state; the metadata entry `mobilenet` is a JSON document with format, architecture, width,
resolution, task, labels, preprocessing and provenance. Nothing in the file is ever executed.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from mobilenet.architectures import MOBILENETS
from mobilenet.cost import cost
from mobilenet.errors import ModelError, SpecError
from mobilenet.files import atomic_write
from mobilenet.images import Preprocessing
from mobilenet.nn.network import Classifier
from mobilenet.spec import Network

__all__ = ["FORMAT", "ModelCard", "read_model", "write_model"]

FORMAT = 1
"""Version of the metadata; a file of a later version is refused."""

_ENTRY = "mobilenet"


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a model file says about its network; `provenance` is free: data hash, settings, versions, metrics."""

    architecture: str
    width_multiplier: float
    resolution: int
    labels: tuple[str, ...]
    preprocessing: Preprocessing
    task: str = "classification"
    provenance: dict[str, Any] = field(default_factory=dict)

    def network(self) -> Network:
        """The table of the network."""
        return MOBILENETS[self.architecture](self.width_multiplier, self.resolution, len(self.labels))

    def to_json(self) -> str:
        """The metadata entry."""
        document = {
            "format": FORMAT,
            "architecture": self.architecture,
            "width_multiplier": self.width_multiplier,
            "resolution": self.resolution,
            "task": self.task,
            "labels": list(self.labels),
            "preprocessing": self.preprocessing.to_json(),
            "provenance": self.provenance,
        }
        # in ASCII: names of folders may hold bytes that are no UTF-8, which safetensors refuses
        return json.dumps(document)


def write_model(path: Path, network: nn.Module, card: ModelCard) -> None:
    """Write the network's state and its card to `path`, whole or not at all; StorageError."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    data = save(tensors, {_ENTRY: card.to_json()})
    with atomic_write(path) as file:
        file.write(data)


def read_model(path: Path) -> tuple[Classifier, ModelCard]:
    """Read what `write_model` wrote: the network, ready to run, and its card; ModelError for anything else."""
    try:
        with safe_open(str(path), "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in list(file.keys())}
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path} is not a safetensors file, or is damaged: {error}") from error
    if _ENTRY not in metadata:
        raise ModelError(f"{path} is a safetensors file, but no model of this tool; train one with mobilenet train")
    card = _read_card(path, metadata[_ENTRY])
    _check_size(path, card.network(), tensors)
    network = Classifier(card.network())
    _load_strictly(path, network, tensors)
    return network.eval(), card


def _read_card(path: Path, text: str) -> ModelCard:
    try:
        document = json.loads(text)
        _check_format(document["format"])
        card = ModelCard(
            architecture=document["architecture"],
            width_multiplier=float(document["width_multiplier"]),
            resolution=int(document["resolution"]),
            labels=tuple(str(label) for label in document["labels"]),
            preprocessing=Preprocessing.from_json(document["preprocessing"]),
            task=document["task"],
            provenance=dict(document["provenance"]),
        )
        card.network()
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, SpecError, ModelError) as error:
        raise ModelError(f"{path} describes no network that can be run: {error}") from error
    return card


def _check_format(version: object) -> None:
    if version != FORMAT:
        raise ModelError(f"it has format {version}, this version reads {FORMAT}; install a newer mobilenet")


def _check_size(path: Path, network: Network, tensors: dict[str, Tensor]) -> None:
    """Before any memory is taken: a small file may describe a network of any size."""
    params, numbers = cost(network).params, sum(tensor.numel() for tensor in tensors.values())
    if params > numbers:
        raise ModelError(f"{path} does not fit its own table: that has {params:,} parameters, the file {numbers:,}")


def _load_strictly(path: Path, network: Classifier, tensors: dict[str, Tensor]) -> None:
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
    network.load_state_dict(tensors)
