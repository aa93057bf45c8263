"""What a network that tells where views were cut has to be better than: two answers without any training.

    python benchmarks/earth_views.py blue_marble.jpg VIEWS
    mobilenet import mobilenet_v1_0.5_160_quant.tflite --vectors --out backbone.safetensors
    python benchmarks/earth_baseline.py VIEWS --model backbone.safetensors [--model MODEL]

The first is the place of the nearest view to train by the vectors of each model (cosine), which are kept in the cache.
The other is the most frequent place, the same for all: the one to train that has the most others within 750 km. Prints
a line of JSON for each: median error, and the share of the views to test within each distance.
"""

import argparse
import csv
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.metrics.geodesic import distance_km, distances_km, shares_within, unit_vectors
from mobilenet.retrieval.embed import gallery
from mobilenet.runtimes.predictor import open_model

_FREQUENT_KM = 750.0
_BLOCK = 500
"""Rows of distances or similarities that are held at once."""


def places_of(views: Path, part: str) -> dict[str, tuple[float, float]]:
    """Latitude and longitude of each view of a part, by its file name in the folder of that part."""
    with (views / f"{part}.csv").open(encoding="ascii", newline="") as file:
        rows = list(csv.DictReader(file))
    return {Path(row["file_name"]).name: (float(row["latitude"]), float(row["longitude"])) for row in rows}


def vectors_of(model: Path, folder: Path) -> tuple[NDArray[np.float32], list[str]]:
    """(N, D) vectors of length 1 of the photos in a folder, and their names."""
    with gallery(model, open_model(model), folder) as found:
        return found.vectors(0, len(found.files)), list(found.files)


def nearest(queries: NDArray[np.float32], known: NDArray[np.float32]) -> NDArray[np.int64]:
    """(N, D) and (M, D) vectors of length 1 -> (N,) which of the second is most like each of the first."""
    blocks = [queries[start : start + _BLOCK] @ known.T for start in range(0, len(queries), _BLOCK)]
    return np.concatenate([block.argmax(axis=1) for block in blocks])


def most_frequent(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2) -> (2,): the one with the most others within 750 km, the first of several."""
    vectors = unit_vectors(places)
    blocks = [distances_km(vectors[start : start + _BLOCK], vectors) for start in range(0, len(vectors), _BLOCK)]
    counts = np.concatenate([(block <= _FREQUENT_KM).sum(axis=1) for block in blocks])
    return np.asarray(places[counts.argmax()])


def figures(answers: NDArray[np.float64], truth: NDArray[np.float64]) -> dict[str, Any]:
    """(N, 2) and (N, 2) degrees -> the figures of answers."""
    errors = distance_km(answers, truth)
    within = {f"{level.distance_km:g}": round(level.share, 4) for level in shares_within(errors)}
    return {"views": len(errors), "median_km": round(float(np.median(errors)), 1), "share_within_km": within}


def measured(model: Path, views: Path) -> dict[str, Any]:
    """The figures of the nearest view by the vectors of a model."""
    places, truth = places_of(views, "train"), places_of(views, "test")
    known, names = vectors_of(model, views / "train")
    queries, asked = vectors_of(model, views / "test")
    found = nearest(queries, known)
    answers = np.array([places[names[one]] for one in found.tolist()])
    return {"dimensions": known.shape[1], **figures(answers, np.array([truth[name] for name in asked]))}


def main(words: list[str] | None = None) -> int:
    """Print the figures of each model, and of the most frequent place."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("views", type=Path)
    parser.add_argument("--model", type=Path, action="append", required=True)
    options = parser.parse_args(words)
    for model in options.model:
        line = {"answer": "nearest view", "model": model.name, **measured(model, options.views)}
        print(json.dumps(line), flush=True)
    place = most_frequent(np.array([*places_of(options.views, "train").values()]))
    truth = np.array([*places_of(options.views, "test").values()])
    line = {"answer": "most frequent place", "place": place.tolist()}
    print(json.dumps({**line, **figures(np.broadcast_to(place, truth.shape), truth)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
