"""What a photo is labelled with: its mean brightness, and the number of its darkest quadrant."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mobilenet.datasets.reader import Source
from mobilenet.errors import DataError
from mobilenet.model.vocabulary import Vocabulary

COLUMNS = ["file_name", "brightness", "quadrant"]
QUADRANTS = ("top left", "top right", "bottom left", "bottom right")


@dataclass(frozen=True, slots=True, eq=False)
class Light:
    """`brightness` (N,) float32, 0…1; `quadrant` (N,) int64, a number of QUADRANTS."""

    brightness: NDArray[np.float32]
    quadrant: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.brightness)

    def take(self, indices: NDArray[np.int64]) -> "Light":
        return Light(self.brightness[indices], self.quadrant[indices])

    def strata(self) -> None:
        return None

    def lines(self, vocabulary: Vocabulary) -> Iterator[list[object]]:
        names = vocabulary.names
        pairs = zip(self.brightness.tolist(), self.quadrant.tolist(), strict=True)
        return ([brightness, names[quadrant]] for brightness, quadrant in pairs)


def is_light(path: Path) -> bool:
    if path.suffix != ".csv" or not path.is_file():
        return False
    with path.open(newline="") as file:
        return next(csv.reader(file), []) == COLUMNS


def read_light(path: Path) -> Source:
    if not is_light(path):
        raise DataError(f"{path} is not a CSV file with the columns {', '.join(COLUMNS)}")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return Source(path, path.parent, {row["file_name"]: (float(row["brightness"]), row["quadrant"]) for row in rows})


def light_of(source: Source, vocabulary: Vocabulary) -> Light:
    brightness = [value for value, _ in source.annotations.values()]
    quadrant = [vocabulary.names.index(name) for _, name in source.annotations.values()]
    return Light(np.array(brightness, np.float32), np.array(quadrant, np.int64))
