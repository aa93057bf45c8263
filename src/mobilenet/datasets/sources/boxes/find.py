"""Whether a data set has boxes, in which of the formats, and its parts."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mobilenet.datasets.sources.boxes.bounded import read_bytes, read_lines
from mobilenet.datasets.sources.boxes.box_set import BoxSet
from mobilenet.datasets.sources.boxes.coco import CocoPart
from mobilenet.datasets.sources.boxes.data_yaml import DataYaml, read_data_yaml
from mobilenet.datasets.sources.boxes.photo_index import list_files
from mobilenet.datasets.sources.boxes.voc import VocPart
from mobilenet.datasets.sources.boxes.yolo import LabelFolders, YoloPart, parse_labels
from mobilenet.datasets.sources.folders import has_photos, list_tree, subfolders
from mobilenet.datasets.sources.split_names import folder_split, split_of, split_word
from mobilenet.errors import DataError

__all__ = ["BoxPart", "BoxParts", "find_boxes"]

_HEAD_BYTES = 2**16
_LOOKED_AT = 32
"""Files by which a format is told."""

_MOST_NAMES_BYTES = 2**20
_YAML = (".yaml", ".yml")
_LISTS = ("train", "val", "valid", "validation", "trainval", "test")


class BoxPart(Protocol):
    """A part of a data set with boxes, not yet read."""

    @property
    def path(self) -> Path:
        """What was given for it."""
        ...

    def read(self) -> BoxSet:
        """Its photos with their boxes; DataError."""
        ...


@dataclass(frozen=True, slots=True)
class BoxParts:
    """The part to train on, and those that may judge, in the order in which they are tried; `notes` are for users."""

    train: BoxPart
    judging: tuple[BoxPart, ...] = ()
    notes: tuple[str, ...] = ()


def find_boxes(data: Path) -> BoxParts | None:
    """The parts of a data set with boxes: a COCO file (.json) or a folder with some; a folder with VOC's XML files, in
    `Annotations/` or beside the photos; `data.yaml` of YOLO's tools, its folder, or photos with such labels.

    None for anything else; DataError for one of these that cannot be read.
    """
    if data.is_file():
        return _in_file(data)
    if not data.is_dir():
        return None
    found = (look(data) for look in (_with_yaml, _with_json, _with_xml, _with_labels))
    return next((parts for parts in found if parts is not None), None)


def _in_file(file: Path) -> BoxParts | None:
    ending = file.suffix.lower()
    if ending in _YAML:
        return _of_yaml(file)
    return BoxParts(CocoPart(file.parent, (file,))) if ending == ".json" else None


def _with_yaml(folder: Path) -> BoxParts | None:
    files = [file for file in sorted(folder.iterdir()) if file.suffix.lower() in _YAML and file.is_file()]
    usual = [file for file in files if file.stem.lower() in ("data", "dataset")]
    told = [file for file in usual or files if _tells_parts(file)]
    if len(told) > 1:
        raise DataError(
            f"{folder} has several YAML files of data sets: {', '.join(f.name for f in told[:5])}; give one"
        )
    return _of_yaml(told[0]) if told else None


def _tells_parts(file: Path) -> bool:
    """Whether there is an entry of a training part; not yet parsed, so that other YAML files need not be sound."""
    head = read_bytes(file, 2**30)[:_HEAD_BYTES].decode("utf-8", "replace")
    return any(line.lstrip("{ ").startswith(("train:", '"train"', "'train'")) for line in head.splitlines())


def _of_yaml(file: Path) -> BoxParts:
    said = read_data_yaml(file)
    if not said.parts.get("train"):
        raise DataError(f"{file} has no entry train: the folder of the training photos, or a .txt list of them")
    notes = list[str]()
    parts = {name: part for name in ("train", "val", "test") if (part := _yolo_part(said, name, notes)) is not None}
    return BoxParts(parts.pop("train"), tuple(parts.values()), tuple(notes))


def _yolo_part(said: DataYaml, name: str, notes: list[str]) -> YoloPart | None:
    """One part as data.yaml has it; a missing one other than the training part is a note."""
    found = list[Path]()
    for entry in said.parts.get(name, ()):
        place = _resolved(said, entry)
        if place is not None:
            found.append(place)
        elif name == "train":
            raise DataError(
                f"{said.file}: train is {entry!r}, which is not there; write it relative to the file's folder"
            )
        else:
            notes.append(f"{said.file}: {name} is {entry!r}, which is not there, and is not used")
    names = said.names or _names_beside(said.file.parent)
    return YoloPart(said.file.parent, tuple(found), names, said.keypoints) if found else None


def _resolved(said: DataYaml, entry: str) -> Path | None:
    """An entry below `path`, or below the file's folder; or else, as tools write paths of other places, without what it
    begins with."""
    folder = said.file.parent
    steps = [step for step in entry.replace("\\", "/").split("/") if step not in ("", ".", "..")]
    ends = [folder / "/".join(steps[start:]) for start in range(len(steps))] if len(steps) <= 16 else []
    for place in (folder / said.base / entry, folder / entry, *ends):
        if "\0" not in str(place) and (place.is_dir() or (place.is_file() and place.suffix.lower() == ".txt")):
            return place
    return None


def _names_beside(folder: Path) -> tuple[str, ...] | None:
    """The names in `classes.txt` or `obj.names`, one a line, as some tools write them."""
    places = [folder / below / name for below in ("", "labels") for name in ("classes.txt", "obj.names")]
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        return None
    lines = read_lines(file, _MOST_NAMES_BYTES)
    while lines and not lines[-1]:
        lines.pop()
    return tuple(line or str(number) for number, line in enumerate(lines)) or None


def _with_json(folder: Path) -> BoxParts | None:
    files = [folder / name for name in list_files(folder, ".json") if name.count("/") <= 2]
    files = [file for file in files if _is_coco(file)]
    instances = [file for file in files if "instances" in file.stem.lower()]
    files = instances or [file for file in files if "captions" not in file.stem.lower()]
    if not files:
        return None
    names = {_part_name(file, folder): file for file in files}
    split = split_of(names) if len(names) == len(files) else None
    if split is None:
        return BoxParts(CocoPart(folder, tuple(files)))
    notes = tuple(f"{folder}: {names[name].name} is in no part of the split, and not used" for name in split.beside)
    judging = tuple(CocoPart(folder, (names[name],)) for name in split.judging)
    return BoxParts(CocoPart(folder, (names[split.train],)), judging, notes)


def _is_coco(file: Path) -> bool:
    with file.open("rb") as opened:
        head = opened.read(_HEAD_BYTES)
    return head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"{") and any(
        name in head for name in (b'"images"', b'"annotations"', b'"categories"')
    )


def _part_name(file: Path, folder: Path) -> str:
    """What tells the part: the name of the file, or that of its folder."""
    inside = file.parent.relative_to(folder).as_posix()
    return file.stem if split_word(file.stem) or inside == "." else inside


def _with_xml(folder: Path) -> BoxParts | None:
    files = list_files(folder, ".xml")
    sample = files[:: max(1, len(files) // _LOOKED_AT)]
    if not any(_is_voc(folder / file) for file in sample):
        return None
    root, annotations = _voc_folders(folder, files)
    if lists := _lists(root):
        return lists
    split = folder_split(_children(annotations), lambda path: bool(list_files(annotations / path, ".xml")))
    if split is None:
        return BoxParts(VocPart(root, annotations))
    judging = tuple(VocPart(root, annotations / name) for name in split.judging)
    return BoxParts(VocPart(root, annotations / split.train), judging)


def _is_voc(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            return b"<annotation" in opened.read(_HEAD_BYTES)
    except OSError:
        return False


def _voc_folders(folder: Path, files: Iterable[str]) -> tuple[Path, Path]:
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


def _lists(root: Path) -> BoxParts | None:
    """The parts that ImageSets/Main lists: train and val rather than both together."""
    folder = root / "ImageSets" / "Main"
    names = [name for name in _LISTS if (folder / f"{name}.txt").is_file()]
    training = next((name for name in ("train", "trainval") if name in names), None)
    if training is None:
        return None
    annotations = next((root / name for name in subfolders(root) if name.casefold() == "annotations"), root)
    judging = [name for name in names if name not in ("train", "trainval")]
    parts = [VocPart(root, annotations, folder / f"{name}.txt") for name in (training, *judging)]
    return BoxParts(parts[0], tuple(parts[1:]))


def _with_labels(folder: Path) -> BoxParts | None:
    files = list_tree(folder).files
    sample = files[:: max(1, len(files) // _LOOKED_AT)]
    labels = LabelFolders()
    if not any(_is_labels(labels.find(f"{folder}/{file}")) for file in sample):
        return None
    names = _names_beside(folder)
    split = folder_split(_children(folder), lambda path: has_photos(folder / path))
    if split is None:
        return BoxParts(YoloPart(folder, (folder,), names))
    judging = tuple(YoloPart(folder, (folder / name,), names) for name in split.judging)
    return BoxParts(YoloPart(folder, (folder / split.train,), names), judging)


def _is_labels(file: str | None) -> bool:
    """Whether the first line with text is a box."""
    if file is None:
        return False
    with open(os.fspath(file), "rb") as opened:  # noqa: PTH123 - as text, like the photos
        line = opened.read(_HEAD_BYTES).lstrip().split(b"\n", 1)[0]
    found = parse_labels(line, None).annotation
    return bool(found.boxes) and not found.faults


def _children(folder: Path) -> Callable[[str], Sequence[str]]:
    return lambda path: subfolders(folder / path)
