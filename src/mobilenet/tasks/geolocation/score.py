"""The figures of geolocation: how far answers are from the places, and whether the stated radii hold."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.metrics.geodesic import distance_km, mean_share, shares_within
from mobilenet.model.vocabulary import Vocabulary
from mobilenet.tasks.geolocation.answers import in_words
from mobilenet.tasks.geolocation.locate import located, quantiles_km
from mobilenet.tasks.geolocation.radius import SHARES, radii_km
from mobilenet.tasks.geolocation.table import Table, nearest_cells
from mobilenet.tasks.geolocation.targets import PlaceTargets
from mobilenet.tasks.task import Wrong

__all__ = ["agreement", "mistakes", "score"]

WRONG_KM = 750.0
"""The distance from which on an answer is a mistake: another country."""

_SMALLEST = float(np.finfo(np.float32).tiny)
"""A probability of 0 counts as the smallest float32, as in `metrics.classification`."""

_MOST_POINTS, _MOST_CELLS = 500, 1000
"""On the map of a report."""

_SAME = 0.25
"""Share of the distance within which half of the probability lies: answers this near each other are the same."""

_SAME_KM = 0.01

Floats = NDArray[np.float64]


def score(probabilities: NDArray[Any], targets: PlaceTargets, table: Table, vocabulary: Vocabulary) -> dict[str, Any]:
    """(N, C) probabilities of N ≥ 1 photos -> all figures; shares are 0…1.

    `mean_within` is the mean of the shares `within` 1, 25, 200, 750 and 2,500 km; `median_km` and `mean_km` are of the
    distances. `constant` are the same figures of answering with the most frequent place always. `loss` is the mean of
    -ln of the probability of the cell with the nearest centre, in nats. `radii`: for each stated share, the share of
    the photos within their radii, and the median radius. `points` are the places and the answers of up to 500 photos:
    latitude, longitude, twice. `per_cell`: the median error of the photos of each cell, of the 1,000 with most.
    """
    truth = targets.degrees
    places = located(probabilities, table)
    errors = distance_km(places, truth)
    numbers = nearest_cells(truth, table)
    own = np.asarray(probabilities, np.float64)[np.arange(len(truth)), numbers]
    constant = distance_km(np.broadcast_to(table.frequent, truth.shape), truth)
    shown = np.sort(np.random.default_rng(0).permutation(len(truth))[:_MOST_POINTS])
    return {
        **_distances(errors),
        "within_750": float((errors <= WRONG_KM).mean()),
        "loss": float(-np.log(np.maximum(own, _SMALLEST)).mean()),
        "constant": {"place": table.frequent.tolist(), **_distances(constant)},
        "radii": _held(errors, radii_km(probabilities, places, table, vocabulary.fields)),
        "cells": len(table.centres),
        "points": np.hstack([truth, places])[shown].round(4).tolist(),
        "per_cell": list(_per_cell(errors, numbers, vocabulary.names)),
    }


def mistakes(probabilities: NDArray[Any], truth: Floats, table: Table) -> list[Wrong]:
    """(N, C) probabilities and (N, 2) true places -> the photos whose answer is in another country, more than 750 km
    away; `confidence` is the probability of the likeliest cell."""
    places = located(probabilities, table)
    errors = distance_km(places, truth)
    return [
        Wrong(
            photo,
            in_words(truth[photo]),
            f"{in_words(places[photo])}, {errors[photo]:,.0f} km away",
            float(probabilities[photo].max()),
        )
        for photo in np.flatnonzero(~(errors <= WRONG_KM)).tolist()
    ]


def agreement(ours: NDArray[Any], theirs: NDArray[Any], table: Table) -> float:
    """(N, C) and (N, C) -> share of photos (0…1) with the same answer: no farther apart than a quarter of the distance
    from ours within which half of the probability lies, or ten metres."""
    places, others = located(ours, table), located(theirs, table)
    near = np.maximum(_SAME * quantiles_km(ours, places, table, 0.5), _SAME_KM)
    return float((distance_km(places, others) <= near).mean())


def _distances(errors: Floats) -> dict[str, Any]:
    return {
        "mean_within": mean_share(errors),
        "within": [{**asdict(level), "interval": list(level.interval)} for level in shares_within(errors)],
        "median_km": float(np.median(errors)),
        "mean_km": float(errors.mean()),
    }


def _per_cell(errors: Floats, numbers: NDArray[np.int64], names: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    cells, counts = np.unique(numbers, return_counts=True)
    for number in np.argsort(-counts, kind="stable")[:_MOST_CELLS].tolist():
        median = float(np.median(errors[numbers == cells[number]]))
        yield {"cell": names[cells[number]], "photos": int(counts[number]), "median_km": median}


def _held(errors: Floats, radii: Floats | None) -> list[dict[str, Any]]:
    if radii is None:
        return []
    return [
        {
            "stated": share,
            "covered": float((errors <= radii[:, place]).mean()),
            "median_km": float(np.median(radii[:, place])),
        }
        for place, share in enumerate(SHARES)
    ]
