"""COCO's JSON: `images`, `annotations` and `categories`, which refer to each other by numbers with gaps."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from mobilenet.datasets.sources.boxes.annotation import (
    Annotation,
    Box,
    Corners,
    Fault,
    Reason,
    as_label,
    as_number,
    as_size,
)
from mobilenet.datasets.sources.boxes.bounded import read_bytes
from mobilenet.datasets.sources.boxes.box_set import BoxSet, box_set, merged
from mobilenet.datasets.sources.boxes.photo_index import PhotoIndex
from mobilenet.datasets.sources.boxes.segmentation import box_around
from mobilenet.datasets.sources.split_names import split_word
from mobilenet.errors import DataError

__all__ = ["CocoFile", "CocoPart", "parse_coco"]

_MOST_BYTES = 2**30
"""Twice what COCO's own training photos take."""

_AROUND = ("box", "around", "segmentation")
"""No key of a JSON object."""

_FOLDERS = ("annotation", "label", "json")
"""How folders are called that hold JSON files alone, beside those with photos."""


@dataclass(frozen=True, slots=True)
class CocoFile:
    """What one file says: of each photo by the name it has there, the classes in their order, and faults."""

    photos: tuple[tuple[str, Annotation], ...]
    names: tuple[str, ...]
    faults: tuple[Fault, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CocoPart:
    """A part of a data set: JSON `files`, whose photos are below `root`; `alone` if no others tell of photos there."""

    root: Path
    files: tuple[Path, ...]
    alone: bool = True

    @property
    def path(self) -> Path:
        """What was given for it."""
        return self.files[0] if len(self.files) == 1 else self.root

    def read(self) -> BoxSet:
        """Its photos with their boxes; DataError for a file that is damaged, or if none of its photos is found."""
        index = _index(self.root, self.files[0])
        said, names = defaultdict[str, list[Annotation]](list), dict[str, None]()
        faults, notes = list[Fault](), list[str]()
        for file in self.files:
            found = parse_coco(read_bytes(file, _MOST_BYTES), file)
            names |= dict.fromkeys(found.names)
            notes += found.notes
            faults += found.faults
            below = _preferred(index, file)
            there = index.find((name for name, _ in found.photos), below)
            missing = list(dict.fromkeys(name for name, _ in found.photos if name not in there))
            for name, annotation in found.photos:
                if name in there:
                    said[there[name]].append(annotation)
            if found.photos and len(missing) == len(found.photos):
                first = missing[0][:200]
                raise DataError(
                    f"{file}: none of its {len(missing):,} photos is in {index.root}, the first being {first!r}; "
                    "give the folder that has both"
                )
            faults += [Fault(name[:200], Reason.NO_PHOTO) for name in missing]
        unused = len(index.files) - len(said.keys() & set(index.files))
        if unused and self.alone:
            notes.append(f"{index.root}: photos that {_called(self.files)} not list are not used: {unused:,}")
        return box_set(index.root, {photo: merged(each) for photo, each in said.items()}, tuple(names), faults, notes)


def parse_coco(data: bytes, path: Path) -> CocoFile:
    """The contents of the file `path`, not yet compared with the photos; DataError for a damaged one, or one of
    another kind."""
    document = _document(data, path)
    images, rows = _list(document, "images", path), _list(document, "annotations", path)
    names, faults = _names(document, rows, path)
    groups = _groups(document, names, rows)
    entries, lost = _entries(images, path)
    faults += lost
    boxes, wrong = defaultdict[int | str, list[Box]](list), defaultdict[int | str, list[tuple[Reason, str]]](list)
    around = 0
    for number, row in enumerate(rows):
        key = _key(row.get("image_id")) if isinstance(row, dict) else None
        if key is None or key not in entries:
            faults.append(
                Fault(path.name, Reason.NO_PHOTO, f"annotations[{number}] of photo {_shown(row, 'image_id')}")
            )
            continue
        box = _box(row, names)
        if isinstance(box, Box):
            boxes[key].append(box)
            around += _AROUND in row
        else:
            wrong[key].append((box, f"annotations[{number}]"))
    notes = [f"{path}: boxes made from segmentations: {around:,}"] if around else []
    if groups:
        notes.append(f"{path}: categories that only group others are not classes: {', '.join(groups)}")
    photos = tuple(
        (name, Annotation(tuple(boxes[key]), "pixels", size, tuple(wrong[key])))
        for key, (name, size) in entries.items()
    )
    ordered = dict.fromkeys(names[key] for key in sorted(names, key=_place))
    return CocoFile(photos, tuple(name for name in ordered if name not in groups), tuple(faults), tuple(notes))


def _document(data: bytes, path: Path) -> dict[str, Any]:
    try:
        value = json.loads(data, object_hook=_without_segmentation)
    except json.JSONDecodeError as error:
        told = f"{error.msg} at line {error.lineno}, column {error.colno}"
        raise DataError(f"{path} is not JSON, or is damaged: {told}; copy it again") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise DataError(f"{path} is not JSON, or is damaged: {_line(error)}; copy it again") from error
    if isinstance(value, list):
        raise DataError(f"{path} is a list, as results of a detector are, not a data set with images and annotations")
    if not isinstance(value, dict):
        raise DataError(f"{path} is JSON, but not a data set with images, annotations and categories")
    return value


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:80] or type(error).__name__


