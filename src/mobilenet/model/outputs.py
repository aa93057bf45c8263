"""What a network answers with: named arrays, each the result of one row."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import prod
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mobilenet.errors import ModelError

__all__ = [
    "SHORTEST",
    "Ending",
    "Output",
    "Outputs",
    "checked_outputs",
    "finite_photos",
    "read_output",
    "shaped_outputs",
    "taken",
]

Ending = Literal["softmax", "sigmoid", "l2", "none"]
"""What is done to a row's numbers, along the last axis, to make them an output: `l2` divides by the Euclidean norm,
or by `SHORTEST` where that is larger."""

SHORTEST = 1e-6
"""As LiteRT's operator has it."""

Outputs = Mapping[str, NDArray[np.float32]]
"""Output name -> (N, *shape) float32."""


@dataclass(frozen=True, slots=True)
class Output:
    """One output of a network; a network may have several, and they travel in the card, the graph and every file.

    `row` is the row that computes it; a plane (H, W, C) is read row by row, pixel by pixel. `shape` is that of one
    photo's answer: (C,) for C classes, (P, 4) for P boxes.
    """

    name: str
    row: str
    shape: tuple[int, ...]
    ending: Ending = "none"

    @property
    def size(self) -> int:
        """Numbers for one photo."""
        return prod(self.shape)

    def to_json(self) -> dict[str, Any]:
        """As `json.dumps` takes it."""
        return asdict(self)


def read_output(fields: Mapping[str, Any]) -> Output:
    """The inverse of `Output.to_json`; ModelError for an ending that is not known or a shape that is none."""
    name, row, ending = str(fields["name"]), str(fields["row"]), fields["ending"]
    shape = tuple(int(side) for side in fields["shape"])
    if ending not in get_args(Ending):
        raise ModelError(f"output {name} has the unknown ending {ending!r}; install a newer mobilenet")
    if not shape or min(shape) < 1:
        raise ModelError(f"output {name} has the shape {shape}; every side must be 1 or more")
    return Output(name, row, shape, ending)


def shaped_outputs(found: Outputs, wanted: tuple[Output, ...], photos: int) -> Outputs:
    """The outputs of a predictor; ModelError where one is absent or misshapen."""
    for output in wanted:
        values = found.get(output.name)
        if values is None:
            raise ModelError(f"the model answers with {sorted(found)}, not with {output.name}; it is another model")
        if values.shape != (photos, *output.shape):
            raise ModelError(
                f"the model answers with shape {values.shape} where {(photos, *output.shape)} was expected"
            )
    return found


def checked_outputs(found: Outputs, wanted: tuple[Output, ...], photos: int) -> Outputs:
    """As `shaped_outputs`; ModelError also where a number is not finite."""
    shaped_outputs(found, wanted, photos)
    if not finite_photos(found).all():
        raise ModelError("the model answers with NaN or infinity: its training has diverged; lower --learning-rate")
    return found


def finite_photos(outputs: Outputs) -> NDArray[np.bool_]:
    """(N,) whether all numbers of a photo are finite, in every output (N, *shape)."""
    finite = [np.isfinite(values).all(tuple(range(1, values.ndim))) for values in outputs.values()]
    return np.asarray(np.stack(finite).all(0))


def taken(outputs: Outputs, photos: NDArray[np.int64]) -> Outputs:
    """The outputs of the photos (M,) of these numbers."""
    return {name: values[photos] for name, values in outputs.items()}
