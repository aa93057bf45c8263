"""The photos of one part of a data set with their positions, and those that are not used, with reasons."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mobilenet.datasets.archive import Members
from mobilenet.datasets.reader import Source
from mobilenet.datasets.remote.urls import spelled
from mobilenet.datasets.sources.coordinates.position import Coordinates, Fault, Reason
from mobilenet.datasets.sources.spellings import one_line
from mobilenet.errors import DataError

__all__ = ["PositionSet", "refuse_swapped", "separated"]

_MOST_LINES = 10_000
"""Faults that are listed."""

_FEWEST_SWAPPED = 10
_SHARE_SWAPPED = 0.1
"""Of positions: such columns are taken for swapped if all longitudes are within 90 degrees."""

_REMEDY = "give a CSV file with the columns file_name, latitude and longitude, or photos with GPS in their EXIF or XMP"


@dataclass(frozen=True, slots=True, eq=False)
class PositionSet:
    """`photos` have a position, by their names below `root` (or absolute); `faults` are the others.

    `members` reads photos that are in shards; `notes` are for the user; `unread` counts files that are not photos, by
    the ending of their names.
    """

    path: Path
    root: Path
    photos: Mapping[str, Coordinates]
    faults: tuple[Fault, ...] = ()
    members: Members | None = None
    notes: tuple[str, ...] = ()
    unread: Mapping[str, int] = field(default_factory=dict)

    def source(self) -> Source:
        """The same as what a task reads: photos with `Coordinates`, and a line for each that is not used."""
        return Source(
            self.path,
            self.root,
            self.photos,
            self.members,
            (*self.notes, *self._counted()),
            unread=self.unread,
            doubtful=tuple(self._listed()),
            remedy=_REMEDY,
        )

    def _counted(self) -> Iterator[str]:
        reasons = Counter(fault.reason for fault in self.faults)
        if reasons:
            told = "; ".join(f"{reason}: {count:,}" for reason, count in reasons.most_common())
            yield f"{spelled(self.path)}: photos not used: {told}"

    def _listed(self) -> Iterator[str]:
        for fault in self.faults[:_MOST_LINES]:
            detail = f" ({one_line(fault.detail)})" if fault.detail else ""
            yield f"{one_line(fault.photo)}: {fault.reason}{detail}"
        if len(self.faults) > _MOST_LINES:
            yield f"and {len(self.faults) - _MOST_LINES:,} more"


def separated(found: Iterable[tuple[str, Coordinates | Fault]]) -> tuple[dict[str, Coordinates], tuple[Fault, ...]]:
    """The photos with a position, and the faults of the others."""
    photos, faults = dict[str, Coordinates](), list[Fault]()
    for photo, each in found:
        if isinstance(each, Fault):
            faults.append(each)
        else:
            photos[photo] = each
    return photos, tuple(faults)


def refuse_swapped(path: Path, photos: Mapping[str, Coordinates], faults: Iterable[Fault]) -> None:
    """DataError if most latitudes, or a tenth of them while no longitude is, are beyond 90 degrees: then the others are
    not to be trusted either."""
    swapped = [fault for fault in faults if fault.reason is Reason.SWAPPED]
    total = len(swapped) + len(photos)
    beyond = any(abs(each.longitude_deg) > 90 for each in photos.values())
    many = len(swapped) >= max(_FEWEST_SWAPPED, _SHARE_SWAPPED * total) and not beyond
    if many or 2 * len(swapped) > total:
        raise DataError(
            f"{spelled(path)}: {len(swapped):,} of {total:,} latitudes are beyond 90 where the longitude is not "
            f"({one_line(swapped[0].detail)}): latitude and longitude look swapped; exchange their names"
        )
