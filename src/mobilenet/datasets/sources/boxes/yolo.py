"""The text files of YOLO's tools: for each photo one in `labels/` with a line for each box, `class x y width height`,
the centre and size as fractions of the photo.

A line may be an outline instead, `class x y x y ...`: then the box around it is taken. A photo without a file, or with
an empty one, is background.
"""

import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mobilenet.datasets.sources.boxes.annotation import Annotation, Box, Fault, Reason, as_number
from mobilenet.datasets.sources.boxes.bounded import read_bytes, read_lines
from mobilenet.datasets.sources.boxes.box_set import BoxSet, box_set
from mobilenet.datasets.sources.boxes.photo_index import PhotoIndex
from mobilenet.datasets.sources.endings import ending_of
from mobilenet.datasets.sources.folders import list_tree
from mobilenet.datasets.sources.spellings import same_name
from mobilenet.errors import DataError

__all__ = ["LabelFile", "LabelFolders", "YoloPart", "names_beside", "parse_labels"]

_MOST_BYTES = 16 * 2**20
_MOST_LIST_BYTES = 256 * 2**20
_MOST_NAMES_BYTES = 2**20
_MOST_CLASSES = 100_000
_NO_LABELS = frozenset({"classes", "obj", "readme"})
"""Text files beside labels that are none, without their ending."""


@dataclass(frozen=True, slots=True)
class LabelFile:
    """The boxes of one text file, how many of them are around outlines, and how many lines have a value too many."""

    annotation: Annotation
    outlines: int = 0
    confidences: int = 0


@dataclass(frozen=True, slots=True)
class YoloPart:
    """A part of a data set: the photos in `entries`, folders or lists (.txt), with names relative to `root`.

    `names` of the classes, None if nobody says them; `keypoints` if there are some behind each box.
    """

    root: Path
    entries: tuple[Path, ...]
    names: tuple[str, ...] | None
    keypoints: bool = False
    notes: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """What was given for it."""
        return self.entries[0] if len(self.entries) == 1 else self.root

    def read(self) -> BoxSet:
        """Its photos with their boxes; DataError if none of them has labels."""
        faults = list[Fault]()
        photos = dict.fromkeys(photo for entry in self.entries for photo in self._photos(entry, faults))
        folders, said, told = LabelFolders(), dict[str, Annotation](), Counter[str]()
        for photo in photos:
            path = folders.find(os.path.join(self.root, photo))  # noqa: PTH118 - a million photos
            told["labelled"] += path is not None
            try:
                said[photo] = self._annotation(path, told)
            except DataError as error:
                faults.append(Fault(photo, Reason.DAMAGED, str(error)))
        if photos and not told["labelled"]:
            raise DataError(
                f"{self.path}: none of its {len(photos):,} photos has a text file of labels; for images/1.jpg it is "
                "labels/1.txt"
            )
        nameless = (f"{self.path}: no file names the classes, so they are called by their numbers",)
        notes = [
            *self.notes,
            *(nameless if self.names is None else ()),
            *_notes(self.path, told, len(photos), folders.unused()),
        ]
        return box_set(self.root, said, self.names or _numbers(said), faults, notes)

    def _photos(self, entry: Path, faults: list[Fault]) -> Iterator[str]:
        """Relative to the root, if they are below it, else absolute."""
        top = f"{self.root.absolute()}/"
        if entry.is_dir():
            for file in list_tree(entry).files:
                yield f"{entry.absolute()}/{file}".removeprefix(top)
            return
        lost = list[str]()
        for line in read_lines(entry, _MOST_LIST_BYTES):
            if not line or "\0" in line:
                continue
            name = line.replace("\\", "/").removeprefix("./")
            path = name if name.startswith("/") else f"{entry.absolute().parent}/{name}"
            if os.path.isfile(path):  # noqa: PTH113 - a million photos
                yield path.removeprefix(top)
            else:
                lost.append(line)
        found = PhotoIndex(self.root).find(lost) if lost else {}
        yield from found.values()
        faults += [Fault(line[:200], Reason.NO_PHOTO, entry.name) for line in lost if line not in found]

    def _annotation(self, path: str | None, told: Counter[str]) -> Annotation:
        if path is None:
            return Annotation((), "fractions")
        found = parse_labels(read_bytes(Path(path), _MOST_BYTES), self.names, keypoints=self.keypoints)
        told.update(outlines=found.outlines, confidences=found.confidences)
        return found.annotation


