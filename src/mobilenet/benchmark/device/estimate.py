"""Estimates for a network on one engine, from measurements of others: a sum of costs with fitted coefficients.

Latency is what its layers compute and move: time = Σ coefficient × feature, all coefficients at least 0, so that more
work never takes less time. Features count channels in full vectors of 16, as the kernels of every engine do; otherwise
estimates for odd widths would be too low. The fit is least squares of *relative* errors: small networks count as much
as large ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import prod

import numpy as np
from numpy.typing import NDArray

from mobilenet.errors import DataError
from mobilenet.model.precision import Precision
from mobilenet.spec.cost import cost
from mobilenet.spec.rows import Conv, Linear, Network
from mobilenet.spec.shapes import kernel_sides, output_shapes

__all__ = ["Fit", "Floats", "fit", "latency_features", "left_out_errors", "memory_features", "size_features"]

Floats = NDArray[np.float64]

_VECTOR = 16
"""Channels that kernels process at once: 64-byte registers of float32, tiles of int8 products."""


@dataclass(frozen=True, slots=True)
class Fit:
    """Non-negative coefficients for the features of a network, and a correction factor for each measured width.

    Kernels suit some widths better than others, at all resolutions alike: the factor is the remaining ratio.
    """

    coefficients: tuple[float, ...]
    factors: tuple[tuple[float, float], ...] = ()

    def __call__(self, features: Sequence[float], width_multiplier: float) -> float:
        """The estimate for one network."""
        factor = dict(self.factors).get(width_multiplier, 1.0)
        return float(np.dot(self.coefficients, features)) * factor


def latency_features(network: Network) -> tuple[float, ...]:
    """1; mult-adds of pointwise, depthwise and other layers; values of planes and of weights, all in millions."""
    shapes = output_shapes(network.rows, network.resolution)
    pointwise = depthwise = other = planes = weights = 0
    for row in network.rows:
        size = prod(shapes[row.name][:2])
        match row:
            case Conv():
                into, out = _full(row.in_channels), _full(row.out_channels)
                sides = kernel_sides(row)
                planes += size * out
                if row.groups > 1:
                    depthwise += size * out * prod(sides)
                elif sides == (1, 1):
                    pointwise += size * into * out
                    weights += into * out
                else:
                    other += size * row.in_channels * out * prod(sides)
            case Linear():
                weights += _full(row.in_features) * row.out_features
    return (1.0, pointwise / 1e6, depthwise / 1e6, other / 1e6, planes / 1e6, weights / 1e6)


def memory_features(network: Network, precision: Precision) -> tuple[float, ...]:
    """1 MB; bytes of weights, of the largest planes alive at once, and of tables of addresses.

    Engines list for each pixel of an output the input pixels that its kernel reads: 8 bytes each, for any width and
    precision. In narrow networks these lists are larger than the planes.
    """
    whole, shapes = cost(network), output_shapes(network.rows, network.resolution)
    addresses = sum(
        prod(shapes[row.name][:2]) * prod(sides)
        for row in network.rows
        if isinstance(row, Conv) and (sides := kernel_sides(row)) != (1, 1)
    )
    if precision == "float32":
        return (1e6, whole.weight_bytes_float32, whole.peak_activation_bytes_float32, 8 * addresses)
    return (1e6, whole.weight_bytes_int8, whole.peak_activation_bytes_int8, 8 * addresses)


def size_features(network: Network, precision: Precision) -> tuple[float, ...]:
    """1 kB; bytes of weights."""
    whole = cost(network)
    return (1e3, whole.weight_bytes_float32 if precision == "float32" else whole.weight_bytes_int8)


def fit(features: Sequence[Sequence[float]], measured: Sequence[float], widths: Sequence[float] | None = None) -> Fit:
    """Non-negative least squares of relative errors: the best of all subsets of features with non-negative
    coefficients, which is exact and cheap for few features. `widths` of the networks add a factor for each width.
    DataError for a measurement that is not finite or not above 0.
    """
    if wrong := [value for value in measured if not 0 < value < np.inf]:
        raise DataError(
            f"a device profile has a measurement of {wrong[0]:g}; make it again with mobilenet benchmark --grid"
        )
    matrix = np.asarray(features, np.float64) / np.asarray(measured, np.float64)[:, None]
    wanted, number = np.ones(len(matrix)), matrix.shape[1]
    best, least = np.zeros(number), np.inf
    for count in range(1, number + 1):
        for chosen in map(list, combinations(range(number), count)):
            found = np.linalg.lstsq(matrix[:, chosen], wanted, rcond=None)[0]
            error = float(np.square(matrix[:, chosen] @ found - wanted).sum())
            if found.min() >= 0 and error < least:
                least, best = error, np.zeros(number)
                best[chosen] = found
    coefficients = tuple(best.tolist())
    return Fit(coefficients) if widths is None else Fit(coefficients, _factors(1 / (matrix @ best), widths))


def left_out_errors(
    features: Sequence[Sequence[float]], measured: Sequence[float], widths: Sequence[float] | None = None
) -> Floats:
    """(N,) relative error of each measurement when estimated from all the others."""
    errors = []
    for left_out in range(len(measured)):
        others = [number for number in range(len(measured)) if number != left_out]
        own = widths[left_out] if widths else 0.0
        model = fit(
            [features[number] for number in others],
            [measured[number] for number in others],
            [widths[number] for number in others] if widths else None,
        )
        errors.append(abs(model(features[left_out], own) / measured[left_out] - 1))
    return np.array(errors)


def _factors(left_over: Floats, widths: Sequence[float]) -> tuple[tuple[float, float], ...]:
    """The geometric mean of the remaining ratios, by width."""
    return tuple(
        (width, float(np.exp(np.mean(np.log(left_over[np.equal(widths, width)]))))) for width in sorted(set(widths))
    )


def _full(channels: int) -> int:
    return -(-channels // _VECTOR) * _VECTOR
