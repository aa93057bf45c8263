"""How far a photo may be from its answer: radii that hold for the stated share of photos.

The distance within which half of the probability lies is a first estimate of the radius for half of the photos. A
factor, fitted to photos that were not trained on, makes it true for them, and so for others like them: with n of them,
the share of others within it is on average the stated one to 1 / (n + 1), whatever the network says (split conformal
prediction; Lei et al., 2018, arXiv 1604.04173).
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.errors import ModelError
from mobilenet.metrics.geodesic import EARTH_RADIUS_KM, distance_km
from mobilenet.tasks.geolocation.locate import located, quantiles_km
from mobilenet.tasks.geolocation.table import Table

__all__ = ["FACTORS", "FEWEST", "SHARES", "fitted", "radii_km"]

SHARES = (0.5, 0.9)

FACTORS = "radius_factors"
"""The field of a vocabulary with a factor for each of `SHARES`."""

FEWEST = 20
"""Photos below which no factors are fitted: the radius for nine tenths of the photos would be the largest error."""

_FOLDS = 5
_FARTHEST_KM = math.pi * EARTH_RADIUS_KM

Floats = NDArray[np.float64]


def radii_km(probabilities: NDArray[Any], places: Floats, table: Table, decoding: Mapping[str, Any]) -> Floats | None:
    """(N, C) probabilities and (N, 2) answers -> (N, 2) km, the radii around them for `SHARES` of the photos; None
    without factors. ModelError for factors that are not positive numbers."""
    if FACTORS not in decoding:
        return None
    factors = _read(decoding[FACTORS])
    return _radii(_estimates(probabilities, places, table), factors)


def fitted(probabilities: NDArray[Any], truth: Floats, table: Table) -> tuple[dict[str, list[float]], dict[str, Any]]:
    """(N, C) probabilities and (N, 2) true places -> the field of the vocabulary with the factors, none for fewer
    photos than `FEWEST`; and the figure `radius_fit`.

    That says why there are none in `note`, or how many of the photos are within the radii that are fitted on the other
    of `folds` parts: `covered_cross_fitted`, for each of `SHARES`.
    """
    photos = len(truth)
    if photos < FEWEST:
        note = f"{photos} validation photos are too few for a radius; at least {FEWEST} are needed"
        return {}, {"radius_fit": {"photos": photos, "note": note}}
    places = located(probabilities, table)
    errors, estimates = distance_km(places, truth), _estimates(probabilities, places, table)
    fold = np.random.default_rng(0).permutation(photos) % _FOLDS
    within = np.empty((photos, len(SHARES)), np.bool_)
    for number in range(_FOLDS):
        held_out = fold == number
        factors = _factors(errors[~held_out], estimates[~held_out])
        within[held_out] = errors[held_out, None] <= _radii(estimates[held_out], factors)
    figures = {"photos": photos, "folds": _FOLDS, "covered_cross_fitted": within.mean(0).tolist(), "note": ""}
    return {FACTORS: _factors(errors, estimates).tolist()}, {"radius_fit": figures}


def _read(written: Any) -> Floats:
    try:
        factors = np.array(written, np.float64)
    except (TypeError, ValueError):
        factors = np.zeros(0)
    if factors.shape != (len(SHARES),) or not (np.isfinite(factors) & (factors > 0)).all():
        raise ModelError(f"its {FACTORS} are not {len(SHARES)} positive numbers: {written!r}; train it again")
    return factors


def _estimates(probabilities: NDArray[Any], places: Floats, table: Table) -> Floats:
    return np.stack([quantiles_km(probabilities, places, table, share) for share in SHARES], axis=1)


def _factors(errors: Floats, estimates: Floats) -> Floats:
    """(N,), (N, 2) -> (2,)."""
    ratios = np.sort(errors[:, None] / estimates, axis=0)
    ranks = [min(math.ceil((len(errors) + 1) * share), len(errors)) - 1 for share in SHARES]
    # A network that is always exactly right has a radius all the same.
    return np.array([max(ratios[rank, place], 1e-6) for place, rank in enumerate(ranks)]).round(6)


def _radii(estimates: Floats, factors: Floats) -> Floats:
    return np.minimum(np.maximum.accumulate(estimates * factors, axis=1), _FARTHEST_KM)