@dataclass(slots=True)
class LabelFolders:
    """Where labels are, by the folder of the photos: that of `a/images/b` is `a/labels/b`, else the folder itself."""

    _files: dict[str, dict[str, str]] = field(default_factory=dict)
    _places: dict[str, str] = field(default_factory=dict)
    _used: set[tuple[str, str]] = field(default_factory=set)

    def find(self, photo: str) -> str | None:
        """The label file of a photo, given by its path; None if there is none."""
        folder, _, name = photo.rpartition("/")
        if folder not in self._places:
            place = _label_folder(folder)
            self._places[folder] = place
            if place not in self._files:
                self._files[place] = _text_files(place)
        place = self._places[folder]
        stem = same_name(name[: len(name) - len(ending_of(name))])
        file = self._files[place].get(stem)
        if file is None:
            return None
        self._used.add((place, stem))
        return f"{place}/{file}"

    def unused(self) -> int:
        """How many text files in those folders belong to none of the photos that were asked for."""
        return sum((place, stem) not in self._used for place, files in self._files.items() for stem in files)


def parse_labels(data: bytes, names: Sequence[str] | None, *, keypoints: bool = False) -> LabelFile:
    """The lines of a label file; without `names`, classes are called by their numbers. What is not a box is among the
    faults, by its line; nothing is raised."""
    boxes, faults = list[Box](), list[tuple[Reason, str]]()
    outlines = confidences = 0
    for number, line in enumerate(data.decode("utf-8-sig", "replace").splitlines(), 1):
        words = line.split()
        if not words:
            continue
        label, values = _label(words[0], names), [as_number(word) for word in words[1:]]
        is_outline = not keypoints and len(values) >= 6 and len(values) % 2 == 0
        if label is None:
            faults.append((Reason.NO_CLASS, f"line {number}: class {words[0][:40]!r}"))
        elif is_outline:
            outlines += 1
            boxes.append(Box(label, _around(values)))
        elif len(values) in (4, 5) or (keypoints and len(values) > 5):
            confidences += len(values) == 5
            boxes.append(Box(label, _corners(values)))
        else:
            faults.append((Reason.NO_BOX, f"line {number}: {len(words)} values"))
    return LabelFile(Annotation(tuple(boxes), "fractions", None, tuple(faults)), outlines, confidences)


def names_beside(folder: Path) -> tuple[str, ...] | None:
    """The names in `classes.txt` or `obj.names`, one a line, as some tools write them."""
    places = [folder / below / name for below in ("", "labels") for name in ("classes.txt", "obj.names")]
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        return None
    lines = read_lines(file, _MOST_NAMES_BYTES)
    while lines and not lines[-1]:
        lines.pop()
    return tuple(line or str(number) for number, line in enumerate(lines)) or None


def _label(word: str, names: Sequence[str] | None) -> str | None:
    number = as_number(word)
    if not 0 <= number < (_MOST_CLASSES if names is None else len(names)) or not number.is_integer():
        return None
    return str(int(number)) if names is None else names[int(number)]


def _corners(values: Sequence[float]) -> tuple[float, float, float, float]:
    x, y, width, height = values[:4]
    return y - height / 2, x - width / 2, y + height / 2, x + width / 2


def _around(values: Sequence[float]) -> tuple[float, float, float, float]:
    if not all(map(math.isfinite, values)):
        return (math.nan,) * 4
    return min(values[1::2]), min(values[::2]), max(values[1::2]), max(values[::2])


def _label_folder(folder: str) -> str:
    steps = folder.split("/")
    for place in reversed(range(len(steps))):
        if steps[place].casefold() == "images":
            for name in ("labels", "Labels", "LABELS"):
                found = "/".join([*steps[:place], name, *steps[place + 1 :]])
                if os.path.isdir(found):  # noqa: PTH112 - as text, like the photos
                    return found
            break
    return folder


def _text_files(folder: str) -> dict[str, str]:
    """The text files in a folder by their names without the ending."""
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208 - names alone
    except OSError:
        return {}
    stems = {same_name(name[:-4]): name for name in names if name.lower().endswith(".txt")}
    return {stem: name for stem, name in stems.items() if stem not in _NO_LABELS}


def _numbers(said: Mapping[str, Annotation]) -> tuple[str, ...]:
    return tuple(sorted({box.label for each in said.values() for box in each.boxes}, key=int))


def _notes(path: Path, told: Counter[str], photos: int, unused: int) -> Iterator[str]:
    if without := photos - told["labelled"]:
        yield f"{path}: photos without a label file are background: {without:,}"
    if told["outlines"]:
        yield f"{path}: boxes made from outlines: {told['outlines']:,}"
    if told["confidences"]:
        yield f"{path}: lines whose sixth value, a confidence, is not used: {told['confidences']:,}"
    if unused:
        yield f"{path}: label files without a photo are not used: {unused:,}"
