"""Positions in the headers of photos: in folders, and in shards that say nothing else of them."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from mobilenet.datasets.sources.coordinates.geotag import geotag
from mobilenet.datasets.sources.coordinates.position import Coordinates, Fault, Reason
from mobilenet.datasets.sources.coordinates.position_set import PositionSet, separated
from mobilenet.datasets.sources.endings import unread_line
from mobilenet.datasets.sources.folders import list_tree
from mobilenet.errors import ImageError
from mobilenet.parallel import in_order

__all__ = ["folder_positions", "header_positions", "mostly_geotagged"]

_CHUNK = 256
"""Headers that a thread reads at a time: a single one takes no longer than handing it over."""

_LOOKED_AT = 32


def folder_positions(folder: Path) -> PositionSet:
    """The photos of a folder and below that have a position in their headers; DataError if there is no such folder."""
    tree = list_tree(folder)
    photos, faults = separated(header_positions(tree.files, lambda name: folder / name))
    notes = (f"{folder}: {unread_line(tree.unread)}",) if tree.unread else ()
    return PositionSet(folder, folder, photos, faults, notes=notes, unread=tree.unread)


def header_positions(
    photos: Sequence[str], source_of: Callable[[str], bytes | Path]
) -> Iterator[tuple[str, Coordinates | Fault]]:
    """Each photo with its position, or why it has none; `source_of` gives its file or its bytes (ImageError), in
    several threads."""

    def read(photo: str) -> Coordinates | Fault:
        try:
            return geotag(photo, source_of(photo))
        except ImageError as error:
            return Fault(photo, Reason.UNREADABLE, str(error))

    chunks = (photos[start : start + _CHUNK] for start in range(0, len(photos), _CHUNK))
    for chunk, found in in_order(lambda chunk: list(map(read, chunk)), chunks, os.cpu_count() or 1):
        yield from zip(chunk, found, strict=True)


def mostly_geotagged(photos: Sequence[str], source_of: Callable[[str], bytes | Path]) -> bool:
    """Whether most of some of these photos have a position in their headers."""
    some = photos[:: max(1, len(photos) // _LOOKED_AT)][:_LOOKED_AT]
    have = sum(isinstance(found, Coordinates) for _, found in header_positions(some, source_of))
    return 2 * have > len(some)
