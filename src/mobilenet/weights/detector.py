"""Matching the head of a foreign detector to the rows of SSD or SSDLite on our table."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from mobilenet.errors import ModelError, SpecError
from mobilenet.model.card import ModelCard
from mobilenet.model.head import Head
from mobilenet.model.ssd import ssd_head
from mobilenet.spec.rows import Conv
from mobilenet.tasks.default import BOXES
from mobilenet.weights.layers import ForeignConv, ForeignDetector, ForeignNetwork, ForeignPlane
from mobilenet.weights.match import Imported, Triple, check_row, class_names, recognise, row_tensors

__all__ = ["recognise_detector"]

_CODES = 4
"""Numbers for a box."""

_BACKGROUNDS = frozenset({"background", "__background__", "???", "n/a"})
"""Names of the class in front of the others."""


def recognise_detector(
    network: ForeignNetwork,
    detector: ForeignDetector,
    *,
    labels: tuple[str, ...] | None = None,
    resolution: int | None = None,
    mean: Triple | None = None,
    std: Triple | None = None,
) -> Imported:
    """As `weights.match.recognise`, for a network whose head is `detector`; a class for the background is left out.

    ModelError if body and head together are not one of our tables, or if names and classes do not match.
    """
    body = recognise(replace(network, labels=None), resolution=resolution, mean=mean, std=std)
    label_notes: list[str] = []
    classes, source = detector.classes, network.source
    own = replace(network, labels=_foreground(network.labels, classes))
    names = class_names(own, _foreground(labels, classes), classes, label_notes)
    foreground = replace(
        detector, planes=tuple(_without_background(source, detector, plane) for plane in detector.planes)
    )
    head = _head(source, body.card, foreground)
    tensors = dict(body.tensors)
    for row, conv in zip(_checked(source, body.card, head, foreground), _convs(foreground), strict=True):
        tensors |= row_tensors(source, row, conv)
    card = replace(body.card, task=BOXES, labels=names, head=head, decoding=_decoding(detector))
    return replace(body, card=card, tensors=tensors, label_notes=tuple(label_notes))


def _foreground(names: tuple[str, ...] | None, classes: int) -> tuple[str, ...] | None:
    """Without the name of the background in front of so many classes."""
    if names is not None and len(names) == classes + 1 and names[0].lower() in _BACKGROUNDS:
        return names[1:]
    return names


def _decoding(detector: ForeignDetector) -> dict[str, object]:
    """What turns codes into boxes; `centres` of positions only where the file rounds them."""
    rounded = [plane.centres.tolist() for plane in detector.planes if plane.centres is not None]
    return {
        **({"centres": rounded} if rounded else {}),
        "ssd": "lite" if len(detector.planes[0].boxes) > 1 else "plain",
        "priors": [plane.priors.tolist() for plane in detector.planes],
        "box_scales": list(detector.box_scales),
    }


def _without_background(source: str, detector: ForeignDetector, plane: ForeignPlane) -> ForeignPlane:
    """ModelError unless the plane predicts four numbers for each prior box, and a score for each class."""
    boxes, scores = plane.boxes[-1], plane.scores[-1]
    priors, classes = len(plane.priors), detector.classes
    background = len(scores.filters) // priors - classes
    if (
        len(boxes.filters) != priors * _CODES
        or len(scores.filters) != priors * (classes + background)
        or background not in {0, 1}
    ):
        raise ModelError(
            f"{source}: {boxes.name} has {len(boxes.filters)} and {scores.name} {len(scores.filters)} filters; "
            f"{priors} prior boxes with {classes} classes have {priors * _CODES} and {priors * classes}, or "
            f"{priors * (classes + 1)} with a background"
        )
    if not background:
        return plane
    shape = (priors, classes + 1, *scores.filters.shape[1:])
    filters = scores.filters.reshape(shape)[:, 1:].reshape(-1, *shape[2:])
    bias = None if scores.bias is None else scores.bias.reshape(shape[:2])[:, 1:].reshape(-1)
    return replace(plane, scores=(*plane.scores[:-1], replace(scores, filters=filters, bias=bias)))


def _head(source: str, card: ModelCard, detector: ForeignDetector) -> Head:
    counts = [len(plane.priors) for plane in detector.planes]
    separable = len(detector.planes[0].boxes) > 1
    try:
        return ssd_head(card.body(), detector.classes, card.style, counts, separable=separable)
    except SpecError as error:
        raise ModelError(f"{source}: {error}") from error


def _convs(detector: ForeignDetector) -> Iterator[ForeignConv]:
    """In the order of the rows."""
    yield from detector.added
    for plane in detector.planes:
        yield from (*plane.boxes, *plane.scores)


def _checked(source: str, card: ModelCard, head: Head, detector: ForeignDetector) -> Sequence[Conv]:
    """The rows of the head; ModelError names the first layer of the file that does not match its row."""
    rows = [row for row in head.rows if isinstance(row, Conv)]
    convs = list(_convs(detector))
    if len(convs) != len(rows):
        raise ModelError(
            f"{source}: {len(convs)} convolutions follow the body, but an SSD on {len(detector.planes)} planes has "
            f"{len(rows)}"
        )
    for row, conv in zip(rows, convs, strict=True):
        check_row(source, row, conv, f"SSD on {card.architecture} {card.width_multiplier:g}")
        if conv.activation != row.activation or (conv.stride > 1 and conv.padding != row.padding):
            raise ModelError(
                f"{source}: {conv.name} has activation {conv.activation} and padding {conv.padding}; {row.name} has "
                f"{row.activation} and {row.padding}"
            )
    _check_planes(source, card, rows, detector)
    return rows


def _check_planes(source: str, card: ModelCard, rows: Sequence[Conv], detector: ForeignDetector) -> None:
    """ModelError if a plane is not the result of the row that the table reads there."""
    trunk = [row.name for row in card.body().rows if isinstance(row, Conv)]
    trunk += [row.name for row in rows[: len(detector.added)]]
    first = (
        f"boxes{number}.{'depthwise' if len(plane.boxes) > 1 else 'prediction'}"
        for number, plane in enumerate(detector.planes, 1)
    )
    inputs = {row.name: row.inputs for row in rows}
    for name, plane in zip(first, detector.planes, strict=True):
        if (trunk[plane.read],) != inputs[name]:
            raise ModelError(
                f"{source}: {plane.boxes[0].name} reads {trunk[plane.read]}, but {name} reads {inputs[name][0]}"
            )
