"""The head of a single-shot detector: its rows, and its outputs."""

from collections.abc import Sequence

from mobilenet.errors import SpecError
from mobilenet.model.head import Head
from mobilenet.model.outputs import Output
from mobilenet.spec.rows import ConvStyle, Network
from mobilenet.spec.ssd import detection_rows, planes

__all__ = ["BOXES", "SCORES", "ssd_head"]

BOXES, SCORES = "boxes", "scores"
"""Names of the outputs."""


def ssd_head(body: Network, classes: int, style: ConvStyle, priors: Sequence[int], *, separable: bool) -> Head:
    """`boxes` (P, 4), the codes of boxes, and `scores` (P, classes) in 0…1, for P prior boxes, of which there are
    `priors` at each position of each plane: plane by plane, in reading order, then those of a position.

    `separable` as in `spec.ssd.detection_rows`. SpecError for a body without blocks 11 and 13, or if there are not as
    many planes as numbers of priors.
    """
    found = planes(body)
    if len(found) != len(priors):
        raise SpecError(
            f"{len(priors)} planes have prior boxes, but the network for {body.resolution} pixels has {len(found)}"
        )
    rows = detection_rows(body, classes, style, separable=separable, priors=priors)
    count = sum(plane.height * plane.width * number for plane, number in zip(found, priors, strict=True))
    predictions = [tuple(f"{name}{k}.prediction" for k in range(1, len(found) + 1)) for name in (BOXES, SCORES)]
    return Head(
        rows,
        (
            Output(BOXES, predictions[0], (count, 4), "none"),
            Output(SCORES, predictions[1], (count, classes), "sigmoid"),
        ),
    )
