"""The head of a detector: its rows and outputs, what decoding needs, and what of it goes on in another training."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mobilenet.model.card import ModelCard
from mobilenet.model.graph import Arrays
from mobilenet.model.head import Head
from mobilenet.model.ssd import SCORES, ssd_head
from mobilenet.spec.rows import Conv, ConvStyle, Network
from mobilenet.spec.ssd import planes
from mobilenet.tasks.detection.priors import BOX_SCALES, CENTRES, FINE, SCALES, SHAPES, default_shapes
from mobilenet.tasks.detection.shapes import SAMPLE, are_small, fitting

__all__ = ["KIND", "Planes", "Ssd", "decoding_of", "head_of", "kept_head"]

Ssd = Literal["lite", "plain"]
Planes = Literal["fine", "usual"]

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


def kept_head(
    theirs: ModelCard, their_arrays: Arrays, ours: ModelCard, our_arrays: Arrays
) -> dict[str, NDArray[np.float32]]:
    """The arrays of our head that go on from another detector's, in the shapes of the torch modules: those of rows with
    the same name and shape, and the channels (A · C, …) for scores of classes with the same name. What is predicted
    for other prior boxes does not go on."""
    if theirs.head is None or ours.head is None:
        return {}
    scores = next(output.rows for output in ours.head.outputs if output.name == SCORES)
    their_shapes, our_shapes = _numbered(theirs.decoding), _numbered(ours.decoding)
    others = {plane for plane, priors in our_shapes.items() if their_shapes.get(plane) != priors}
    changed = {f"{kind}{plane}.prediction" for plane in others for kind in ("boxes", "scores")}
    kept: dict[str, NDArray[np.float32]] = {}
    for row in (row for row in ours.head.rows if row.name not in changed):
        for name in (name for name in our_arrays if name.startswith(f"{row.name}.") and name in their_arrays):
            if row.name in scores:
                kept[name] = _of_classes(theirs, their_arrays[name], ours, our_arrays[name])
            elif their_arrays[name].shape == our_arrays[name].shape:
                kept[name] = their_arrays[name]
    return kept


def _numbered(decoding: Mapping[str, Any]) -> dict[int, Any]:
    """The priors of each plane by its number in the names of rows."""
    return dict(enumerate(decoding[SHAPES], 0 if decoding.get(FINE) else 1))


def _of_classes(
    theirs: ModelCard, their_values: NDArray[np.float32], ours: ModelCard, our_values: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Channels (A · C, …) of our classes: theirs where they have the class, ours otherwise."""
    made = our_values.reshape(-1, len(ours.labels), *our_values.shape[1:]).copy()
    given = their_values.reshape(-1, len(theirs.labels), *their_values.shape[1:])
    if given.shape[0] != made.shape[0] or given.shape[2:] != made.shape[2:]:
        return our_values
    place = {name: number for number, name in enumerate(theirs.labels)}
    for number, name in enumerate(ours.labels):
        if name in place:
            made[:, number] = given[:, place[name]]
    return made.reshape(our_values.shape)


def _style(body: Network) -> ConvStyle:
    first = body.rows[0]
    if not isinstance(first, Conv):
        raise TypeError(f"{body.name} does not begin with a convolution")
    return ConvStyle(first.padding, first.activation, first.epsilon, first.batch_norm)
