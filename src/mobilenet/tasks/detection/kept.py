"""What of a detector's head goes on in another training: with other classes, and from other prior boxes."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.model.card import ModelCard
from mobilenet.model.graph import Arrays
from mobilenet.model.ssd import BOXES, SCORES
from mobilenet.tasks.detection.priors import BOX_SCALES, FINE, SCALES, SHAPES

__all__ = ["kept_head"]

Floats = NDArray[np.float32]
Wide = NDArray[np.float64]
Whole = NDArray[np.int64]
Change = Callable[[Floats, Floats], Floats]
"""From their array of a prediction (weights or biases) and ours to the one that goes on."""


def kept_head(theirs: ModelCard, their_arrays: Arrays, ours: ModelCard, our_arrays: Arrays) -> dict[str, Floats]:
    """The arrays of our head that go on from another detector's, in the shapes of the torch modules: those of rows with
    the same name and shape.

    Each of our prior boxes takes the predictions of the one of theirs on its plane that is most like it. The boxes
    that it predicts remain the same, and so do its scores of classes with the same name; those of other classes are
    ours.
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
    """How the predictions of each plane that both have go on, by the names of their rows."""
    names = {name: place for place, name in enumerate(theirs.labels)}
    classes = np.array([names.get(label, -1) for label in ours.labels], np.int64)
    scales = [np.array(card.decoding.get(SCALES, BOX_SCALES), np.float64) for card in (theirs, ours)]
    their_priors, our_priors = _priors(theirs.decoding), _priors(ours.decoding)
    changes: dict[str, Change] = {}
    for plane in their_priors.keys() & our_priors.keys():
        which = _most_alike(their_priors[plane], our_priors[plane])
        sides = np.log(their_priors[plane][which] / our_priors[plane])
        changes[f"{BOXES}{plane}.prediction"] = partial(_of_boxes, which, sides, scales[0], scales[1])
        changes[f"{SCORES}{plane}.prediction"] = partial(_of_scores, which, classes, len(theirs.labels))
    return changes


def _priors(decoding: Mapping[str, Any]) -> dict[int, Wide]:
    """(A, 2) heights and widths of the priors of each plane, by its number in the names of rows."""
    numbered = enumerate(decoding[SHAPES], 0 if decoding.get(FINE) else 1)
    return {plane: np.asarray(priors, np.float64) for plane, priors in numbered}


def _most_alike(theirs: Wide, ours: Wide) -> Whole:
    """(B, 2) and (A, 2) -> (A,) which of theirs overlaps each of ours most around the same centre."""
    shared = np.minimum(theirs[None], ours[:, None]).prod(2)
    overlaps = shared / (theirs.prod(1)[None] + ours.prod(1)[:, None] - shared)
    which: Whole = overlaps.argmax(axis=1)
    return which


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
