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


def ssd_head(
    body: Network, classes: int, style: ConvStyle, priors: Sequence[int], *, separable: bool, fine: bool = False
) -> Head:
    """`boxes` (P, 4), the codes of boxes, and `scores` (P, classes) in 0…1, for P prior boxes, of which there are
    `priors` at each position of each plane: plane by plane, in reading order, then those of a position.

    `separable` and `fine` as in `spec.ssd.detection_rows`. SpecError for a body without the blocks that are read, or if
    there are not as many planes as numbers of priors.
    """
    found = planes(body, fine=fine)
    if len(found) != len(priors):
        raise SpecError(
            f"{len(priors)} planes have prior boxes, but the network for {body.resolution} pixels has {len(found)}"
        )
    rows = detection_rows(body, classes, style, separable=separable, priors=priors, fine=fine)
    count = sum(plane.height * plane.width * number for plane, number in zip(found, priors, strict=True))
    first = 0 if fine else 1
    predictions = [tuple(f"{name}{k}.prediction" for k in range(first, first + len(found))) for name in (BOXES, SCORES)]
    return Head(
        rows,
        (
            Output(BOXES, predictions[0], (count, 4), "none"),
            Output(SCORES, predictions[1], (count, classes), "sigmoid"),
        ),
    )