def _without_segmentation(value: dict[Any, Any]) -> dict[Any, Any]:
    """Outlines take most of a file and are dropped as it is read; where there is no box, the one around is kept."""
    outline = value.pop("segmentation", None)
    if outline is not None and "image_id" in value and _corners(value.get("bbox")) is None:
        around = box_around(outline)
        if around is not None:
            value[_AROUND] = around
    return value


def _list(document: Mapping[str, Any], name: str, path: Path) -> list[Any]:
    value = document.get(name)
    if not isinstance(value, list):
        has = ", ".join(sorted(map(str, document))[:8]) or "nothing"
        raise DataError(f"{path} has no list {name!r}, as COCO's data sets have; it has: {has[:120]!r}")
    return value


def _names(document: Mapping[str, Any], rows: Sequence[Any], path: Path) -> tuple[dict[int | str, str], list[Fault]]:
    """The class of each category; their numbers where the file names none."""
    if document.get("categories") is None:
        keys = {_key(row.get("category_id")) for row in rows if isinstance(row, dict)}
        return {key: name for key in keys if key is not None and (name := as_label(key)) is not None}, []
    names, faults = dict[int | str, str](), list[Fault]()
    for number, entry in enumerate(_list(document, "categories", path)):
        fields = entry if isinstance(entry, dict) else {}
        key, name = _key(fields.get("id")), as_label(fields.get("name"))
        if key is None or name is None or names.get(key, name) != name:
            faults.append(Fault(path.name, Reason.NO_CLASS, f"categories[{number}]"))
        else:
            names[key] = name
    return names, faults


def _place(key: int | str) -> tuple[bool, int, str]:
    """Classes are in the order of their ids."""
    return (True, 0, key) if isinstance(key, str) else (False, key, "")


def _groups(document: Mapping[str, Any], names: Mapping[int | str, str], rows: Sequence[Any]) -> tuple[str, ...]:
    """Categories that are only the supercategory of others, as some tools list them."""
    above = {as_label(entry.get("supercategory")) for entry in document.get("categories") or () if _is_other(entry)}
    candidates = {name for name in names.values() if name in above}
    if candidates:
        keys = {_key(row.get("category_id")) for row in rows if isinstance(row, dict)}
        candidates -= {names[key] for key in keys if key is not None and key in names}
    return tuple(sorted(candidates))


def _is_other(entry: object) -> bool:
    return isinstance(entry, dict) and entry.get("supercategory") != entry.get("name")


