"""The head of a detector: its rows and outputs, and what decoding needs."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from mobilenet.model.head import Head
from mobilenet.model.ssd import ssd_head
from mobilenet.spec.rows import Conv, ConvStyle, Network
from mobilenet.spec.ssd import planes
from mobilenet.tasks.detection.priors import BOX_SCALES, CENTRES, FINE, SCALES, SHAPES, default_shapes
from mobilenet.tasks.detection.shapes import SAMPLE, are_small, fitting

__all__ = ["KIND", "Planes", "Ssd", "decoding_of", "head_of"]

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


def _style(body: Network) -> ConvStyle:
    first = body.rows[0]
    if not isinstance(first, Conv):
        raise TypeError(f"{body.name} does not begin with a convolution")
    return ConvStyle(first.padding, first.activation, first.epsilon, first.batch_norm)
