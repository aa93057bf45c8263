"""A tree of folders: the class of a photo is the path of its folder relative to the root."""

import os
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mobilenet.errors import DataError
from mobilenet.images.decode import ENDINGS

__all__ = ["Tree", "class_names", "find_photos", "list_tree"]

_SHOWN_ENDINGS = ".jpg, .png, .webp, .bmp, .tif or .gif"


@dataclass(frozen=True, slots=True)
class Tree:
    """`files` relative to the root, sorted, with forward slashes; `empty` are the folders without photos or folders."""

    files: tuple[str, ...]
    empty: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Folder:
    """The contents of one folder; every path is relative to the root."""

    files: list[str]
    folders: list[str]
    links: list[str]


def find_photos(folder: Path) -> tuple[str, ...]:
    """The names of all photos in `folder` and below, sorted; DataError if it is missing or contains no photos."""
    files = list_tree(folder).files
    if not files:
        raise DataError(f"{folder} contains no photos; their names must end in {_SHOWN_ENDINGS}")
    return files


def list_tree(root: Path) -> Tree:
    """Walk `root`: links are followed, but no folder is visited twice, and a folder takes precedence over a link to it.

    Names that start with a dot are skipped. Files are sorted by code point, so the order is the same everywhere.
    """
    top = _absolute_folder(root)
    files: list[str] = []
    empty: list[str] = []
    folders, links = [""], list[str]()
    entered: set[tuple[int, int]] = set()
    while folders or links:
        name = folders.pop() if folders else links.pop()
        identity = _identity(top, name)
        if identity in entered:
            continue
        entered.add(identity)
        content = _list_folder(top, name)
        files += content.files
        folders += content.folders
        links = sorted(links + content.links, reverse=True) if content.links else links
        if name and not (content.files or content.folders or content.links):
            empty.append(name)
    return Tree(tuple(sorted(files)), tuple(sorted(empty)))


def class_names(files: Iterable[str]) -> dict[str, str]:
    """{file: class}: the class of `Apple/Pink-Lady/1.jpg` is `Apple/Pink-Lady`; files at the root have no class.

    Names are normalised to NFC, so that a tree copied from a Mac has the same classes.
    """
    folders: dict[str, str] = {}
    classes: dict[str, str] = {}
    for file in files:
        folder = file.rpartition("/")[0]
        if folder:
            classes[file] = folders.setdefault(folder, unicodedata.normalize("NFC", folder))
    return classes


def _absolute_folder(root: Path) -> str:
    if not root.exists():
        raise DataError(f"{root} does not exist")
    if not root.is_dir():
        raise DataError(f"{root} is not a folder")
    return str(root.absolute())


def _identity(top: str, name: str) -> tuple[int, int]:
    try:
        status = os.stat(f"{top}/{name}")  # noqa: PTH116 - a million folders: no Path object for each
    except OSError as error:
        raise _unreadable(f"{top}/{name}", error) from error
    return status.st_dev, status.st_ino


def _list_folder(top: str, name: str) -> _Folder:
    content = _Folder([], [], [])
    below = f"{name}/" if name else ""
    try:
        with os.scandir(f"{top}/{name}") as entries:
            for entry in entries:
                if not entry.name.startswith("."):
                    _sort_entry(entry, below + entry.name, content)
    except OSError as error:
        raise _unreadable(f"{top}/{name}", error) from error
    return content


def _sort_entry(entry: "os.DirEntry[str]", path: str, content: _Folder) -> None:
    """Everything with the name of a photo is listed, even a pipe or a dangling link: it is left out later, by name."""
    if _is_folder(entry):
        (content.links if entry.is_symlink() else content.folders).append(path)
    elif path[path.rfind(".") :].lower() in ENDINGS:
        content.files.append(path)


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:
        # A link to itself, or through a folder without permission.
        return False


def _unreadable(path: str, error: OSError) -> DataError:
    return DataError(f"cannot read {path}: {(error.strerror or str(error)).lower()}; check its permissions")
