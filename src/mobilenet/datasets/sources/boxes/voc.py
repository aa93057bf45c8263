"""VOC's XML, one file for each photo, in `Annotations/` or beside the photos; `ImageSets/Main` lists the parts.

Coordinates count from 1 and include the last pixel, as VOC defines them, unless one in the data set is below 1: then
they count from 0.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from mobilenet.datasets.sources.boxes.annotation import (
    Annotation,
    Box,
    Fault,
    Reason,
    as_label,
    as_number,
    as_size,
)
from mobilenet.datasets.sources.boxes.bounded import read_bytes, read_lines
from mobilenet.datasets.sources.boxes.box_set import BoxSet, box_set
from mobilenet.datasets.sources.boxes.photo_index import PhotoIndex, list_files
from mobilenet.datasets.sources.endings import ending_of
from mobilenet.datasets.sources.folders import has_photos, subfolders
from mobilenet.datasets.sources.spellings import same_name
from mobilenet.datasets.sources.split_names import split_of
from mobilenet.errors import DataError

__all__ = ["VocFile", "VocPart", "annotations_below", "parse_voc", "part_lists", "voc_folders"]

_MOST_BYTES = 2**21
"""Ten thousand objects, and 200 MB as a tree of elements."""

_MOST_LIST_BYTES = 256 * 2**20
_EDGES = ("ymin", "xmin", "ymax", "xmax")
_LISTS = ("train", "val", "valid", "validation", "trainval", "test")
_YES = frozenset({"1", "true", "yes"})
_BELOW_1 = re.compile(rb"<[xy]min>\s*\+?0*(\.[0-9]*)?\s*<", re.IGNORECASE)
_PHOTO_FOLDERS = ("JPEGImages", "images", "Images", "imgs")


@dataclass(frozen=True, slots=True)
class VocFile:
    """What one file says: what it calls its photo ("" for nothing), the boxes as written, and how many objects are
    marked as difficult."""

    photo: str
    annotation: Annotation
    difficult: int = 0


@dataclass(frozen=True, slots=True)
class VocPart:
    """A part of a data set: the XML files in `folder` and below, or those in the list `chosen`; their photos are below
    `root`."""

    root: Path
    folder: Path
    chosen: Path | None = None

    @property
    def path(self) -> Path:
        """What was given for it."""
        return self.chosen or self.folder

    def read(self) -> BoxSet:
        """Its photos with their boxes; damaged files are among the faults. DataError if none of its photos is found."""
        index = PhotoIndex(self.root)
        files, faults = _chosen(list_files(self.folder, (".xml",)), self.chosen)
        found = dict(self._parsed(files, faults))
        photos = _photos(index, found, self._below())
        said = {photos[file]: each.annotation for file, each in found.items() if file in photos}
        missing = [Fault(file, Reason.NO_PHOTO, each.photo[:200]) for file, each in found.items() if file not in photos]
        if missing and not said:
            raise DataError(
                f"{self.path}: no photo of its {len(missing):,} annotations is in {self.root}, the first being that of "
                f"{missing[0].photo}; give the folder that has both"
            )
        counted, notes = self._counted(said)
        if difficult := sum(found[file].difficult for file in photos):
            notes += (f"{self.path}: objects marked as difficult are used like all others: {difficult:,}",)
        if self.chosen is None and (without := len(index.files) - len(said)) > 0:
            notes += (f"{self.root}: photos without an annotation are not used: {without:,}",)
        return box_set(self.root, counted, _names(counted.values()), (*faults, *missing), notes)

    def _parsed(self, files: Iterable[str], faults: list[Fault]) -> Iterator[tuple[str, VocFile]]:
        for file in files:
            try:
                yield file, parse_voc(read_bytes(self.folder / file, _MOST_BYTES), self.folder / file)
            except DataError as error:
                faults.append(Fault(file, Reason.DAMAGED, str(error)))

    def _counted(self, said: dict[str, Annotation]) -> tuple[dict[str, Annotation], tuple[str, ...]]:
        """The same with coordinates from 0 to the height and width, as everywhere else."""
        firsts = (edge for each in said.values() for box in each.boxes for edge in box.corners[:2])
        if any(0 <= first < 1 for first in firsts) or self._counts_from_0():
            return said, (f"{self.path}: coordinates count from 0, as one in {self.root} is below 1",)
        told = f"{self.path}: coordinates count from 1 and include the last pixel, as VOC's do"
        counted = {photo: replace(each, boxes=tuple(map(_from_0, each.boxes))) for photo, each in said.items()}
        return counted, (told,) if any(each.boxes for each in said.values()) else ()

    def _counts_from_0(self) -> bool:
        """Whether a coordinate in the whole data set, of which this may be a part, is below 1."""
        files = list_files(self.root, (".xml",))
        if self.chosen is None and len(files) == len(list_files(self.folder, (".xml",))):
            return False
        return any(_BELOW_1.search(_bytes_or_none(self.root / file)) for file in files)

    def _below(self) -> tuple[str, ...]:
        """The folders in which photos are looked for first."""
        own = self.folder.relative_to(self.root).as_posix().removeprefix(".")
        above, _, last = own.rpartition("/")
        beside = (_joined(above, name) for name in _PHOTO_FOLDERS)
        # `images/train` for `annotations/train`.
        across = (_joined(above.rpartition("/")[0], name, last) for name in _PHOTO_FOLDERS) if above else ()
        return (own, *beside, *across)


def parse_voc(data: bytes, path: Path) -> VocFile:
    """What the file `path` says, coordinates as they are written; DataError for one that is damaged or of another
    kind."""
    root = _parsed(data, path)
    if _tag(root) != "annotation":
        raise DataError(f"{path} is not an annotation as in VOC: its element is <{_tag(root)[:40]}>")
    boxes, faults, difficult = list[Box](), list[tuple[Reason, str]](), 0
    for number, element in enumerate(element for element in root if _tag(element) == "object"):
        found = _box(element)
        if isinstance(found, Box):
            boxes.append(found)
            difficult += _said(element, "difficult").lower() in _YES
        else:
            faults.append((found, f"object {number + 1}"))
    size = _first(root, "size")
    sides = None if size is None else as_size(_said(size, "height"), _said(size, "width"))
    return VocFile(_said(root, "filename"), Annotation(tuple(boxes), "pixels", sides, tuple(faults)), difficult)


def voc_folders(folder: Path, files: Iterable[str]) -> tuple[Path, Path]:
    """The folder of a VOC data set and that of its XML files; DataError if there are several."""
    if folder.name.casefold() == "annotations" and not has_photos(folder):
        return folder.parent, folder
    found = {
        tuple(steps[: place + 1])
        for file in files
        for steps in [file.split("/")[:-1]]
        for place, step in enumerate(steps[:3])
        if step.casefold() == "annotations"
    }
    if len({steps[:-1] for steps in found}) > 1:
        names = sorted("/".join(steps[:-1]) or "." for steps in found)
        if split_of(names) is None:
            raise DataError(f"{folder} has several data sets as in VOC: {', '.join(names[:5])}; give one of them")
        return folder, folder
    if not found:
        return folder, folder
    steps = found.pop()
    return folder.joinpath(*steps[:-1]), folder.joinpath(*steps)


def annotations_below(root: Path) -> Path:
    """The folder of a data set's XML files: `Annotations`, in any case, if there is one."""
    return next((root / name for name in subfolders(root) if name.casefold() == "annotations"), root)


