"""What the first convolution reveals about the pixels that a network was trained on.

The running mean of its batch norm is the filters' response to the mean colour, in the units of the network's input.
Photos have much the same mean colour everywhere, so the units can be told apart.

Where the norm is folded into the filters, their size remains. A network is trained until its first responses are of the
order of 1, so filters for pixels from 0 to 255 are about a hundred times smaller than those for pixels of the order of
1. Nothing in folded filters tells -1 to 1 from 0 to 1: the factor of 2 between them is less than that between networks.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mobilenet.errors import ConfigError, ModelError
from mobilenet.images.preprocessing import Preprocessing
from mobilenet.weights.layers import ForeignConv, ForeignNetwork, ForeignNorm, Scaling

__all__ = ["InputSize", "Units", "assume_units", "guess_units", "input_size", "scaled_input", "units_of_range"]

_COLOUR = np.array([122.0, 116.0, 104.0])
_SPREAD = np.array([64.0, 63.0, 65.0])
"""Mean and standard deviation of the pixels of photos, in R, G and B, as of ImageNet, Open Images and COCO."""

_LIKE_NEIGHBOUR, _LIKE_COLOUR = 0.95, 0.9
"""Correlation of two neighbouring pixels, and of two colour channels of one pixel, in photos."""

_CLOSE, _SAME_SPREAD = 0.4, 2.2
"""Tolerances of the means, in standard deviations, and of the variances, as a ratio; the variances of any two
candidates differ by at least a factor of four."""


_MOST_FOR_PIXELS, _LEAST_FOR_SCALED = 0.05, 0.15
"""Limits on the upper quartile of the norms of the first filters, per unit of the input. In the official files, trained
on pixels from -1 to 1, it is 0.9 to 2.8, and in one trained on 0 to 1 it is 3.6; per unit of pixels from 0 to 255, that
is 0.007 to 0.022."""

_NEAR_CENTRE = 0.5
"""A scaling that belongs to pixels from 0 to 1 puts their mean colour this close to 0."""

_RANGE_MARGIN = 0.12
"""How far each end of a calibrated range may be inside the range of pixels, as a fraction of it."""

InputSize = Literal["0 to 255", "scaled", "unclear"]


@dataclass(frozen=True, slots=True)
class Units:
    """Network input = (pixel - mean) / std, with a display name."""

    name: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


_UNIT = Units("pixel / 255", (0.0, 0.0, 0.0), (255.0, 255.0, 255.0))
_CENTRED = Units("pixel / 127.5 - 1", (127.5, 127.5, 127.5), (127.5, 127.5, 127.5))
_IMAGENET = Units("(pixel - mean) / deviation of ImageNet", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
_UNSCALED = Units("unscaled pixels, 0 to 255", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
_CANDIDATES = (_UNIT, _CENTRED, _IMAGENET, _UNSCALED)


def guess_units(stem: ForeignConv) -> Units | None:
    """The units of the input of `stem`; None if its statistics fit none of the usual ones, or more than one."""
    if stem.norm is None or stem.filters.shape[1] != 3:
        return None
    fitting = [units for units in _CANDIDATES if _fits(stem, stem.norm, units)]
    return fitting[0] if len(fitting) == 1 else None


def _fits(stem: ForeignConv, norm: ForeignNorm, units: Units) -> bool:
    ratios = _spread_ratios(stem, norm, units)
    same_spread = abs(np.median(ratios)) < np.log(_SAME_SPREAD) and ratios.std() < np.log(_SAME_SPREAD)
    return bool(same_spread and _error(stem, norm, units) < _CLOSE)


def _error(stem: ForeignConv, norm: ForeignNorm, units: Units) -> float:
    """Distance of the running means from those of photos in these units, in standard deviations of the channels."""
    colour = (_COLOUR - units.mean) / units.std
    expected = stem.filters.sum((2, 3), dtype=np.float64) @ colour
    away = (expected - norm.mean) ** 2 / np.maximum(norm.variance, 1e-12)
    return float(np.sqrt(np.median(away)))


def _spread_ratios(stem: ForeignConv, norm: ForeignNorm, units: Units) -> NDArray[np.float64]:
    """Logarithm of the running variances over those of photos in these units, per channel."""
    height, width = stem.filters.shape[2:]
    places = np.stack(np.meshgrid(range(height), range(width), indexing="ij"), -1).reshape(-1, 2)
    alike = _LIKE_NEIGHBOUR ** np.linalg.norm(places[:, None] - places[None], axis=-1)
    spread = _SPREAD / units.std
    colours = np.outer(spread, spread) * np.where(np.eye(3, dtype=bool), 1.0, _LIKE_COLOUR)
    filters = stem.filters.reshape(len(stem.filters), 3, -1).astype(np.float64)
    expected = np.einsum("ocp,cd,pq,odq->o", filters, colours, alike, filters)
    ratios: NDArray[np.float64] = np.log(np.maximum(norm.variance, 1e-12) / np.maximum(expected, 1e-12))
    return ratios


def input_size(stem: ForeignConv, factors: NDArray[np.float64] | float = 1.0) -> InputSize:
    """Which pixels the size of the first filters fits, if the input is multiplied by `factors`, (3,) or (), before."""
    filters = stem.filters.astype(np.float64)
    if stem.norm is not None:
        scale = stem.norm.scale / np.sqrt(stem.norm.variance.astype(np.float64) + stem.norm.epsilon)
        filters = filters * scale[:, None, None, None]
    with np.errstate(over="ignore", invalid="ignore"):
        norms = np.sqrt(np.square(filters * np.reshape(factors, (1, -1, 1, 1))).sum((1, 2, 3)))
    size = float(np.quantile(norms, 0.75)) if norms.size else 0.0
    if 0 < size <= _MOST_FOR_PIXELS:
        return "0 to 255"
    # All-zero filters respond to no pixels at all.
    return "scaled" if size >= _LEAST_FOR_SCALED or size == 0 else "unclear"


def assume_units(network: ForeignNetwork) -> tuple[Preprocessing, tuple[str, ...]]:
    """How pixels become the input of the first convolution where the file does not say, with the assumptions made; the
    resolution is a placeholder. ModelError if its filters fit no usual pixels."""
    factors, offsets = network.input_scaling or (np.ones(1), np.zeros(1))
    size = input_size(network.convs[0], factors)
    if network.input_scaling is None and size == "scaled":
        return Preprocessing(1), ("the file does not specify the pixel scaling; (pixel - 127.5) / 127.5 is assumed",)
    if network.input_scaling is None and size == "0 to 255":
        note = (
            "the file does not specify the pixel scaling; its first filters are as small as filters for "
            f"{_UNSCALED.name}, which is assumed"
        )
        return scaled_input(1, (factors, offsets)), (note,)
    if size == "0 to 255":
        return scaled_input(1, (factors, offsets)), ()
    if size == "scaled" and (np.abs(_COLOUR / 255 * factors + offsets) < _NEAR_CENTRE).all():
        note = (
            "the file scales its input itself; by the size of its first filters, that is pixel / 255, which is assumed"
        )
        return scaled_input(1, (factors, offsets), _UNIT), (note,)
    raise ModelError(
        f"{network.source} does not specify the pixel scaling, and its first filters are neither as small as filters "
        "for pixels of 0 to 255 nor as large as those for scaled ones; give it to mobilenet import, such as "
        "--mean 127.5 --std 127.5 for pixels of -1 to 1"
    )


def scaled_input(side: int, scaling: Scaling, units: Units = _UNSCALED) -> Preprocessing:
    """Network input = (pixel - units.mean) / units.std · factor + offset, written as (pixel - mean) / std; ConfigError
    unless the factors are above 0."""
    factors, offsets = scaling
    if not (factors > 0).all():
        raise ConfigError(f"it multiplies pixels by {np.ravel(factors).tolist()}; factors must be above 0")
    with np.errstate(over="ignore", invalid="ignore"):
        std = np.array(units.std) / factors
        mean = np.array(units.mean) - offsets * std
    first, second, third = mean.tolist()
    red, green, blue = std.tolist()
    return Preprocessing(side, None, (first, second, third), (red, green, blue))


def units_of_range(low: float, high: float) -> Units | None:
    """The units of pixels whose range a calibrated input, from `low` to `high`, nearly fills; None for any other."""
    for units in _CANDIDATES:
        ends = (0 - np.array(units.mean)) / units.std, (255 - np.array(units.mean)) / units.std
        least, most = float(ends[0].min()), float(ends[1].max())
        margin = _RANGE_MARGIN * (most - least)
        if abs(low - least) <= margin and abs(high - most) <= margin:
            return units
    return None
