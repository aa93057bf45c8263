"""The photos of one part of a data set with their boxes, and what was really used of its annotations."""

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mobilenet.datasets.reader import Drawn
from mobilenet.datasets.sources.boxes.annotation import MENDED, Annotation, Fault, PhotoBoxes, Reason
from mobilenet.datasets.sources.boxes.settle import Frame, settle
from mobilenet.errors import ImageError
from mobilenet.images.decode import PhotoSize, photo_size
from mobilenet.images.overlay import PALETTE, Mark
from mobilenet.parallel import in_order

__all__ = ["BoxCounts", "BoxSet", "box_set", "merged"]

_SHOWN = 3
_MOST_LINES = 10_000
"""Faults that are listed."""

_MOST_DRAWN = 12
"""Photos with the same fault that are drawn."""

_CHUNK = 256
"""Headers that a thread reads at a time: a single one takes no longer than handing it over."""

_RIGHT, _WRONG = PALETTE[3], PALETTE[5]

_WRONG_FRAMES = (Frame.STRETCHED, Frame.MISSIZED)


@dataclass(frozen=True, slots=True)
class BoxCounts:
    """What is used: `photos`, of which `background` have no box; `boxes`, of which some are around crowds.

    `dropped` and `mended` count faults by reason.
    """

    photos: int
    background: int
    boxes: int
    crowd: int
    dropped: Mapping[Reason, int] = field(default_factory=dict)
    mended: Mapping[Reason, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class BoxSet:
    """Photos with their boxes, by name relative to `root` (or absolute), sorted; `names` are the classes in the order
    of the annotations, which may have no box.

    `frames` are the photos whose boxes were not simply in the pixels that people see, and `otherwise` where their boxes
    (B, 4) are, in shares of the photo, if a doubtful frame is the other one; `notes` are lines for the user.
    A photo that cannot be read is among the faults, and has no boxes.
    """

    root: Path
    photos: Mapping[str, PhotoBoxes]
    names: tuple[str, ...]
    faults: tuple[Fault, ...] = ()
    frames: Mapping[str, Frame] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    otherwise: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    @property
    def counts(self) -> BoxCounts:
        """What is really used, and what is not."""
        reasons = Counter(fault.reason for fault in self.faults)
        unreadable = {fault.photo for fault in self.faults if fault.reason is Reason.UNREADABLE}
        return BoxCounts(
            len(self.photos) - len(unreadable),
            sum(not len(boxes) for boxes in self.photos.values()) - len(unreadable),
            sum(map(len, self.photos.values())),
            sum(int(boxes.crowd.sum()) for boxes in self.photos.values()),
            {reason: count for reason, count in reasons.items() if reason not in MENDED},
            {reason: count for reason, count in reasons.items() if reason in MENDED},
        )

    def lines(self) -> Iterator[str]:
        """The notes, and the counts of what is used, what is not, and what is used otherwise than it is written."""
        yield from self.notes
        counts = self.counts
        yield (
            f"photos: {counts.photos:,}, without a box: {counts.background:,}; boxes: {counts.boxes:,}, around crowds: "
            f"{counts.crowd:,}"
        )
        for what, found in (("not used", counts.dropped), ("mended", counts.mended)):
            if found:
                yield f"{what}: {'; '.join(f'{reason}: {count:,}' for reason, count in sorted(found.items()))}"
        yield from self._frame_lines(tuple(Frame))

    def doubtful(self) -> Iterator[str]:
        """A line for each object, or photo, that is not used, and one for each kind of photos with a wrong size; none
        for a photo that cannot be read, which whoever decodes it tells."""
        known = {*MENDED, Reason.UNREADABLE}
        yield from _listed([fault for fault in self.faults if fault.reason not in known])
        yield from self._frame_lines(_WRONG_FRAMES)

    def peculiar(self) -> Iterator[str]:
        """A line for each object that is used otherwise than it is written, and one for each kind of other pictures."""
        yield from _listed([fault for fault in self.faults if fault.reason in MENDED])
        yield from self._frame_lines([frame for frame in Frame if frame not in _WRONG_FRAMES])

    def drawn(self) -> Iterator[Drawn]:
        """Some of the photos of each kind of fault, with what is used of their boxes and what is not, and of those of
        each doubtful frame, with their boxes both ways."""
        by_photo, counts = defaultdict[str, list[Fault]](list), Counter[Reason | Frame]()
        for fault in self.faults:
            if fault.place is not None and fault.photo in self.photos:
                by_photo[fault.photo].append(fault)
        for photo, faults in by_photo.items():
            if any(counts[fault.reason] < _MOST_DRAWN for fault in faults):
                counts.update({fault.reason for fault in faults})
                yield self._with_faults(photo, faults)
        for photo, others in self.otherwise.items():
            frame = self.frames[photo]
            if counts[frame] < _MOST_DRAWN:
                counts[frame] += 1
                labels = self.photos[photo].labels
                views = (("as used", self._used(photo)), ("the other way", _marks(others, labels)))
                yield Drawn(photo, f"boxes are in {frame}", views)

    def _with_faults(self, photo: str, faults: Sequence[Fault]) -> Drawn:
        title = "; ".join(dict.fromkeys(_one_line(f"{fault.reason} ({fault.detail})") for fault in faults))
        wrong = tuple(Mark(fault.place, _label_of(fault), _WRONG) for fault in faults if fault.place is not None)
        return Drawn(photo, title, (("", (*wrong, *self._used(photo))),))

    def _used(self, photo: str) -> tuple[Mark, ...]:
        found = self.photos[photo]
        return _marks(found.boxes / (found.size * 2), found.labels)

    def _frame_lines(self, frames: Sequence[Frame]) -> Iterator[str]:
        by_frame: dict[Frame, list[str]] = defaultdict(list)
        for photo, frame in self.frames.items():
            by_frame[frame].append(photo)
        for frame in frames:
            if photos := by_frame[frame]:
                some = ", ".join(map(_one_line, photos[:_SHOWN]))
                more = f" and {len(photos) - _SHOWN:,} more" if len(photos) > _SHOWN else ""
                yield f"photos whose boxes are in {frame}: {len(photos):,} ({some}{more})"


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
    *,
    size_of: Callable[[str], PhotoSize] | None = None,
) -> BoxSet:
    """The annotations of photos, by name relative to `root` or absolute, checked.

    `size_of` gives the size of a photo (ImageError), in several threads; by default it is read from the header of its
    file.
    """
    classes = tuple(names)
    photos, frames, found = dict[str, PhotoBoxes](), dict[str, Frame](), list(faults)
    otherwise = dict[str, NDArray[np.float64]]()
    for photo, size in _sizes(sorted(said), size_of or (lambda name: photo_size(root / name))):
        if isinstance(size, str):
            photos[photo] = _unreadable(classes)
            found.append(Fault(photo, Reason.UNREADABLE, size))
            continue
        settled = settle(said[photo], size, classes)
        if isinstance(settled, Reason):
            found.append(Fault(photo, settled))
            continue
        photos[photo] = settled.boxes
        found += [Fault(photo, *said, place) for said, place in zip(settled.faults, settled.places, strict=True)]
        if settled.otherwise is not None:
            otherwise[photo] = settled.otherwise
        if settled.frame is not None:
            frames[photo] = settled.frame
    return BoxSet(root, photos, classes, tuple(found), frames, tuple(notes), otherwise)


