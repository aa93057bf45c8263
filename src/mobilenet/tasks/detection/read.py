"""The boxes of photos from COCO's JSON, VOC's XML, the text files of YOLO's tools, and shards with the same."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mobilenet.datasets.archive import Archive
from mobilenet.datasets.reader import NamedPart, Place, Places, Source
from mobilenet.datasets.remote.urls import spelled
from mobilenet.datasets.sources.boxes.annotation import PhotoBoxes
from mobilenet.datasets.sources.boxes.box_set import BoxSet
from mobilenet.datasets.sources.boxes.find import box_part, box_places
from mobilenet.datasets.sources.boxes.packed import described_boxes, has_boxes, packed_boxes
from mobilenet.datasets.sources.endings import unread_line
from mobilenet.datasets.sources.find import find_places
from mobilenet.datasets.sources.shards import find_shards
from mobilenet.errors import DataError
from mobilenet.model.vocabulary import Vocabulary
from mobilenet.tasks.detection.shapes import sample_of
from mobilenet.tasks.detection.targets import BoxTargets

__all__ = ["box_targets", "described", "looks_like_detection", "places", "read_boxes", "read_source"]

_REMEDY = "give a COCO file (.json), VOC's XML files beside the photos, data.yaml of YOLO's tools, or shards with boxes"

_STEPS = 32
"""Of a pixel, in which boxes are read."""


def looks_like_detection(data: Path) -> bool:
    """Whether a folder, a file or shards have boxes, also if they cannot be read."""
    try:
        if box_places(data) is not None:
            return True
    except DataError:
        # Of a format with boxes, and told when it is read.
        return True
    try:
        shards = find_shards(data)
        return shards is not None and has_boxes(shards.read())
    except DataError:
        return False


def places(data: Path) -> Places:
    """The parts of the split of a data set: those that its annotations tell, else those of its folders or shards;
    DataError."""
    return box_places(data) or find_places(data)


def read_source(place: Place) -> Source:
    """What annotation files or shards say of each photo, as `PhotoBoxes`; a folder without any says nothing.
    DataError."""
    if not isinstance(place, Path | NamedPart):
        return _from_shards(place.path, place.read())
    part = box_part(place)
    path = place if isinstance(place, Path) else place.path
    if part is not None:
        return _source(path, part.read())
    shards = find_shards(path)
    if shards is not None:
        return _from_shards(path, shards.read())
    return Source(path, path, {}, notes=(f"{spelled(path)} has no boxes",), remedy=_REMEDY)


def read_boxes(data: Path, train: Source, judges: Source | None) -> tuple[Vocabulary, BoxTargets, BoxTargets | None]:
    """The classes of the training photos in the order of their annotations, also those without a box, and the boxes of
    each photo. DataError if there is no box in training, and for a class that only validation has."""
    names = _names(train)
    targets = box_targets(train, names, "training")
    if not (~targets.crowd).any():
        raise DataError(f"{spelled(data)} has no box of a single object in its training photos, so nothing to learn")
    return (
        Vocabulary(names, sample_of(targets.boxes[~targets.crowd])),
        targets,
        None if judges is None else box_targets(judges, names, "training"),
    )


def box_targets(source: Source, names: Sequence[str], owner: str) -> BoxTargets:
    """The boxes of the photos in terms of these classes; DataError names a class, with a box, that `owner` lacks."""
    place = {name: number for number, name in enumerate(names)}
    photos: list[PhotoBoxes] = list(source.annotations.values())
    labels = [label for photo in photos for label in photo.labels]
    unknown = sorted(set(labels).difference(place))
    if unknown:
        raise DataError(
            f"{spelled(source.path)} has boxes of a class that {owner} lacks: {', '.join(unknown[:3])}"
            f"{' and others' if len(unknown) > 3 else ''}; its classes are {', '.join(names[:5])}"
            f"{', …' if len(names) > 5 else ''}"
        )
    sizes = np.array([photo.size for photo in photos], np.int64).reshape(-1, 2)
    counts = np.array([len(photo) for photo in photos], np.int64)
    pixels = np.concatenate([np.zeros((0, 4)), *(photo.boxes for photo in photos)])
    return BoxTargets(
        (pixels / np.repeat(np.tile(sizes, 2), counts, axis=0)).astype(np.float32),
        np.array([place[label] for label in labels], np.int64),
        np.concatenate([np.zeros(0, np.bool_), *(photo.crowd for photo in photos)]),
        sizes.astype(np.int32),
        np.concatenate([[0], counts.cumsum()]).astype(np.int64),
    )


def described(targets: BoxTargets, vocabulary: Vocabulary) -> Iterator[Mapping[str, Any]]:
    """For each photo what the JSON beside it in a shard says, from which the same boxes are read, to the last bit."""
    for index, (height, width) in enumerate(targets.sizes.tolist()):
        at = targets.photo(index)
        # Fractions are exact to far less than a step, in photos of up to 500,000 pixels a side.
        steps = targets.boxes[at].astype(np.float64) * ([height, width] * 2) * _STEPS
        labels = [vocabulary.names[label] for label in targets.labels[at].tolist()]
        yield described_boxes(labels, np.round(steps) / _STEPS, targets.crowd[at], (height, width))


def _names(source: Source) -> tuple[str, ...]:
    """Those of its parts, in their order."""
    lists = {id(photo.names): photo.names for photo in source.annotations.values()}
    return tuple(dict.fromkeys(name for names in lists.values() for name in names))


def _from_shards(path: Path, archive: Archive) -> Source:
    return _source(path, packed_boxes(path, archive), archive)


def _source(path: Path, found: BoxSet, archive: Archive | None = None) -> Source:
    shown = spelled(path)
    unread = {} if archive is None else archive.unread
    lines = [*found.lines(), *([unread_line(unread)] if unread else [])]
    return Source(
        path,
        found.root,
        found.photos,
        None if archive is None else archive.members,
        tuple(line if line.startswith(shown) else f"{shown}: {line}" for line in lines),
        unread=unread,
        doubtful=tuple(f"{shown}: {line}" for line in found.doubtful()),
        peculiar=tuple(f"{shown}: {line}" for line in found.peculiar()),
        drawn=tuple(found.drawn()),
        remedy=_REMEDY,
    )
