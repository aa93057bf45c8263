"""`data.yaml` of YOLO's tools: the class names, and where the photos of each part are."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mobilenet.datasets.sources.boxes.annotation import as_label
from mobilenet.datasets.sources.boxes.bounded import read_bytes
from mobilenet.errors import DataError

__all__ = ["DataYaml", "folders_of", "read_data_yaml", "resolved"]

_MOST_BYTES = 2**18
_MOST_LEVELS = 16
_MOST_NAMES = 100_000
_MOST_ENTRIES = 10_000
_PARTS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


@dataclass(frozen=True, slots=True)
class DataYaml:
    """`parts`: the entries of `train`, `val` and `test`, as they are written; `base`: the folder that `path` gives for
    them. `names` is None if there are none. `keypoints`: each box is followed by the keypoints of its object."""

    file: Path
    base: str
    parts: Mapping[str, tuple[str, ...]]
    names: tuple[str, ...] | None
    keypoints: bool = False


def read_data_yaml(path: Path) -> DataYaml:
    """What the file says; DataError for one that is damaged or is of another kind."""
    document = _document(path)
    parts = {
        _PARTS[key]: entries for key, value in document.items() if key in _PARTS and (entries := _entries(value, path))
    }
    base = document.get("path", "")
    if not isinstance(base, str):
        raise DataError(f"{path}: path is not the name of a folder")
    return DataYaml(path, base, parts, _names(document, path), "kpt_shape" in document)


def folders_of(said: DataYaml, name: str, notes: list[str]) -> list[Path]:
    """The folders and lists of one part; a missing one is a note, or a DataError if it is the training part's."""
    found = list[Path]()
    for entry in said.parts.get(name, ()):
        place = resolved(said, entry)
        if place is not None:
            found.append(place)
        elif name == "train":
            raise DataError(
                f"{said.file}: train is {entry[:200]!r}, which is not there; write it relative to the file's folder"
            )
        else:
            notes.append(f"{said.file}: {name} is {entry[:200]!r}, which is not there, and is not used")
    return found


def resolved(said: DataYaml, entry: str) -> Path | None:
    """An entry below `path`, or below the file's folder; or else, as tools write paths of other places, without what it
    begins with."""
    folder = said.file.parent
    steps = [step for step in entry.replace("\\", "/").split("/") if step not in ("", ".", "..")]
    ends = [folder / "/".join(steps[start:]) for start in range(len(steps))] if len(steps) <= 16 else []
    return next((place for place in (folder / said.base / entry, folder / entry, *ends) if _is_there(place)), None)


def _is_there(place: Path) -> bool:
    """Whether it is a folder, or a list."""
    try:
        return place.is_dir() or (place.suffix.lower() == ".txt" and place.is_file())
    except OSError:
        # A name that is too long, or a folder without permission.
        return False


def _document(path: Path) -> dict[str, Any]:
    """All scalars as text: the classes `no` and `010` are no truth value and no number."""
    import yaml

    data = read_bytes(path, _MOST_BYTES)
    try:
        _check_events(yaml.parse(data, yaml.BaseLoader), path)
        document = yaml.BaseLoader(data).get_single_data()
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
        raise DataError(f"{path} is not YAML, or is damaged{place}; compare it with a file that works") from error
    if not isinstance(document, dict):
        raise DataError(f"{path} does not say where train and val are, nor the names of classes")
    return document


def _check_events(events: Iterable[Any], path: Path) -> None:
    """DataError for what grows: an alias is a value that may be used many times over, and PyYAML takes time quadratic
    in the number of levels, of which it reads no more than are asked for."""
    levels = 0
    for event in events:
        kind = type(event).__name__
        levels += kind.endswith("StartEvent") - kind.endswith("EndEvent")
        if kind == "AliasEvent":
            raise DataError(f"{path} has aliases (*name), which a list of classes does not need; write the value out")
        if levels > _MOST_LEVELS:
            raise DataError(f"{path} has more than {_MOST_LEVELS} levels; it is not a list of classes")


def _entries(value: object, path: Path) -> tuple[str, ...]:
    listed = value if isinstance(value, list) else [value]
    entries = [entry for entry in listed if isinstance(entry, str)]
    if len(entries) < len(listed) or len(entries) > _MOST_ENTRIES:
        raise DataError(f"{path}: train, val and test must be a folder, a list of folders, or a .txt file each")
    return tuple(entry.strip() for entry in entries if entry.strip() not in ("", "~", "null"))


def _names(document: Mapping[str, Any], path: Path) -> tuple[str, ...] | None:
    """From a list, or from numbers with names; numbers without a name are their own."""
    value = document.get("names")
    if value in (None, "", "~", "null"):
        return None
    if isinstance(value, list):
        numbered: dict[int, object] = dict(enumerate(value))
    elif isinstance(value, dict) and all(str(key).isascii() and str(key).isdecimal() for key in value):
        numbered = {int(key[:9]): name for key, name in value.items()}
    else:
        raise DataError(f"{path}: names is neither a list nor numbers with names")
    last = max(numbered, default=-1)
    names = tuple(as_label(numbered.get(number, number)) for number in range(min(last + 1, _MOST_NAMES + 1)))
    wrong = next((number for number, name in enumerate(names) if name is None), None)
    if wrong is not None or len(names) > _MOST_NAMES:
        raise DataError(f"{path}: the name of class {_MOST_NAMES if wrong is None else wrong} is not a name")
    return tuple(name for name in names if name is not None) or None
