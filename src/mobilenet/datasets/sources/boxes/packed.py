"""Boxes in shards: the JSON beside each photo has its `height` and `width`, and a list `boxes` of objects with `label`,
`top`, `left`, `bottom` and `right` in pixels of the photo as people see it, and `crowd` where it is true.

The classes in their order are those of classes.txt beside the shards.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.datasets.archive import Archive
from mobilenet.datasets.sources.boxes.annotation import Annotation, Box, Fault, Reason, as_label, as_number, as_size
from mobilenet.datasets.sources.boxes.box_set import BoxSet, box_set
from mobilenet.images.decode import PhotoSize, photo_size

__all__ = ["described_boxes", "has_boxes", "packed_boxes"]

_FIELD = "boxes"
_EDGES = ("top", "left", "bottom", "right")


def has_boxes(archive: Archive) -> bool:
    """Whether the JSON of a photo lists boxes."""
    return any(isinstance(said.get(_FIELD), list) for said in archive.about.values())


def packed_boxes(path: Path, archive: Archive) -> BoxSet:
    """What shards say of each photo; a photo whose size they do not say is read for its header."""
    annotations, faults = dict[str, Annotation](), list[Fault]()
    for photo, about in archive.about.items():
        listed = about.get(_FIELD)
        if isinstance(listed, list):
            annotations[photo] = _annotation(about, listed)
        else:
            faults.append(Fault(photo, Reason.NO_ANNOTATION))
    faults += [Fault(photo, Reason.NO_ANNOTATION) for photo in archive.classes if photo not in archive.about]

    def size_of(photo: str) -> PhotoSize:
        said = annotations[photo].size
        return photo_size(archive.members.read(photo)) if said is None else PhotoSize(int(said[0]), int(said[1]))

    found = {box.label for said in annotations.values() for box in said.boxes}
    names = archive.names if found.issubset(archive.names) else sorted(found)
    return box_set(path, annotations, names, faults, size_of=size_of)


def described_boxes(
    labels: list[str], boxes: NDArray[np.float64], crowd: NDArray[np.bool_], size: tuple[int, int]
) -> dict[str, Any]:
    """What the JSON beside a photo says: its B boxes (B, 4), top, left, bottom and right in pixels, with their labels
    and whether each is around a crowd (B,); `size` is the height and width of the photo in pixels."""
    rows = [
        {"label": label, **dict(zip(_EDGES, edges, strict=True)), **({"crowd": True} if many else {})}
        for label, edges, many in zip(labels, boxes.tolist(), crowd.tolist(), strict=True)
    ]
    return {"height": size[0], "width": size[1], _FIELD: rows}


def _annotation(about: Mapping[str, object], listed: list[object]) -> Annotation:
    boxes, faults = list[Box](), list[tuple[Reason, str]]()
    for number, row in enumerate(listed):
        fields = row if isinstance(row, dict) else {}
        label = as_label(fields.get("label"))
        top, left, bottom, right = (as_number(fields.get(edge)) for edge in _EDGES)
        if label is None:
            faults.append((Reason.NO_CLASS, f"boxes[{number}]"))
        elif not any(edge in fields for edge in _EDGES):
            faults.append((Reason.NO_BOX, f"boxes[{number}]"))
        else:
            boxes.append(Box(label, (top, left, bottom, right), crowd=fields.get("crowd") is True))
    return Annotation(tuple(boxes), "pixels", as_size(about.get("height"), about.get("width")), tuple(faults))
