"""Pruning a network to a smaller width: the most important channels are kept, with their weights.

A width multiplier thins every layer alike, and weights exist for few widths. But channels of a trained network can be
pruned: in each layer the least important, ranked by the product of the norms of the filter that computes a channel, of
its depthwise filter and of the weights that read it in the next layer (after Li et al., 2017, who use only the first).
The pruned network has lost accuracy, but is a much better start for fine-tuning than random weights.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mobilenet.errors import ConfigError
from mobilenet.model.card import ModelCard
from mobilenet.spec.rows import Conv, Linear, Row

__all__ = ["thinned"]

Floats = NDArray[np.float32]


def thinned(
    card: ModelCard, arrays: Mapping[str, Floats], width_multiplier: float
) -> tuple[ModelCard, dict[str, Floats]]:
    """The card and arrays of the same network at a smaller `width_multiplier`: filters (out, in / groups, height,
    width), … float32. ConfigError for a larger one."""
    if width_multiplier > card.width_multiplier:
        raise ConfigError(f"width {card.width_multiplier:g} cannot become {width_multiplier:g}; use a smaller width")
    thin = replace(
        card,
        width_multiplier=width_multiplier,
        provenance={**card.provenance, "thinned_from_width": card.width_multiplier},
    )
    made: dict[str, Floats] = {}
    into = np.arange(3)
    rows = card.network().rows
    for number, (wide, narrow) in enumerate(zip(rows, thin.network().rows, strict=True)):
        match wide, narrow:
            case Conv(), Conv():
                depthwise = wide.groups > 1
                out = into if depthwise else _chosen(rows[number:], arrays, into, narrow.out_channels)
                made |= _sliced(wide.name, arrays, out, None if depthwise else into)
                into = out
            case Linear(), Linear():
                made[f"{wide.name}.weight"] = arrays[f"{wide.name}.weight"][:, into]
                if wide.bias:
                    made[f"{wide.name}.bias"] = arrays[f"{wide.name}.bias"]
    return thin, made


def _chosen(
    rows: tuple[Row, ...], arrays: Mapping[str, Floats], into: NDArray[np.int64], count: int
) -> NDArray[np.int64]:
    """The `count` most important output channels of the first of `rows`, in their order; `into` are its remaining
    inputs, and the other rows are those after it."""
    matter = _norms(_folded(rows[0], arrays)[:, into], axis=0)
    for later in rows[1:]:
        match later:
            case Conv() if later.groups > 1:
                matter = matter * _norms(_folded(later, arrays), axis=0)
            case Conv():
                matter = matter * _norms(_folded(later, arrays), axis=1)
                break
            case Linear():
                matter = matter * _norms(arrays[f"{later.name}.weight"], axis=1)
    return np.sort(np.argsort(-matter, kind="stable")[:count])


def _norms(filters: Floats, axis: int) -> NDArray[np.float64]:
    """Euclidean norms over everything but one axis."""
    others = tuple(number for number in range(filters.ndim) if number != axis)
    norms: NDArray[np.float64] = np.sqrt(np.square(filters.astype(np.float64)).sum(others))
    return norms


def _folded(row: Row, arrays: Mapping[str, Floats]) -> Floats:
    """Filters with the scale of the norm after them."""
    filters = arrays[f"{row.name}.conv.weight"]
    if not isinstance(row, Conv) or not row.batch_norm:
        return filters
    scale = arrays[f"{row.name}.norm.weight"] / np.sqrt(arrays[f"{row.name}.norm.running_var"] + row.epsilon)
    folded: Floats = (filters * scale[:, None, None, None]).astype(np.float32)
    return folded


def _sliced(
    name: str, arrays: Mapping[str, Floats], out: NDArray[np.int64], into: NDArray[np.int64] | None
) -> dict[str, Floats]:
    """All arrays of a convolution, sliced to its output channels `out` and its inputs `into`."""
    made = {}
    for key, values in arrays.items():
        if key.startswith(f"{name}."):
            made[key] = values[out]
    if into is not None:
        made[f"{name}.conv.weight"] = made[f"{name}.conv.weight"][:, into]
    return made
