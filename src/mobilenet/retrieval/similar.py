"""The photos of a gallery that are most like others."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mobilenet.extras import missing_package
from mobilenet.retrieval.embed import Gallery, vector_output
from mobilenet.retrieval.index import EXACT_MOST, ExactSearch, GraphSearch, Search
from mobilenet.runtimes.photos import predict_photos
from mobilenet.runtimes.predictor import Predictor

__all__ = ["Match", "Similar", "find_similar", "search_of", "threshold_of"]

THRESHOLD = "threshold"


@dataclass(frozen=True, slots=True)
class Match:
    """A photo of the gallery, its cosine to the query, and whether both show the same: None without a threshold."""

    file: str
    similarity: float
    same: bool | None


@dataclass(frozen=True, slots=True)
class Similar:
    """The photos most like the query, the nearest first, or the `reason` why the query could not be read."""

    query: Path
    matches: tuple[Match, ...] = ()
    reason: str | None = None


def search_of(
    gallery: Gallery,
    note: Callable[[str], object],
    progress: Callable[[int, int], object] | None = None,
    most: int = EXACT_MOST,
) -> Search:
    """The search for a gallery of this size: exact up to `most` photos, by an index above, or exact with a note where
    no package for one is installed."""
    if len(gallery.files) <= most:
        return ExactSearch(gallery)
    try:
        return GraphSearch(gallery, progress)
    except ModuleNotFoundError as error:
        needs = missing_package(error)
        if needs is None:
            raise
        note(f"every photo is compared, which an index makes faster; it {needs}")
        return ExactSearch(gallery)


def threshold_of(predictor: Predictor) -> float | None:
    """The cosine from which on two photos show the same, as the model file says; None if it does not."""
    found = predictor.card.decoding.get(THRESHOLD)
    return float(found) if isinstance(found, int | float) else None


def find_similar(
    predictor: Predictor, gallery: Gallery, search: Search, queries: Iterable[Path], count: int
) -> Iterator[Similar]:
    """The `count` photos of the gallery most like each query, by vectors of the gallery's model; a query that is itself
    in the gallery is not among them. ModelError for a model without vectors."""
    output, threshold = vector_output(predictor, gallery.root), threshold_of(predictor)
    root = gallery.root.resolve()
    for photo in predict_photos(predictor, queries):
        if photo.outputs is None:
            yield Similar(photo.path, reason=photo.reason)
            continue
        own = photo.path.resolve()
        places, cosines = search(np.asarray(photo.outputs[output.name], np.float32), count + 1)
        found = [
            Match(file, float(cosine), None if threshold is None else bool(cosine >= np.float32(threshold)))
            for file, cosine in zip((gallery.files[place] for place in places[0]), cosines[0], strict=True)
            if (root / file).resolve() != own
        ]
        yield Similar(photo.path, tuple(found[:count]))