def _sizes(photos: Sequence[str], size_of: Callable[[str], PhotoSize]) -> Iterator[tuple[str, PhotoSize | str]]:
    """Each photo with its size, or the reason why it cannot be read."""

    def size(photo: str) -> PhotoSize | str:
        try:
            return size_of(photo)
        except ImageError as error:
            return str(error)

    chunks = (photos[start : start + _CHUNK] for start in range(0, len(photos), _CHUNK))
    for chunk, sizes in in_order(lambda chunk: [size(photo) for photo in chunk], chunks, os.cpu_count() or 1):
        yield from zip(chunk, sizes, strict=True)


def _unreadable(names: tuple[str, ...]) -> PhotoBoxes:
    """A photo that is left out, with the reason, by whoever decodes it."""
    return PhotoBoxes(names, (1, 1), (), np.zeros((0, 4)), np.zeros(0, np.bool_))


def _marks(shares: NDArray[np.float64], labels: Sequence[str]) -> tuple[Mark, ...]:
    rows = [(top, left, bottom, right) for top, left, bottom, right in shares.tolist()]
    return tuple(Mark(box, label, _RIGHT, thickness=0.7) for box, label in zip(rows, labels, strict=True))


def _label_of(fault: Fault) -> str:
    """`cat` of `cat at 1, 2, 3, 4`."""
    return _one_line(fault.detail.rpartition(" at ")[0])


def _listed(faults: Sequence[Fault]) -> Iterator[str]:
    for fault in faults[:_MOST_LINES]:
        detail = f" ({_one_line(fault.detail)})" if fault.detail else ""
        yield f"{_one_line(fault.photo)}: {fault.reason}{detail}"
    if len(faults) > _MOST_LINES:
        yield f"and {len(faults) - _MOST_LINES:,} more"


def _one_line(text: str) -> str:
    return text if len(text.splitlines()) < 2 else repr(text)
