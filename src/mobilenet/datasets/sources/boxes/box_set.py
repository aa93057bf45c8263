"""The photos of one part of a data set with their boxes, and what was really used of its annotations."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mobilenet.datasets.sources.boxes.annotation import MENDED, Annotation, Fault, PhotoBoxes, Reason
from mobilenet.datasets.sources.boxes.settle import Frame, settle
from mobilenet.errors import ImageError
from mobilenet.images.decode import PhotoSize, photo_size
from mobilenet.parallel import in_order

__all__ = ["BoxCounts", "BoxSet", "box_set", "merged"]

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class BoxCounts:
    """What is used: `photos`, of which `background` have no box; `boxes`, of which some are `crowd` or `difficult`.

    `dropped` and `mended` count objects by reason.
    """

    photos: int
    background: int
    boxes: int
    crowd: int
    difficult: int
    dropped: Mapping[Reason, int]
    mended: Mapping[Reason, int]


@dataclass(frozen=True, slots=True, eq=False)
class BoxSet:
    """Photos with their boxes, by name relative to `root` (or absolute), sorted; `names` are the classes in the order
    of the annotations, which may have no box.

    `frames` are the photos whose boxes were not simply in the pixels that people see; `notes` are lines for the user.
    """

    root: Path
    photos: Mapping[str, PhotoBoxes]
    names: tuple[str, ...]
    faults: tuple[Fault, ...] = ()
    frames: Mapping[str, Frame] | None = None
    notes: tuple[str, ...] = ()

    @property
    def counts(self) -> BoxCounts:
        """What is really used, and what is not."""
        reasons = Counter(fault.reason for fault in self.faults)
        return BoxCounts(
            len(self.photos),
            sum(not len(boxes) for boxes in self.photos.values()),
            sum(map(len, self.photos.values())),
            sum(int(boxes.crowd.sum()) for boxes in self.photos.values()),
            sum(int(boxes.difficult.sum()) for boxes in self.photos.values()),
            {reason: count for reason, count in reasons.items() if reason not in MENDED},
            {reason: count for reason, count in reasons.items() if reason in MENDED},
        )

    def lines(self) -> Iterator[str]:
        """The notes, what is used, and what is wrong, by reason with the first photos."""
        yield from self.notes
        counts = self.counts
        yield (
            f"{counts.photos:,} photos, {counts.background:,} of them background; {counts.boxes:,} boxes, "
            f"{counts.crowd:,} crowd, {counts.difficult:,} difficult"
        )
        yield from self._frame_lines()
        by_reason: dict[Reason, list[Fault]] = defaultdict(list)
        for fault in self.faults:
            by_reason[fault.reason].append(fault)
        for reason, faults in sorted(by_reason.items()):
            told = "mended" if reason in MENDED else "not used"
            yield f"{reason}, {told}: {len(faults):,}: {_some([_words(fault) for fault in faults], '; ')}"

    def _frame_lines(self) -> Iterator[str]:
        by_frame: dict[Frame, list[str]] = defaultdict(list)
        for photo, frame in (self.frames or {}).items():
            by_frame[frame].append(photo)
        for frame, photos in sorted(by_frame.items()):
            yield f"boxes are in {frame}: {len(photos):,} photos: {_some(photos, ', ')}"


def merged(annotations: Sequence[Annotation]) -> Annotation:
    """What several files, or several entries of one, say of the same photo; a claim of its size that differs from the
    first goes with its boxes."""
    first = annotations[0]
    same = [said for said in annotations if (said.size, said.unit) == (first.size, first.unit)]
    boxes = tuple(box for said in same for box in said.boxes)
    lost = sum(len(said.boxes) for said in annotations) - len(boxes)
    faults = tuple(fault for said in annotations for fault in said.faults)
    if lost:
        faults += ((Reason.DAMAGED, f"{lost:,} boxes of a photo of another size"),)
    return Annotation(boxes, first.unit, first.size, faults)


def box_set(
    root: Path,
    said: Mapping[str, Annotation],
    names: Sequence[str],
    faults: Iterable[Fault] = (),
    notes: Sequence[str] = (),
) -> BoxSet:
    """The annotations of photos, by name relative to `root` or absolute, checked; the headers of photos whose boxes are
    in pixels are read for their size and orientation."""

    def size_of(photo: str) -> PhotoSize | None:
        if said[photo].unit == "fractions":
            return None
        try:
            return photo_size(root / photo)
        except ImageError:
            # Left out, with the reason, by whoever decodes it.
            return None

    photos, frames, found = dict[str, PhotoBoxes](), dict[str, Frame](), list(faults)
    for photo, size in in_order(size_of, sorted(said), os.cpu_count() or 1):
        settled = settle(said[photo], size)
        if isinstance(settled, Reason):
            found.append(Fault(photo, settled))
            continue
        photos[photo] = settled.boxes
        found += [Fault(photo, reason, detail) for reason, detail in settled.faults]
        if settled.frame is not None:
            frames[photo] = settled.frame
    return BoxSet(root, photos, tuple(names), tuple(found), frames, tuple(notes))


def _words(fault: Fault) -> str:
    return f"{fault.photo} ({fault.detail})" if fault.detail else fault.photo


def _some(words: Sequence[str], between: str) -> str:
    more = f" and {len(words) - _SHOWN:,} more" if len(words) > _SHOWN else ""
    return between.join(words[:_SHOWN]) + more
