"""Whether a data set has boxes, in which of the formats, and its parts."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mobilenet.datasets.reader import NamedPart, Places
from mobilenet.datasets.sources.boxes.bounded import read_head, read_lines
from mobilenet.datasets.sources.boxes.box_set import BoxSet
from mobilenet.datasets.sources.boxes.coco import CocoPart
from mobilenet.datasets.sources.boxes.data_yaml import DataYaml, folders_of, read_data_yaml, resolved
from mobilenet.datasets.sources.boxes.photo_index import list_files
from mobilenet.datasets.sources.boxes.voc import VocPart, annotations_below, part_lists, voc_folders
from mobilenet.datasets.sources.boxes.yolo import LabelFolders, YoloPart, names_beside, parse_labels
from mobilenet.datasets.sources.endings import ending_of, is_photo
from mobilenet.datasets.sources.folders import has_photos, list_tree, subfolders
from mobilenet.datasets.sources.split_names import folder_split, split_of, split_word
from mobilenet.errors import DataError

__all__ = ["BoxPart", "box_part", "box_places"]

_HEAD_BYTES = 2**16
_LOOKED_AT = 32
"""Files by which a format is told."""

_MOST_LIST_BYTES = 2**28
_ABOVE = 3
"""Levels of folders: a data set's annotations are looked for in so many, and data.yaml in so many above its photos."""

_YAML = (".yaml", ".yml")


class BoxPart(Protocol):
    """A part of a data set with boxes, not yet read."""

    @property
    def path(self) -> Path:
        """What was given for it."""
        ...

    def read(self) -> BoxSet:
        """Its photos with their boxes; DataError."""
        ...


class _Layout(Protocol):
    """A data set with boxes in one of the formats."""

    def places(self) -> Places:
        """Its parts; DataError."""
        ...

    def part(self, name: str) -> BoxPart:
        """One of them by its name, unless that is a file's; DataError."""
        ...

    def whole(self) -> BoxPart:
        """All of it; DataError."""
        ...


def box_places(data: Path) -> Places | None:
    """The parts of a data set with boxes: a COCO file (.json) or a folder with some; a folder with VOC's XML files, in
    `Annotations/` or beside the photos; `data.yaml` of YOLO's tools, its folder, or photos with such labels; a list
    (.txt) of photos, or of names as in VOC's `ImageSets/Main`.

    None for anything else; DataError for one of these that cannot be read.
    """
    layout = _layout(data)
    if layout is not None:
        return layout.places()
    return None if _list_part(data) is None else Places(data)


def box_part(place: Path | NamedPart) -> BoxPart | None:
    """A part of such a data set, or all of it, without regard to its split; None for anything else. DataError."""
    if isinstance(place, NamedPart):
        if place.path.suffix.lower() == ".json":
            others = _with_json(place.whole, list_files(place.whole, (".json",)))
            return CocoPart(place.whole, (place.path,), alone=others is None or set(others.files) <= {place.path})
        if place.path.suffix.lower() == ".txt":
            return VocPart(place.whole, annotations_below(place.whole), place.path)
        layout = _layout(place.whole)
        return None if layout is None else layout.part(place.name)
    layout = _layout(place)
    return _list_part(place) if layout is None else layout.whole()


def _layout(data: Path) -> _Layout | None:
    if data.is_file():
        ending = data.suffix.lower()
        if ending in _YAML:
            return _Yaml(data)
        return _Coco(data.parent, (data,)) if ending == ".json" else None
    if not data.is_dir():
        return None
    files = list_files(data, (*_YAML, ".json", ".xml", ".txt"))
    found = (look(data, files) for look in (_with_yaml, _with_json, _with_xml, _with_labels))
    return next((layout for layout in found if layout is not None), None)


def _list_part(file: Path) -> BoxPart | None:
    """The photos in a list, or the annotations in one of VOC; None for another file."""
    if file.suffix.lower() != ".txt" or not file.is_file():
        return None
    if [folder.name for folder in (file.parent, file.parent.parent)] == ["Main", "ImageSets"]:
        root = file.parent.parent.parent
        return VocPart(root, annotations_below(root), file)
    lines = [line for line in read_lines(file, _MOST_LIST_BYTES)[:_LOOKED_AT] if line]
    if not lines or not all(is_photo(ending_of(line)) for line in lines):
        return None
    return _yolo_part(file.parent, (file,))


