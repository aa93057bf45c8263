"""The head of a detector: its rows and outputs, its decoding, and the transfer of its weights to another detector."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mobilenet.model.card import ModelCard
from mobilenet.model.graph import Arrays
from mobilenet.model.head import Head
from mobilenet.model.ssd import BOXES, SCORES, ssd_head
from mobilenet.spec.rows import Conv, ConvStyle, Network
from mobilenet.spec.ssd import planes
from mobilenet.tasks.detection.priors import BOX_SCALES, CENTRES, FINE, SCALES, SHAPES, default_shapes
from mobilenet.tasks.detection.shapes import SAMPLE, are_small, fitting, overlaps

__all__ = ["KIND", "Planes", "Ssd", "decoding_of", "head_of", "kept_head"]

Ssd = Literal["lite", "plain"]
Planes = Literal["fine", "usual"]

Floats = NDArray[np.float32]
Wide = NDArray[np.float64]
Whole = NDArray[np.int64]
Change = Callable[[Floats, Floats], Floats]
"""Turns the weights or biases of a prediction, theirs and ours, into those that training starts from."""

KIND = "ssd"
"""The field of `decoding` that says which kind of head a detector has: "lite" or "plain"."""


def decoding_of(
    body: Network, fields: Mapping[str, Any], kind: Ssd | None, wanted: Planes | None = None
) -> dict[str, Any]:
    """What turns the outputs of a detector on `body` into boxes: `fields` with the `kind` of head, by default theirs or
    else SSDLite. Prior boxes of fields for another number of planes give way to the usual ones, and all to those made
    for the boxes of a data set where these fit better. Without `wanted` planes, small boxes get a fine one."""
    fine = bool(fields.get(FINE)) or are_small(body, fields) if wanted is None else wanted == "fine"
    shapes = fitting(body, _given(body, fields, fine=fine), fields, fine=fine)
    kept = {name: value for name, value in fields.items() if name not in {SAMPLE, SHAPES, CENTRES, FINE}}
    rounded = {CENTRES: fields[CENTRES]} if CENTRES in fields and shapes is fields.get(SHAPES) else {}
    usual = {KIND: "lite", SCALES: list(BOX_SCALES)}
    chosen = {**({} if kind is None else {KIND: kind}), **({FINE: True} if fine else {})}
    return {**usual, **kept, **rounded, SHAPES: shapes, **chosen}


def _given(body: Network, fields: Mapping[str, Any], *, fine: bool) -> Sequence[Sequence[Sequence[float]]]:
    """The priors of the fields for each plane; the usual ones for a fine plane that they lack, or for all."""
    usual = default_shapes(body, fine=fine)
    given: Sequence[Sequence[Sequence[float]]] = fields.get(SHAPES) or []
    had = bool(fields.get(FINE))
    if len(given) != len(planes(body, fine=had)):
        return usual
    if fine == had:
        return given
    return [usual[0], *given] if fine else given[1:]


def head_of(body: Network, classes: int, decoding: Mapping[str, Any]) -> Head:
    """The rows and outputs after `body` for this `decoding`; SpecError for a body without the planes of SSD."""
    counts = [len(priors) for priors in decoding[SHAPES]]
    fine = bool(decoding.get(FINE))
    return ssd_head(body, classes, _style(body), counts, separable=decoding[KIND] == "lite", fine=fine)


def kept_head(theirs: ModelCard, their_arrays: Arrays, ours: ModelCard, our_arrays: Arrays) -> dict[str, Floats]:
    """The weights of our head to initialise from another detector's, shaped like the parameters of the torch modules:
    rows with the same name and shape, and predictions, (A · 4, …) and (A · C, …) for A priors and C classes.

    Each of our prior boxes takes the predictions of their most similar prior on the same plane, rescaled to predict the
    same boxes. Scores of classes with the same name are kept; those of other classes are ours.
    """
    if theirs.head is None or ours.head is None:
        return {}
    changes = _changes(theirs, ours)
    kept: dict[str, Floats] = {}
    for row in ours.head.rows:
        for name in (name for name in our_arrays if name.startswith(f"{row.name}.") and name in their_arrays):
            change = changes.get(row.name)
            values = their_arrays[name] if change is None else change(their_arrays[name], our_arrays[name])
            if values.shape == our_arrays[name].shape:
                kept[name] = values
    return kept


def _changes(theirs: ModelCard, ours: ModelCard) -> dict[str, Change]:
    """For each prediction row of the planes that both detectors have: how its arrays are carried over."""
    names = {name: place for place, name in enumerate(theirs.labels)}
    classes = np.array([names.get(label, -1) for label in ours.labels], np.int64)
    scales = [np.array(card.decoding.get(SCALES, BOX_SCALES), np.float64) for card in (theirs, ours)]
    their_priors, our_priors = _priors(theirs.decoding), _priors(ours.decoding)
    changes: dict[str, Change] = {}
    for plane in their_priors.keys() & our_priors.keys():
        which = overlaps(our_priors[plane], their_priors[plane]).argmax(1)
        sides = np.log(their_priors[plane][which] / our_priors[plane])
        changes[f"{BOXES}{plane}.prediction"] = partial(_of_boxes, which, sides, scales[0], scales[1])
        changes[f"{SCORES}{plane}.prediction"] = partial(_of_scores, which, classes, len(theirs.labels))
    return changes


def _priors(decoding: Mapping[str, Any]) -> dict[int, Wide]:
    """(A, 2) heights and widths of the priors of each plane, by its number in the names of rows."""
    numbered = enumerate(decoding[SHAPES], 0 if decoding.get(FINE) else 1)
    return {plane: np.asarray(priors, np.float64) for plane, priors in numbered}


def _of_boxes(
    which: Whole, sides: Wide, their_scales: Wide, our_scales: Wide, their_values: Floats, our_values: Floats
) -> Floats:
    """(B · 4, …) -> (A · 4, …): the same boxes from other priors, whose sides theirs exceed by factors of e to the
    `sides` (A, 2).

    A centre is coded in sides of the prior, a side as the logarithm of its ratio to that of the prior (Ren et al. 2015,
    arXiv 1506.01497, equation 2).
    """
    given = their_values.reshape(-1, 4, *their_values.shape[1:])[which]
    factors = np.concatenate([np.exp(sides), np.ones_like(sides)], axis=1) * (our_scales / their_scales)
    made = given * factors.reshape(*factors.shape, *[1] * (given.ndim - 2))
    if our_values.ndim == 1:
        made[:, 2:] += sides * our_scales[2:]
    return made.reshape(-1, *their_values.shape[1:]).astype(np.float32)


def _of_scores(which: Whole, classes: Whole, their_classes: int, their_values: Floats, our_values: Floats) -> Floats:
    """(B · their classes, …) -> (A · C, …): theirs of each of C `classes` that they have, which is -1 for none, and
    otherwise ours."""
    made = our_values.reshape(len(which), len(classes), *our_values.shape[1:]).copy()
    given = their_values.reshape(-1, their_classes, *their_values.shape[1:])
    if given.shape[2:] != made.shape[2:]:
        return their_values
    made[:, classes >= 0] = given[which][:, classes[classes >= 0]]
    return made.reshape(our_values.shape)


def _style(body: Network) -> ConvStyle:
    first = body.rows[0]
    if not isinstance(first, Conv):
        raise TypeError(f"{body.name} does not begin with a convolution")
    return ConvStyle(first.padding, first.activation, first.epsilon, first.batch_norm)
