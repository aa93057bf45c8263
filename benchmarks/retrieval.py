"""How often the photos of some folders find their class in a gallery, by the vectors of several models.

    python benchmarks/retrieval.py GALLERY --queries FOLDER [--queries FOLDER] --model NAME=PATH [--model NAME=PATH]

Every folder has a folder for each class, of the same names. A model is a run folder or a model file. Vectors are kept
in the cache, as by `mobilenet embed`. Recall@1 has its Wilson 95 % interval.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.datasets.sources.folders import class_names
from mobilenet.metrics.classification import wilson_interval
from mobilenet.metrics.retrieval import retrieval
from mobilenet.retrieval.embed import gallery
from mobilenet.runtimes.predictor import open_model


def labelled(model: Path, folder: Path) -> tuple[NDArray[np.float32], list[str]]:
    """The vectors (N, D) of the photos in a folder, and the class of each; photos in no class folder are left out."""
    with gallery(model, open_model(model), folder) as found:
        classes = class_names(found.files)
        kept = [place for place, file in enumerate(found.files) if file in classes]
        return found.vectors(0, len(found.files))[kept], [classes[found.files[place]] for place in kept]


def measured(model: Path, shelf: Path, folders: list[Path]) -> dict[str, Any]:
    """The figures of one model; queries of all folders together."""
    vectors, names = labelled(model, shelf)
    asked = [labelled(model, folder) for folder in folders]
    queries, wanted = np.concatenate([one for one, _ in asked]), [name for _, some in asked for name in some]
    number = {name: place for place, name in enumerate(sorted({*names, *wanted}))}
    labels, known = (np.array([number[name] for name in some]) for some in (wanted, names))
    found = retrieval(queries, labels, (vectors, known))
    interval = wilson_interval(round(found.recall_at_1 * found.queries), found.queries) if found.queries else None
    return {"dimensions": vectors.shape[1], "gallery": len(vectors), **asdict(found), "recall_at_1_interval": interval}


def main(words: list[str] | None = None) -> int:
    """Print a line of JSON for each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gallery", type=Path)
    parser.add_argument("--queries", type=Path, action="append", required=True)
    parser.add_argument("--model", action="append", required=True, metavar="NAME=PATH")
    options = parser.parse_args(words)
    for given in options.model:
        name, _, path = given.rpartition("=")
        found = measured(Path(path), options.gallery, options.queries)
        print(json.dumps({"model": name or path, **found}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