@dataclass(frozen=True, slots=True)
class _Yaml:
    """A data set of YOLO's tools, by its data.yaml."""

    file: Path

    def places(self) -> Places:
        said = read_data_yaml(self.file)
        if not said.parts.get("train"):
            raise DataError(
                f"{self.file} has no entry train: the folder of the training photos, or a .txt list of them"
            )
        notes = list[str]()
        names = [name for name in ("train", "val", "test") if folders_of(said, name, notes)]
        train, *judging = (NamedPart(self.file, name) for name in names)
        return Places(train, tuple(judging), notes=tuple(notes))

    def part(self, name: str) -> BoxPart:
        said = read_data_yaml(self.file)
        return self._of(said, folders_of(said, name, []))

    def whole(self) -> BoxPart:
        said = read_data_yaml(self.file)
        return self._of(said, [place for name in said.parts for place in folders_of(said, name, [])])

    def _of(self, said: DataYaml, places: Sequence[Path]) -> BoxPart:
        folder = self.file.parent
        return YoloPart(folder, tuple(places), said.names or names_beside(folder), said.keypoints)


def _with_yaml(folder: Path, names: Sequence[str]) -> _Layout | None:
    """The file that tells the parts, at the top or, if there is none, in a folder below."""
    told = [name for name in names if name.lower().endswith(_YAML) and name.count("/") < _ABOVE]
    told = [name for name in told if _tells_parts(folder / name)]
    told = [name for name in told if name.count("/") == min(other.count("/") for other in told)]
    usual = [name for name in told if _is_usual(folder / name)]
    if len(usual or told) > 1:
        raise DataError(f"{folder} has several YAML files of data sets: {', '.join((usual or told)[:5])}; give one")
    return _Yaml(folder / (usual or told)[0]) if told else None


def _is_usual(file: Path) -> bool:
    return file.stem.lower() in ("data", "dataset")


def _tells_parts(file: Path) -> bool:
    """Whether it has an entry for a training part. A file of the usual name may be damaged, which is told later; others
    may have to do with anything."""
    head = read_head(file, _HEAD_BYTES).decode("utf-8", "replace")
    if not any(line.lstrip("{ ").startswith(("train:", '"train"', "'train'")) for line in head.splitlines()):
        return False
    if _is_usual(file):
        return True
    try:
        said = read_data_yaml(file)
    except DataError:
        return False
    return bool(said.parts.get("train")) and any(resolved(said, entry) for entry in said.parts["train"])


def _yolo_part(root: Path, places: Sequence[Path]) -> YoloPart:
    """Photos without a data.yaml of their own: the names of their classes may be in one above that tells of them."""
    for folder in (root, *root.absolute().parents[:_ABOVE]):
        for file in filter(_is_usual, sorted(folder.glob("*.y*ml"))):
            with contextlib.suppress(DataError):
                if file.suffix.lower() in _YAML and _tells_of(said := read_data_yaml(file), places):
                    return YoloPart(root, tuple(places), said.names or names_beside(folder), said.keypoints)
    return YoloPart(root, tuple(places), names_beside(root))


def _tells_of(said: DataYaml, places: Sequence[Path]) -> bool:
    """Whether each of these folders and lists is one of the file's, or within one."""
    entries = (resolved(said, entry) for part in said.parts.values() for entry in part)
    known = [entry.resolve() for entry in entries if entry is not None]
    return all(any(place.resolve().is_relative_to(entry) for entry in known) for place in places)


@dataclass(frozen=True, slots=True)
class _Coco:
    """Files of COCO, whose photos are below `root`."""

    root: Path
    files: tuple[Path, ...]

    def places(self) -> Places:
        names = {_part_name(file, self.root): file.relative_to(self.root).as_posix() for file in self.files}
        split = split_of(names) if len(names) == len(self.files) else None
        if len(self.files) == 1:
            return Places(NamedPart(self.root, next(iter(names.values()))))
        if split is None:
            return Places(self.root)
        train, *judging = (NamedPart(self.root, names[name]) for name in (split.train, *split.judging))
        return Places(train, tuple(judging), tuple(names[name] for name in split.beside))

    def part(self, name: str) -> BoxPart:
        return CocoPart(self.root, tuple(file for file in self.files if file.is_relative_to(self.root / name)))

    def whole(self) -> BoxPart:
        return CocoPart(self.root, self.files)


