"""What the batch norm of the first convolution reveals about the pixels that a network was trained on.

Its running mean is the filters' response to the mean colour, in the units of the network's input. Photos have much the
same mean colour everywhere, so the units can be told apart.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mobilenet.weights.layers import ForeignConv, ForeignNorm

__all__ = ["Units", "guess_units"]

_COLOUR = np.array([122.0, 116.0, 104.0])
_SPREAD = np.array([64.0, 63.0, 65.0])
"""Mean and standard deviation of the pixels of photos, in R, G and B, as of ImageNet, Open Images and COCO."""

_LIKE_NEIGHBOUR, _LIKE_COLOUR = 0.95, 0.9
"""Correlation of two neighbouring pixels, and of two colour channels of one pixel, in photos."""

_CLOSE, _SAME_SPREAD = 0.4, 2.2
"""Tolerances of the means, in standard deviations, and of the variances, as a ratio; the variances of any two
candidates differ by at least a factor of four."""


@dataclass(frozen=True, slots=True)
class Units:
    """Network input = (pixel - mean) / std, with a display name."""

    name: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


_CANDIDATES = (
    Units("pixel / 255", (0.0, 0.0, 0.0), (255.0, 255.0, 255.0)),
    Units("pixel / 127.5 - 1", (127.5, 127.5, 127.5), (127.5, 127.5, 127.5)),
    Units("(pixel - mean) / deviation of ImageNet", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    Units("unscaled pixels, 0 to 255", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
)


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