def part_lists(root: Path) -> tuple[str, ...]:
    """The lists of parts in ImageSets/Main: train and val rather than both together."""
    names = {name: f"ImageSets/Main/{name}.txt" for name in _LISTS}
    there = {name: path for name, path in names.items() if (root / path).is_file()}
    training = next((name for name in ("train", "trainval") if name in there), None)
    if training is None:
        return ()
    judging = [path for name, path in there.items() if name not in ("train", "trainval")]
    return (there[training], *judging)


def _parsed(data: bytes, path: Path) -> Element:
    """The root of a document without entities; DataError in one line."""
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        root: Element = fromstring(data, forbid_dtd=True)
    except DefusedXmlException as error:
        raise DataError(
            f"{path} declares a document type, which annotations do not need; remove <!DOCTYPE ...>"
        ) from error
    except ParseError as error:
        told = " ".join(str(error).split())
        raise DataError(f"{path} is not XML, or is damaged: {told}; copy it again") from error
    except (LookupError, ValueError) as error:
        raise DataError(f"{path}: its encoding is not known; save it as UTF-8") from error
    return root


def _tag(element: Element) -> str:
    return element.tag.lower()


def _first(inside: Element, tag: str) -> Element | None:
    """The first element directly inside with that name, in any case."""
    return next((element for element in inside if _tag(element) == tag), None)


