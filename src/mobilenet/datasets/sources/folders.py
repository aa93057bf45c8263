"""A tree of folders: the class of a photo is the path of its folder relative to the root."""

import os
import stat
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mobilenet.datasets.sources.endings import (
    HEAD_BYTES,
    ending_of,
    format_of,
    is_clutter,
    is_photo,
    unread_line,
)
from mobilenet.errors import DataError

__all__ = ["Tree", "class_names", "find_photos", "has_photos", "list_tree", "subfolders"]

_HIDDEN = (".", "__MACOSX")
"""How names begin that are skipped: hidden files, and what macOS adds to archives."""

_SHOWN_ENDINGS = ".jpg, .png, .webp, .bmp, .tif or .gif"


@dataclass(frozen=True, slots=True)
class Tree:
    """`files` relative to the root, sorted, with forward slashes; `empty` are the folders without photos or folders.

    `unread` counts the other files by the ending of their names, in lower case ("" for none).
    """

    files: tuple[str, ...]
    empty: tuple[str, ...]
    unread: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Folder:
    """The contents of one folder; every path is relative to the root."""

    files: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    unread: Counter[str] = field(default_factory=Counter)


def find_photos(folder: Path, note: Callable[[str], object] | None = None) -> tuple[str, ...]:
    """The names of all photos in `folder` and below, sorted; DataError if it is missing or contains no photos.

    `note` is called with a line on the files that are not read, if there are any.
    """
    tree = list_tree(folder)
    others = unread_line(tree.unread) if tree.unread else ""
    if not tree.files:
        more = f"; {others}" if others else ""
        raise DataError(f"{folder} contains no photos; their names must end in {_SHOWN_ENDINGS}{more}")
    if others and note is not None:
        note(f"{folder}: {others}")
    return tree.files


def list_tree(root: Path) -> Tree:
    """Walk `root`: links are followed, but no folder is visited twice, and a folder takes precedence over a link to it.

    Names that start with a dot are skipped. Files are sorted by code point, so the order is the same everywhere.
    """
    files: list[str] = []
    empty: list[str] = []
    unread: Counter[str] = Counter()
    for name, content in _walk(root):
        files += content.files
        unread += content.unread
        if name and not (content.files or content.folders or content.links):
            empty.append(name)
    return Tree(tuple(sorted(files)), tuple(sorted(empty)), dict(sorted(unread.items())))


def has_photos(root: Path) -> bool:
    """Whether there is a photo in `root` or below; DataError."""
    return any(content.files for _, content in _walk(root))


def subfolders(root: Path) -> tuple[str, ...]:
    """The names of the folders in `root`, sorted, without hidden ones; DataError."""
    content = _list_folder(_absolute_folder(root), "")
    return tuple(sorted(content.folders + content.links))


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


def _walk(root: Path) -> Iterator[tuple[str, _Folder]]:
    """Each folder, by its path from the root, once."""
    top = _absolute_folder(root)
    folders, links = [""], list[str]()
    entered: set[tuple[int, int]] = set()
    while folders or links:
        name = folders.pop() if folders else links.pop()
        identity = _identity(top, name)
        if identity in entered:
            continue
        entered.add(identity)
        content = _list_folder(top, name)
        folders += content.folders
        links = sorted(links + content.links, reverse=True) if content.links else links
        yield name, content


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
    content = _Folder()
    below = f"{name}/" if name else ""
    try:
        with os.scandir(f"{top}/{name}") as entries:
            for entry in entries:
                if not entry.name.startswith(_HIDDEN):
                    _sort_entry(entry, below + entry.name, content)
    except OSError as error:
        raise _unreadable(f"{top}/{name}", error) from error
    return content


def _sort_entry(entry: "os.DirEntry[str]", path: str, content: _Folder) -> None:
    """Everything with the name of a photo is listed, even a pipe or a dangling link: it is left out later, by name."""
    if _is_folder(entry):
        (content.links if entry.is_symlink() else content.folders).append(path)
        return
    found = ending_of(entry.name) or _format(entry.path)
    if found is None or is_clutter(entry.name):
        return
    if is_photo(found):
        content.files.append(path)
    else:
        content.unread[found] += 1


def _format(path: str) -> str | None:
    """The usual ending of a photo whose name has none, `NO_ENDING` for another file; None if it cannot be read."""
    try:
        # Non-blocking, in case it is a pipe.
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return format_of(os.read(file, HEAD_BYTES)) if stat.S_ISREG(os.fstat(file).st_mode) else None
    except OSError:
        return None
    finally:
        os.close(file)


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:
        # A link to itself, or through a folder without permission.
        return False


def _unreadable(path: str, error: OSError) -> DataError:
    return DataError(f"cannot read {path}: {(error.strerror or str(error)).lower()}; check its permissions")
