"""What the numbers in a network's outputs mean: names of classes or attributes, and whatever else decoding needs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Vocabulary"]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """`names` in the order of the outputs; `fields` as JSON values: prior boxes, cells, thresholds."""

    names: tuple[str, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)
