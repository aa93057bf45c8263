"""Prior boxes: the shapes at each position of each plane from which boxes are predicted.

`decoding["priors"]` of a card has, for each plane, the height and width of the priors at each of its positions, as
shares of the photo; their centres are the middles of the positions, or for each plane the `centres` of a row.
`decoding["box_scales"]` are the factors of the four numbers of a code (Liu et al. 2016; TensorFlow's
`FasterRcnnBoxCoder`).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.errors import ModelError
from mobilenet.model.card import ModelCard
from mobilenet.model.outputs import Output
from mobilenet.model.ssd import BOXES, SCORES
from mobilenet.spec.rows import Network
from mobilenet.spec.shapes import output_shapes
from mobilenet.spec.ssd import planes

__all__ = ["BOX_SCALES", "CENTRES", "FINE", "SCALES", "SHAPES", "default_shapes", "prior_boxes"]

SHAPES, SCALES, CENTRES, FINE = "priors", "box_scales", "centres", "fine"
"""Fields of a card's `decoding`; the last, where it is there, says that boxes are predicted on block 5 too."""

BOX_SCALES = (10.0, 10.0, 5.0, 5.0)

_SMALLEST, _LARGEST = 0.2, 0.95
_FIRST = ((0.1, 1.0), (_SMALLEST, 2.0), (_SMALLEST, 0.5))
_ASPECTS = (1.0, 2.0, 0.5, 3.0, 1 / 3)
"""Scales as shares of the photo, and width divided by height, of the authors' detectors."""

Floats = NDArray[np.float32]


def default_shapes(body: Network, *, fine: bool = False) -> list[list[list[float]]]:
    """The priors of the authors' detectors for each plane of a body: heights and widths as shares of the photo.

    Scales run from 0.2 to 0.95 in equal steps; the finest plane has a smaller one, and fewer priors. A `fine` plane
    before it has the same at half their size.
    """
    count = len(planes(body))
    steps = np.linspace(_SMALLEST, _LARGEST, count).tolist()
    shapes = [[_shape(*prior) for prior in _FIRST]]
    for scale, larger in zip(steps[1:], [*steps[2:], 1.0], strict=True):
        sides = [_shape(scale, aspect) for aspect in _ASPECTS]
        shapes.append([*sides, _shape(math.sqrt(scale * larger), 1.0)])
    finer = [[_shape(scale / 2, aspect) for scale, aspect in _FIRST]] if fine else []
    return [*finer, *shapes[:count]]


_RECENT: dict[str, tuple[ModelCard, Floats]] = {}
"""The last card that was asked for, and its priors: suppression takes less time than to make them."""


def prior_boxes(card: ModelCard) -> Floats:
    """(P, 4) float32: centre from the top and from the left, height and width, as shares of the photo, in the order of
    the card's outputs. ModelError if the card's priors do not match them."""
    recent = _RECENT.get("card")
    if recent is None or recent[0] is not card:
        recent = card, _made(card)
        recent[1].flags.writeable = False
        _RECENT["card"] = recent
    return recent[1]


def _made(card: ModelCard) -> Floats:
    shapes = _shapes(card.decoding)
    boxes, scores = _outputs(card)
    rows = output_shapes(card.network().rows, card.resolution)
    made = []
    rounded = _rounded(card.decoding, len(shapes))
    for row, priors, centres in zip(boxes.rows, shapes, rounded, strict=True):
        height, width, channels = rows[row]
        if channels != 4 * len(priors):
            raise ModelError(f"row {row} has {channels} channels for {len(priors)} prior boxes; it needs 4 for each")
        made.append(_grid(_centres(height, centres), _centres(width, centres), np.asarray(priors, np.float64)))
    found = np.concatenate(made).astype(np.float32)
    if boxes.shape != (len(found), 4) or scores.shape != (len(found), len(card.labels)):
        raise ModelError(
            f"outputs {boxes.shape} and {scores.shape} do not match {len(found)} prior boxes and {len(card.labels)} "
            "classes"
        )
    return found


def _outputs(card: ModelCard) -> tuple[Output, Output]:
    outputs = {output.name: output for output in card.network_outputs}
    if outputs.keys() != {BOXES, SCORES} or len(outputs[BOXES].rows) != len(_shapes(card.decoding)):
        raise ModelError(f"its outputs are {sorted(outputs)}; a detector has boxes and scores, and priors for each row")
    return outputs[BOXES], outputs[SCORES]


def _shapes(decoding: Mapping[str, Any]) -> Sequence[Sequence[Sequence[float]]]:
    shapes: Sequence[Sequence[Sequence[float]]] = decoding.get(SHAPES) or []
    sides = [side for priors in shapes for shape in priors for side in shape]
    valid = all(isinstance(side, int | float) and 0 < side < 100 for side in sides)
    if not sides or not valid or any(len(shape) != 2 for priors in shapes for shape in priors):
        raise ModelError("its prior boxes are not pairs of height and width as shares of the photo")
    return shapes


def _shape(scale: float, aspect: float) -> list[float]:
    return [scale / math.sqrt(aspect), scale * math.sqrt(aspect)]


def _rounded(decoding: Mapping[str, Any], planes: int) -> Sequence[Sequence[float] | None]:
    """For each plane the card's own centres of the positions in a row, which 8-bit files of other tools round."""
    centres = decoding.get(CENTRES)
    if centres is None:
        return [None] * planes
    if len(centres) != planes or not all(isinstance(each, float) and 0 <= each <= 1 for row in centres for each in row):
        raise ModelError(f"its centres of positions are not shares of the photo for each of {planes} planes")
    found: Sequence[Sequence[float]] = centres
    return found


def _centres(side: int, given: Sequence[float] | None) -> NDArray[np.float64]:
    """(side,) those of the positions in a row or a column, as shares of the photo."""
    if given is None:
        return (np.arange(side) + 0.5) / side
    if len(given) != side:
        raise ModelError(f"its prior boxes have {len(given)} centres of positions in a row of {side}")
    return np.asarray(given, np.float64)


def _grid(rows: NDArray[np.float64], columns: NDArray[np.float64], priors: NDArray[np.float64]) -> NDArray[np.float64]:
    """(rows · columns · A, 4): the priors (A, 2) at each position, row by row."""
    top, left = np.meshgrid(rows, columns, indexing="ij")
    centres = np.repeat(np.stack([top.ravel(), left.ravel()], 1), len(priors), 0)
    return np.concatenate([centres, np.tile(priors, (len(centres) // len(priors), 1))], 1)
