"""From probabilities to the prediction for a photo."""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.images.overlay import draw_caption
from mobilenet.metrics import classification as metrics
from mobilenet.metrics.hierarchy import ancestor, depth
from mobilenet.tasks.sections import Part

__all__ = ["Classified", "Prediction", "answers", "parents"]


@dataclass(frozen=True, slots=True)
class Prediction:
    """One class and its `probability` (0…1)."""

    label: str
    probability: float


@dataclass(frozen=True, slots=True)
class Classified:
    """The likeliest classes of one photo, best first; `parents` are the groups of the first one, empty if classes are
    flat. The photo is uncertain if the probability of the first one is below `min_confidence`."""

    predictions: tuple[Prediction, ...]
    parents: tuple[Prediction, ...]
    min_confidence: float | None = None

    @property
    def uncertain(self) -> bool | None:
        """None without a `min_confidence`."""
        return None if self.min_confidence is None else self.predictions[0].probability < self.min_confidence

    def to_json(self) -> dict[str, Any]:
        """As an object for `json.dumps`; `uncertain` and `parents` where they apply."""
        uncertain = {} if self.uncertain is None else {"uncertain": self.uncertain}
        parents = {"parents": [asdict(parent) for parent in self.parents]} if self.parents else {}
        return {**uncertain, "predictions": [asdict(prediction) for prediction in self.predictions], **parents}

    def lines(self) -> Iterator[str]:
        """As lines of text."""
        if self.uncertain:
            yield f"uncertain: below {100 * (self.min_confidence or 0):g} %"
        for prediction in self.predictions:
            yield f"{100 * prediction.probability:5.1f} %  {prediction.label}"
        for parent in self.parents:
            yield f"{100 * parent.probability:5.1f} %  {parent.label} in all"

    def drawn(self, pixels: NDArray[np.uint8], /) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 -> a copy with the lines in its upper left corner; see `images.overlay`."""
        return draw_caption(pixels, self.lines())

    def parts(self) -> tuple[Part, ...]:
        """Nothing beside the picture."""
        return ()


def answers(probabilities: NDArray[Any], labels: tuple[str, ...], top: int) -> list[list[Prediction]]:
    """(N, classes) -> for each photo its `top` likeliest classes, best first (all if there are fewer)."""
    best = metrics.top_k(probabilities, top)
    return [
        [Prediction(labels[number], float(row[number])) for number in numbers]
        for row, numbers in zip(probabilities, best, strict=True)
    ]


def parents(probabilities: NDArray[Any], labels: tuple[str, ...]) -> list[Prediction]:
    """(classes,) -> the groups that contain the likeliest class and others, smallest first, with their total
    probability.

    `Apple/Fuji` may have 55 % and `Apple` 96 %. Empty for flat classes and for a class without siblings.
    """
    best = labels[int(metrics.top_k(probabilities[None], 1)[0, 0])]
    found = []
    for level in range(depth(labels) - 1, 0, -1):
        group = ancestor(best, level)
        members = [number for number, label in enumerate(labels) if ancestor(label, level) == group]
        if len(members) > 1:
            found.append(Prediction(group, math.fsum(probabilities[members])))
    return found