def _with_json(folder: Path, names: Sequence[str]) -> _Coco | None:
    files = [folder / name for name in names if name.lower().endswith(".json") and name.count("/") < _ABOVE]
    files = [file for file in files if _is_coco(file)]
    instances = [file for file in files if "instances" in file.stem.lower()]
    files = instances or [file for file in files if "captions" not in file.stem.lower()]
    return _Coco(folder, tuple(files)) if files else None


def _is_coco(file: Path) -> bool:
    head = read_head(file, _HEAD_BYTES)
    return head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"{") and any(
        name in head for name in (b'"images"', b'"annotations"', b'"categories"')
    )


def _part_name(file: Path, folder: Path) -> str:
    """What tells the part: the name of the file, or that of its folder."""
    inside = file.parent.relative_to(folder).as_posix()
    return file.stem if split_word(file.stem) or inside == "." else inside


@dataclass(frozen=True, slots=True)
class _Voc:
    """XML files in `annotations` and below, whose photos are below `root`; `lists` tell the parts, else folders do."""

    root: Path
    annotations: Path
    lists: tuple[str, ...] = ()

    def places(self) -> Places:
        if self.lists:
            train, *judging = (NamedPart(self.root, name) for name in self.lists)
            return Places(train, tuple(judging))
        above = self.annotations
        split = folder_split(_children(above), lambda path: bool(list_files(above / path, (".xml",))))
        if split is None:
            return Places(self.root)
        inside = above.relative_to(self.root)
        train, *judging = (NamedPart(self.root, (inside / name).as_posix()) for name in (split.train, *split.judging))
        return Places(train, tuple(judging), split.beside)

    def part(self, name: str) -> BoxPart:
        return VocPart(self.root, self.root / name)

    def whole(self) -> BoxPart:
        return VocPart(self.root, self.annotations)


def _with_xml(folder: Path, names: Sequence[str]) -> _Layout | None:
    files = [name for name in names if name.lower().endswith(".xml")]
    if not any(b"<annotation" in read_head(folder / file, _HEAD_BYTES).lower() for file in _sample(files)):
        return None
    root, annotations = voc_folders(folder, files)
    return _Voc(root, annotations, part_lists(root))


@dataclass(frozen=True, slots=True)
class _Labels:
    """Photos with the labels of YOLO's tools, without a data.yaml."""

    root: Path

    def places(self) -> Places:
        split = folder_split(_children(self.root), lambda path: has_photos(self.root / path))
        if split is None:
            return Places(self.root)
        train, *judging = (NamedPart(self.root, name) for name in (split.train, *split.judging))
        return Places(train, tuple(judging), split.beside)

    def part(self, name: str) -> BoxPart:
        return _yolo_part(self.root, (self.root / name,))

    def whole(self) -> BoxPart:
        return _yolo_part(self.root, (self.root,))


def _with_labels(folder: Path, names: Sequence[str]) -> _Layout | None:
    if not (any(name.lower().endswith(".txt") for name in names) or _labels_elsewhere(folder)):
        return None
    labels = LabelFolders()
    files = _sample(list_tree(folder).files)
    return _Labels(folder) if any(_is_labels(labels.find(f"{folder.absolute()}/{file}")) for file in files) else None


def _labels_elsewhere(folder: Path) -> bool:
    """Whether its labels may be beside it, not in it: `labels/val` for `images/val`."""
    return "images" in (step.casefold() for step in folder.absolute().parts)


def _is_labels(file: str | None) -> bool:
    """Whether the first line with text is a box."""
    if file is None:
        return False
    line = read_head(Path(file), _HEAD_BYTES).lstrip().split(b"\n", 1)[0]
    found = parse_labels(line, None).annotation
    return bool(found.boxes) and not found.faults


def _sample(files: Sequence[str]) -> Sequence[str]:
    return files[:: max(1, len(files) // _LOOKED_AT)]


def _children(folder: Path) -> Callable[[str], Sequence[str]]:
    return lambda path: subfolders(folder / path)