def _entries(
    images: Sequence[Any], path: Path
) -> tuple[dict[int | str, tuple[str, tuple[float, float] | None]], list[Fault]]:
    """The name and size of each photo by its number."""
    entries, faults = dict[int | str, tuple[str, tuple[float, float] | None]](), list[Fault]()
    for number, entry in enumerate(images):
        fields = entry if isinstance(entry, dict) else {}
        key, name = _key(fields.get("id")), fields.get("file_name")
        if key is None or not _is_name(name):
            faults.append(Fault(path.name, Reason.DAMAGED, f"images[{number}]"))
        elif key in entries and entries[key][0] != name:
            faults.append(Fault(name[:200], Reason.DAMAGED, f"images[{number}] has the id of {entries[key][0][:200]}"))
        else:
            entries[key] = (name, as_size(fields.get("height"), fields.get("width")))
    return entries, faults


def _is_name(name: object) -> TypeGuard[str]:
    """Of a photo: not of a folder, and nothing that no file can be called."""
    return isinstance(name, str) and bool(name.strip("/\\. ")) and "\0" not in name and _is_text(name)


def _is_text(name: str) -> bool:
    return name.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in name)


def _key(value: object) -> int | str | None:
    """An id: tools write them as numbers, as text, or as fractions that are whole."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if isinstance(value, str):
        return int(value) if len(value) < 20 and value.isascii() and value.isdecimal() else value
    return value if isinstance(value, int) else None


def _box(row: Mapping[Any, Any], names: Mapping[int | str, str]) -> Box | Reason:
    key = _key(row.get("category_id"))
    label = None if key is None else names.get(key)
    if label is None:
        return Reason.NO_CLASS
    corners = _corners(row.get("bbox")) or row.get(_AROUND)
    if corners is None:
        return Reason.NO_BOX
    return Box(label, corners, crowd=as_number(row.get("iscrowd", 0)) == 1 or row.get("iscrowd") is True)


def _corners(box: object) -> Corners | None:
    """`[left, top, width, height]`; None for an empty list, and for the -1 that some tools write for none."""
    if not isinstance(box, list) or len(box) != 4 or all(side is None for side in box):
        return None
    left, top, width, height = map(as_number, box)
    if width == height == -1:
        return None
    return top, left, top + height, left + width


def _shown(row: object, name: str) -> str:
    return repr(row.get(name))[:40] if isinstance(row, dict) else "none"


def _index(root: Path, file: Path) -> PhotoIndex:
    """The photos below the root, or beside it if it is a folder of JSON files alone."""
    index = PhotoIndex(root)
    alone = not index.files and any(word in root.absolute().name.lower() for word in _FOLDERS)
    if alone:
        index = PhotoIndex(root.parent)
    if not index.files:
        raise DataError(f"{file}: found no photos in {root}; give the folder that contains the photos and this file")
    return index


def _preferred(index: PhotoIndex, file: Path) -> tuple[str, ...]:
    """The folders in which a name is looked for first: the file's own, then those that are called as it is."""
    own = Path(file.absolute().parent)
    top = index.root.absolute()
    here = own.relative_to(top).as_posix().removeprefix(".") if own.is_relative_to(top) else ""
    folders = sorted({name.rpartition("/")[0] for name in index.files})
    part = split_word(file.stem) or split_word(own.name)
    named = [folder for folder in folders if folder and folder.rpartition("/")[2] in file.stem]
    alike = [folder for folder in folders if part and any(_tells(step, part[0]) for step in folder.split("/"))]
    below = [folder for folder in folders if folder.startswith(f"{here}/")] if here else []
    return tuple(dict.fromkeys([here, *below[:8], *named[:8], *alike[:8]]))


def _tells(name: str, word: str) -> bool:
    found = split_word(name)
    return found is not None and found[0] == word


def _called(files: Sequence[Path]) -> str:
    return f"{files[0].name} does" if len(files) == 1 else f"the {len(files)} files do"
