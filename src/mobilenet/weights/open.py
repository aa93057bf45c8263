"""Opens weights to start from, whoever wrote them: a run folder, a model of this tool, or another tool's file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mobilenet.errors import ModelError
from mobilenet.model.arrays import has_card, read_arrays
from mobilenet.model.card import ModelCard
from mobilenet.runtimes.predictor import model_file
from mobilenet.weights.other_files import describe_folder

__all__ = ["Weights", "open_weights"]


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """The network's card and its arrays, of the names and shapes of `nn.network.TableNetwork.state_dict()`; the `file`
    that they are from, and remarks on how it was read."""

    file: Path
    card: ModelCard
    arrays: Mapping[str, NDArray[np.float32]]
    notes: tuple[str, ...] = ()


def open_weights(source: str) -> Weights:
    """Read a run folder, a model of this tool, or the backbone in a file that `mobilenet import` reads; ModelError."""
    path = Path(source)
    if path.is_dir() and (what := describe_folder(path)):
        raise ModelError(f"{source} is {what}")
    if path.is_dir() or has_card(path):
        file = model_file(path)
        return Weights(file, *read_arrays(file))
    # Readers of foreign files are needed by those alone who have one.
    from mobilenet.weights.read import import_backbone

    imported = import_backbone(source)
    return Weights(path, imported.card, imported.tensors, imported.notes)
