"""What the numbers in a network's outputs mean: names of classes or attributes, and whatever else decoding needs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Vocabulary", "listed"]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """`names` in the order of the outputs; `fields` as JSON values: prior boxes, cells, thresholds."""

    names: tuple[str, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)


def listed(names: Sequence[str], most: int = 10) -> str:
    """Names in a sentence, no more than `most`: `'cat', 'dog' and 3 more`."""
    shown = ", ".join(repr(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
