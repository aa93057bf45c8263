"""The gate of a file that decodes and suppresses boxes itself: its boxes beside those of the network."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.images.preprocessing import Preprocessing
from mobilenet.model.card import ModelCard
from mobilenet.model.outputs import Outputs
from mobilenet.model.suppression import BOXES, CLASSES, COUNT, SCORES, Suppression, suppress
from mobilenet.runtimes.predictor import Predictor

__all__ = ["SHARE", "Suppressing", "box_differences"]

_PIXELS, _SCORE = 1.0, 1e-3
"""How far the edges, in pixels of the network's input, and the score of a box may be from the network's."""

SHARE = 0.99
"""Of the boxes that must be the same: of two boxes with equal scores, or where two overlap by just the limit, rounding
decides which stays, and engines round differently."""

Floats = NDArray[np.float32]


class Suppressing:
    """A network with raw outputs as the predictor that a file with suppression is to be: `predict` suppresses in
    NumPy."""

    def __init__(self, network: Predictor, suppression: Suppression, card: ModelCard) -> None:
        self.card = card
        self.labels: tuple[str, ...] = network.labels
        self.preprocessing: Preprocessing = network.preprocessing
        self.task: str = network.task
        self._network, self._suppression = network, suppression

    def predict(self, images: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        """(N, R, R, 3) uint8 -> the outputs after suppression by name, (N, *shape) float32."""
        return dict(suppress(self._network.predict(images), self._suppression))


def box_differences(found: Outputs, wanted: Outputs, side: int) -> Floats:
    """For each box of either, (M,): how far it is from the other's nearest box of its class in that photo, as a
    multiple of what is allowed; infinite where there is none. `side` of the network's input, in pixels."""
    parts = [
        nearest.min(1, initial=np.inf)
        for one, other in zip(_photos(found), _photos(wanted), strict=True)
        for nearest in _both_ways(one, other, side)
    ]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


_Boxes = tuple[Floats, Floats, Floats]


def _photos(outputs: Outputs) -> Iterator[_Boxes]:
    for boxes, classes, scores, count in zip(
        outputs[BOXES], outputs[CLASSES], outputs[SCORES], outputs[COUNT], strict=True
    ):
        real = np.arange(len(scores)) < count
        yield boxes[real], classes[real], scores[real]


def _both_ways(one: _Boxes, other: _Boxes, side: int) -> tuple[Floats, Floats]:
    """(K, M) and (M, K): for each of the K boxes of one, how far it is from each of the M of the other."""
    (boxes, classes, scores), (others, their_classes, their_scores) = one, other
    edges = np.abs(boxes[:, None] - others[None]).max(-1, initial=0) * side / _PIXELS
    apart = np.maximum(edges, np.abs(scores[:, None] - their_scores[None]) / _SCORE)
    made = np.where(classes[:, None] == their_classes[None], apart, np.inf).astype(np.float32)
    return made, made.T
