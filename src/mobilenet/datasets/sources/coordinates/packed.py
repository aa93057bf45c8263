"""Positions in shards: `latitude` and `longitude` in the JSON beside a photo or in columns, in degrees, else in the
photo's own header."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from mobilenet.datasets.archive import Archive
from mobilenet.datasets.remote.urls import spelled
from mobilenet.datasets.sources.columns import LATITUDES, LONGITUDES, find
from mobilenet.datasets.sources.coordinates.degrees import parse_position
from mobilenet.datasets.sources.coordinates.headers import header_positions, mostly_geotagged
from mobilenet.datasets.sources.coordinates.position import Coordinates, Fault
from mobilenet.datasets.sources.coordinates.position_set import PositionSet, refuse_swapped, separated
from mobilenet.datasets.sources.endings import unread_line

__all__ = ["described_position", "holds_positions", "packed_positions"]


def holds_positions(archive: Archive) -> bool:
    """Whether shards say no classes, but positions, or are of photos that mostly have some in their headers."""
    if archive.classes:
        return False
    if archive.about:
        return any(_fields(tuple(said)) is not None for said in archive.about.values())
    return bool(archive.unlabelled) and mostly_geotagged(archive.unlabelled, archive.members.read)


def packed_positions(path: Path, archive: Archive) -> PositionSet:
    """What shards say of each photo; DataError if latitudes and longitudes are swapped."""
    photos, faults = separated(_said(archive))
    refuse_swapped(path, photos, faults)
    names = dict.fromkeys((*archive.about, *archive.classes, *archive.unlabelled))
    silent = [name for name in names if _fields(tuple(archive.about.get(name, ()))) is None]
    more, broken = separated(header_positions(silent, archive.members.read))
    notes = (f"{spelled(path)}: {unread_line(archive.unread)}",) if archive.unread else ()
    return PositionSet(path, path, photos | more, (*faults, *broken), archive.members, notes, archive.unread)


def described_position(position: Coordinates) -> dict[str, float]:
    """What the JSON beside a photo says."""
    return {"latitude": position.latitude_deg, "longitude": position.longitude_deg}


def _said(archive: Archive) -> Iterator[tuple[str, Coordinates | Fault]]:
    for photo, about in archive.about.items():
        fields = _fields(tuple(about))
        if fields is not None:
            said = parse_position(*(about[field] for field in fields))
            yield photo, said if isinstance(said, Coordinates) else Fault(photo, said, _words(about, fields))


@lru_cache(maxsize=1024)
def _fields(names: tuple[str, ...]) -> tuple[str, str] | None:
    """Those of the latitude and the longitude; None unless there are both."""
    latitude, longitude = find(names, LATITUDES), find(names, LONGITUDES)
    return None if latitude is None or longitude is None else (names[latitude], names[longitude])


def _words(about: Mapping[str, object], fields: tuple[str, str]) -> str:
    return ", ".join(str(about[field])[:40] for field in fields)