def _said(inside: Element, tag: str) -> str:
    """The text of that element, without surrounding spaces; empty if there is none."""
    found = _first(inside, tag)
    return "" if found is None or found.text is None else found.text.strip()


def _box(element: Element) -> Box | Reason:
    label, edges = as_label(_said(element, "name")), _first(element, "bndbox")
    if label is None:
        return Reason.NO_CLASS
    if edges is None or not any(_said(edges, name) for name in _EDGES):
        return Reason.NO_BOX
    top, left, bottom, right = (as_number(_said(edges, name)) for name in _EDGES)
    if top == left == bottom == right == -1:
        return Reason.NO_BOX
    return Box(label, (top, left, bottom, right))


def _chosen(files: Sequence[str], chosen: Path | None) -> tuple[list[str], list[Fault]]:
    """The XML files in a list of names without endings, and a fault for each name without a file; else all."""
    if chosen is None:
        return list(files), []
    by_name = {same_name(file.rpartition("/")[2][:-4]): file for file in files}
    by_name |= {same_name(file[:-4]): file for file in files}
    wanted = dict.fromkeys(line.split()[0] for line in read_lines(chosen, _MOST_LIST_BYTES) if line)
    found = {name: by_name.get(same_name(_without_ending(name))) for name in wanted}
    faults = [Fault(name[:200], Reason.NO_ANNOTATION) for name, file in found.items() if file is None]
    return list(dict.fromkeys(file for file in found.values() if file is not None)), faults


def _without_ending(name: str) -> str:
    ending = ending_of(name)
    return name[: -len(ending)] if ending in {".jpg", ".jpeg", ".png", ".xml"} else name


def _photos(index: PhotoIndex, found: Mapping[str, VocFile], below: Sequence[str]) -> dict[str, str]:
    """The photo of each XML file: the one of the same name, as most tools pair them, else the one that it names."""
    own = index.find((file[:-4] for file in found), below)
    photos = {file: own[file[:-4]] for file in found if file[:-4] in own}
    named = {file: each.photo for file, each in found.items() if file not in photos and _says_more(file, each.photo)}
    there, taken = index.find(dict.fromkeys(named.values()), below), set(photos.values())
    several = Counter(named.values())
    return photos | {
        file: there[name]
        for file, name in named.items()
        if name in there and there[name] not in taken and several[name] == 1
    }


def _says_more(file: str, named: str) -> bool:
    """Whether the photo that an XML file names is another one than that of the same name."""
    name = named.replace("\\", "/").rpartition("/")[2]
    own = same_name(file.rpartition("/")[2][:-4])
    return bool(name.strip(". ")) and "\0" not in named and same_name(_without_ending(name)) != own


def _joined(*parts: str) -> str:
    return "/".join(part for part in parts if part)


def _bytes_or_none(file: Path) -> bytes:
    try:
        return read_bytes(file, _MOST_BYTES)
    except DataError:
        # Of a part that is read on its own, and told then.
        return b""


def _from_0(box: Box) -> Box:
    top, left, bottom, right = box.corners
    # One that has no area as it is written is a slip of the hand, not a single pixel.
    if top == bottom or left == right:
        return box
    # The lower one of the two, in whichever order they are.
    top, bottom = (top, bottom - 1) if top > bottom else (top - 1, bottom)
    left, right = (left, right - 1) if left > right else (left - 1, right)
    return replace(box, corners=(top, left, bottom, right))


def _names(said: Iterable[Annotation]) -> tuple[str, ...]:
    return tuple(sorted({box.label for each in said for box in each.boxes}))
