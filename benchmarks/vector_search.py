"""How long a query of many vectors takes: all of them compared, Voyager as `mobilenet similar` uses it, and USearch.

    python benchmarks/vector_search.py --vectors 100000 --dimensions 128 [--dimensions 1024]

Vectors are drawn around as many centres as there are classes, as those of photos are. Contenders answer the same
queries in turns, one at a time. Recall is the share of the ten nearest that a contender finds. USearch, which is not a
dependency, is measured where it is installed (`pip install usearch`), with the same settings of its graph.
"""

import argparse
import importlib.util
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.retrieval import index
from mobilenet.retrieval.embed import Gallery
from mobilenet.retrieval.index import ExactSearch, GraphSearch
from mobilenet.retrieval.store import SEGMENT_ROWS, Row, Store, opened

Answer = Callable[[NDArray[np.float32]], Any]

_CLASSES, _QUERIES, _TOP = 1000, 200, 10


def draw(vectors: int, dimensions: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(N, D) vectors of length 1 and (Q, D) queries from the same classes."""
    random = np.random.default_rng(0)
    centres = random.normal(size=(_CLASSES, dimensions)).astype(np.float32)

    def some(count: int) -> NDArray[np.float32]:
        made = centres[random.integers(0, _CLASSES, count)] + random.normal(size=(count, dimensions)).astype(np.float32)
        return made / np.linalg.norm(made, axis=1, keepdims=True)

    return some(vectors), some(_QUERIES)


def fill(store: Store, vectors: NDArray[np.float32]) -> Gallery:
    """A gallery of these vectors (N, D)."""
    for start in range(0, len(vectors), SEGMENT_ROWS):
        block = vectors[start : start + SEGMENT_ROWS]
        store.add([Row(f"{start + place:07d}.jpg", (0, 0), row) for place, row in enumerate(block)])
    rows = np.array([entry.row for entry in store.entries.values()], np.int64)
    return Gallery(store.folder, store, tuple(store.entries), rows, (), 0, 0)


def contenders(gallery: Gallery, vectors: NDArray[np.float32]) -> dict[str, tuple[Answer, dict[str, float]]]:
    """What answers a query (1, D), with the seconds that it took to build and to open, and the bytes that it keeps."""
    found: dict[str, tuple[Answer, dict[str, float]]] = {}
    exact = ExactSearch(gallery)
    found["exact"] = (lambda query: exact(query, _TOP)[0][0], {})
    begin = time.perf_counter()
    GraphSearch(gallery)
    built = time.perf_counter() - begin
    begin = time.perf_counter()
    graph = GraphSearch(gallery)
    opening = time.perf_counter() - begin
    kept = (gallery.store.folder / "graph.voyager").stat().st_size
    facts = {"build_s": built, "open_s": opening, "bytes": kept}
    found["voyager"] = (lambda query: graph(query, _TOP)[0][0], facts)
    if importlib.util.find_spec("usearch") is not None:
        found["usearch"] = _usearch(gallery.store.folder / "usearch", vectors)
    return found


def _usearch(file: Path, vectors: NDArray[np.float32]) -> tuple[Answer, dict[str, float]]:
    from usearch.index import Index

    made = Index(
        ndim=vectors.shape[1],
        metric="ip",
        dtype="f32",
        connectivity=index.NEIGHBOURS,
        expansion_add=index.CONSTRUCTION,
        expansion_search=index.CANDIDATES,
    )
    begin = time.perf_counter()
    made.add(np.arange(len(vectors)), vectors, threads=os.cpu_count() or 1)
    built = time.perf_counter() - begin
    made.save(str(file))
    begin = time.perf_counter()
    opened_again = Index.restore(str(file))
    opening = time.perf_counter() - begin
    facts = {"build_s": built, "open_s": opening, "bytes": file.stat().st_size}
    return (lambda query: opened_again.search(query[0], _TOP, threads=1).keys), facts


def measure(vectors: int, dimensions: int) -> list[dict[str, Any]]:
    """The figures of each contender."""
    drawn, queries = draw(vectors, dimensions)
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder) / "store", dimensions, {}) as store:
        found = contenders(fill(store, drawn), drawn)
        times: dict[str, list[float]] = {name: [] for name in found}
        right: dict[str, list[float]] = {name: [] for name in found}
        for query in queries:
            best = set(np.argpartition(-(drawn @ query), _TOP)[:_TOP].tolist())
            for name, (answer, _) in found.items():
                begin = time.perf_counter()
                places = answer(query[None])
                times[name].append(1000 * (time.perf_counter() - begin))
                right[name].append(len(best & {int(place) for place in places}) / _TOP)
        return [
            {
                "search": name,
                "vectors": vectors,
                "dimensions": dimensions,
                "p50_ms": round(float(np.median(times[name])), 3),
                "p95_ms": round(float(np.quantile(times[name], 0.95)), 3),
                "recall_at_10": round(float(np.mean(right[name])), 4),
                **{key: round(value, 2) for key, value in facts.items()},
            }
            for name, (_, facts) in found.items()
        ]


def main(words: list[str] | None = None) -> int:
    """Print a line of JSON for each contender; exit code 1 if the tool's own search takes too long at the median."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=int, default=100_000)
    parser.add_argument("--dimensions", type=int, action="append")
    parser.add_argument("--limit-ms", type=float, default=10.0)
    options = parser.parse_args(words)
    failed = False
    for dimensions in options.dimensions or [128]:
        for line in measure(options.vectors, dimensions):
            print(json.dumps(line), flush=True)
            failed |= line["search"] == "voyager" and line["p50_ms"] > options.limit_ms
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
