"""The rows after the body: the vector of a photo, a projection of the pooled features or those features themselves."""

from collections.abc import Mapping
from typing import Any

from mobilenet.errors import SpecError
from mobilenet.model.head import Head
from mobilenet.model.outputs import Output
from mobilenet.spec.rows import Linear, Network
from mobilenet.spec.shapes import output_shapes

__all__ = ["DIMENSIONS", "OUTPUT", "PROJECTION", "asked", "features_head", "is_projected", "projected_head"]

OUTPUT, PROJECTION = "embedding", "embedding"
"""The name of the output, and of the row that projects."""

DIMENSIONS = "dimensions"
"""The field of a vocabulary with the length of the vectors, where data or a teacher ask for one."""

_FEWEST, _MOST = 2, 16_384


def projected_head(body: Network, dimensions: int) -> Head:
    """Vectors of so many numbers, a linear function of the features; SpecError for a number out of range."""
    if not _FEWEST <= dimensions <= _MOST:
        raise SpecError(f"vectors of {dimensions} numbers are out of range; use {_FEWEST} to {_MOST:,}, or 0")
    row = Linear(PROJECTION, _features(body), dimensions, inputs=(body.rows[-1].name,))
    return Head((row,), (Output(OUTPUT, (row.name,), (dimensions,), "l2"),))


def features_head(body: Network) -> Head:
    """The features themselves, of length 1, as a backbone gives them."""
    return Head((), (Output(OUTPUT, (body.rows[-1].name,), (_features(body),), "l2"),))


def is_projected(head: Head | None) -> bool:
    """Whether a head has weights of its own."""
    return head is not None and bool(head.rows)


def asked(fields: Mapping[str, Any], default: int) -> int:
    """The length that a vocabulary's fields ask for; SpecError unless it is a whole number."""
    found = fields.get(DIMENSIONS, default)
    if type(found) is not int:
        raise SpecError(f"vectors of {found!r} numbers cannot be made; use {_FEWEST} to {_MOST:,}")
    return found


def _features(body: Network) -> int:
    height, width, channels = output_shapes(body.rows, body.resolution)[body.rows[-1].name]
    return height * width * channels
