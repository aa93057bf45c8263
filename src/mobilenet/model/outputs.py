"""The outputs of a network: named arrays, each the result of one row, or of several joined."""

from collections.abc import Mapping
from dataclasses import dataclass
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
"""The function, along the last axis, that turns a row's values into an output: `l2` divides by the Euclidean norm, or
by `SHORTEST` if that is larger."""

SHORTEST = 1e-6
"""The same as in LiteRT's operator."""

Outputs = Mapping[str, NDArray[np.float32]]
"""Output name -> (N, *shape) float32."""


@dataclass(frozen=True, slots=True)
class Output:
    """One output of a network, which may have several; they are part of the card, the graph and every file.

    `rows` compute it; a plane (H, W, C) is flattened in that order, and several are joined along the first axis of
    `shape`. That is the shape of one photo's output: (C,) for C classes, (P, 4) for P boxes, () for a number.
    """

    name: str
    rows: tuple[str, ...]
    shape: tuple[int, ...]
    ending: Ending = "none"

    @property
    def size(self) -> int:
        """Number of values for one photo."""
        return prod(self.shape)

    def to_json(self) -> dict[str, Any]:
        """As an object for `json.dumps`."""
        rows = {"row": self.rows[0]} if len(self.rows) == 1 else {"rows": list(self.rows)}
        return {"name": self.name, **rows, "shape": list(self.shape), "ending": self.ending}


def read_output(fields: Mapping[str, Any]) -> Output:
    """The inverse of `Output.to_json`; ModelError for an unknown ending or an invalid shape."""
    name, ending = str(fields["name"]), fields["ending"]
    rows = tuple(map(str, fields["rows"])) if "rows" in fields else (str(fields["row"]),)
    shape = tuple(int(side) for side in fields["shape"])
    if ending not in get_args(Ending):
        raise ModelError(f"output {name} has an unknown ending, {ending!r}; install a newer mobilenet")
    if not shape or min(shape) < 1:
        raise ModelError(f"output {name} has shape {shape}; every dimension must be at least 1")
    if not rows or len(set(rows)) < len(rows):
        raise ModelError(f"output {name} names no row, or one twice: {list(rows)}")
    return Output(name, rows, shape, ending)


def shaped_outputs(found: Outputs, wanted: tuple[Output, ...], photos: int) -> Outputs:
    """The outputs of a predictor; ModelError if one is missing or has the wrong shape."""
    for output in wanted:
        values = found.get(output.name)
        if values is None:
            raise ModelError(f"the model's outputs are {sorted(found)}, without {output.name}; it is a different model")
        if values.shape != (photos, *output.shape):
            raise ModelError(
                f"the model's output {output.name} has shape {values.shape}, {(photos, *output.shape)} expected"
            )
    return found


def checked_outputs(found: Outputs, wanted: tuple[Output, ...], photos: int) -> Outputs:
    """As `shaped_outputs`; ModelError also if a value is not finite."""
    shaped_outputs(found, wanted, photos)
    if not finite_photos(found).all():
        raise ModelError("the model's outputs contain NaN or infinity: training has diverged; lower --learning-rate")
    return found


def finite_photos(outputs: Outputs) -> NDArray[np.bool_]:
    """(N,) whether all values of a photo are finite, in every output (N, *shape)."""
    finite = [np.isfinite(values).all(tuple(range(1, values.ndim))) for values in outputs.values()]
    return np.asarray(np.stack(finite).all(0))


def taken(outputs: Outputs, photos: NDArray[np.int64]) -> Outputs:
    """The outputs (M, *shape) of the photos with these indices (M,)."""
    return {name: values[photos] for name, values in outputs.items()}
