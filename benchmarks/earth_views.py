"""Cuts views from above out of a map of the Earth: a data set of photos whose places are exact.

    python benchmarks/earth_views.py blue_marble.jpg OUT [--train 20000] [--test 2000] [--side 128] [--seed 0]

The map is equirectangular, from 90° to -90° and from -180° to 180°. A view is a gnomonic projection of 1,200 to 1,800
km of ground, a quarter or more of it land, at a random place, height, heading and light, so that none repeats. Every
such place is as likely. Places to test are unseen: none to train is within 100 km of one, which is about the distance
between neighbours of 20,000.

Writes OUT/train.csv and OUT/test.csv, with file_name, latitude and longitude of the centre of each view, and the JPEGs.
The same map, numbers and seed give the same files.

    mobilenet train OUT/train.csv
    mobilenet evaluate RUN OUT/test.csv
"""

import argparse
import csv
import io
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mobilenet.cli.progress import progress_bar
from mobilenet.files import atomic_write
from mobilenet.geography.gnomonic import View
from mobilenet.metrics.geodesic import distances_km, unit_vectors
from mobilenet.parallel import in_order
from mobilenet.scenes.aerial import random_view, seen

APART_KM = 100.0
"""Least distance of a place to train from every place to test."""

Part = Literal["train", "test"]

_PARTS: dict[Part, int] = {"test": 0, "train": 1}
_LIGHT = 2
"""What the light of a view is drawn from, apart from its place."""

_QUALITY = 92


@dataclass(frozen=True)
class Settings:
    """How many views there are to train and to test, their side in pixels, and what they are drawn from."""

    train: int = 20_000
    test: int = 2_000
    side: int = 128
    seed: int = 0


def views(settings: Settings) -> dict[Part, list[View]]:
    """The views of both parts, in order; those to train are drawn again while they are too close to one to test."""
    test = [random_view(_random(settings, "test", index)) for index in range(settings.test)]
    unseen = unit_vectors(np.array([(view.latitude, view.longitude) for view in test]).reshape(-1, 2))
    train = [_away_from(unseen, _random(settings, "train", index)) for index in range(settings.train)]
    return {"train": train, "test": test}


def _random(settings: Settings, part: Part, *numbers: int) -> np.random.Generator:
    return np.random.default_rng([settings.seed, _PARTS[part], *numbers])


def _away_from(places: NDArray[np.float64], rng: np.random.Generator) -> View:
    while True:
        view = random_view(rng)
        own = unit_vectors(np.array([[view.latitude, view.longitude]]))
        if not (distances_km(own, places) < APART_KM).any():
            return view


def write(surface: NDArray[np.uint8], out: Path, settings: Settings, workers: int) -> None:
    """Cut all views out of a map (H, 2·H, 3) into a new folder; the tables are written last."""
    found = views(settings)
    jobs = [(part, index) for part in found for index in range(len(found[part]))]
    for part in found:
        (out / part).mkdir(parents=True)
    work = partial(_cut, surface, out, settings, found)
    with progress_bar("cutting views") as progress:
        for done, _ in enumerate(in_order(work, jobs, workers), 1):
            progress(done, len(jobs))
    for part, places in found.items():
        with atomic_write(out / f"{part}.csv") as file:
            file.write(_table(part, places).encode("ascii"))


def _cut(
    surface: NDArray[np.uint8], out: Path, settings: Settings, found: dict[Part, list[View]], job: tuple[Part, int]
) -> None:
    part, index = job
    picture = seen(_random(settings, part, index, _LIGHT), surface, found[part][index], settings.side)
    Image.fromarray(picture).save(out / _name(part, index), quality=_QUALITY)


def _name(part: Part, index: int) -> str:
    return f"{part}/{index:06d}.jpg"


def _table(part: Part, places: list[View]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("file_name", "latitude", "longitude"))
    writer.writerows(_rows(part, places))
    return text.getvalue()


def _rows(part: Part, places: list[View]) -> Iterator[tuple[str, float, float]]:
    return ((_name(part, index), view.latitude, view.longitude) for index, view in enumerate(places))


def main(words: list[str] | None = None) -> int:
    """Cut the views of one map."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("map", type=Path)
    parser.add_argument("out", type=Path)
    for name, value in vars(Settings()).items():
        parser.add_argument(f"--{name}", type=int, default=value)
    options = vars(parser.parse_args(words))
    source, out = options.pop("map"), options.pop("out")
    surface = np.asarray(Image.open(source).convert("RGB"))
    if surface.shape[1] != 2 * surface.shape[0]:
        height, width = surface.shape[:2]
        parser.error(f"{source} is {width} × {height} pixels; a map of the whole Earth is twice as wide as high")
    if out.exists():
        parser.error(f"{out} already exists; give a new folder")
    write(surface, out, Settings(**options), len(os.sched_getaffinity(0)))
    print(
        f"{options['train']:,} views to train in {out / 'train.csv'}, {options['test']:,} to test in {out / 'test.csv'}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
