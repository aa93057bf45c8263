"""How much each value counts in the loss.

The gradient of a probability's cross-entropy is, on average, as large as the spread of the labels: an attribute that
one photo in a hundred has would hardly shape the network. So an attribute counts by the inverse of that spread, up to a
limit that keeps a handful of photos from ruling. Weights of whole attributes change no best probability: what the
network says stays a frequency. `--class-balanced` also gives the photos with and without an attribute the same
influence.
"""

import numpy as np
from numpy.typing import NDArray

from mobilenet.tasks.attributes.targets import AttributeTargets

__all__ = ["loss_range", "value_weights"]

_MOST = 10.0
"""The largest weight of an attribute, or of one of its values, as a multiple of that of a balanced one."""


def value_weights(targets: AttributeTargets, *, balanced: bool) -> NDArray[np.float32]:
    """(2, attributes) the weights of a no and of a yes, with a mean of 1 over the known values; all 1 for an attribute
    that is always the same or unknown."""
    counts = _counts(targets)
    known = np.maximum(counts.sum(0), 1)
    shares = counts / known
    spread = 4 * shares[0] * shares[1]
    constant = spread == 0
    weights = np.tile(np.where(constant, 1.0, np.minimum(1 / np.where(constant, 1, spread), _MOST)), (2, 1))
    if balanced:
        each = np.minimum(0.5 / np.where(constant, 0.5, shares), _MOST)
        weights = weights * each
    total = float((weights * counts).sum())
    return np.asarray(weights * (counts.sum() / total if total else 1.0), np.float32)


def loss_range(targets: AttributeTargets, smoothing: float, *, balanced: bool) -> tuple[float, float] | None:
    """The loss, in nats, of the best constant probabilities, and of perfect ones; None if nothing is known."""
    counts = _counts(targets)
    if not counts.sum():
        return None
    weighted = counts * value_weights(targets, balanced=balanced)
    sums = weighted.sum(0)
    frequent = weighted[1] / np.where(sums > 0, sums, 1)
    chance = float((sums * _entropy(frequent * (1 - smoothing) + smoothing / 2)).sum() / counts.sum())
    perfect = float(_entropy(np.array([smoothing / 2]))[0])
    return chance, perfect


def _counts(targets: AttributeTargets) -> NDArray[np.float64]:
    return np.stack([targets.absent().sum(0), targets.present().sum(0)]).astype(np.float64)


def _entropy(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    inside = np.clip(shares, 1e-300, 1)
    outside = np.clip(1 - shares, 1e-300, 1)
    return np.asarray(-(shares * np.log(inside) + (1 - shares) * np.log(outside)))
