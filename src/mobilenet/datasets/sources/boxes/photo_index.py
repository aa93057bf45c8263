"""Photos by the names that annotations have for them: relative, absolute, of another computer, in another case."""

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from mobilenet.datasets.sources.endings import ending_of, is_photo
from mobilenet.datasets.sources.folders import list_tree
from mobilenet.datasets.sources.spellings import same_name

__all__ = ["PhotoIndex", "list_files"]

_MOST_PARTS = 16
"""Folders of a name that are compared."""

_MOST_ALIKE = 64
"""Photos with the same end of their names that are compared."""


class PhotoIndex:
    """The photos in `root` and below; `files` are their names relative to it. DataError if it is not a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files = list_tree(root).files
        self._exact = frozenset(self.files)
        self._by_end: dict[str, list[str]] = defaultdict(list)
        for file in self.files:
            for end in _ends(file):
                self._add(end, file)
                ending = ending_of(end)
                if is_photo(ending):
                    self._add(end[: -len(ending)], file)

    def find(self, name: str, below: Sequence[str] = ()) -> str | None:
        """The photo that an annotation calls `name`; None if there is none, or if several may be meant.

        It is the one with the longest end in common with `name`, whose ending may be missing; of several, one in the
        first possible folder of `below`. An absolute name of a file outside of the root is returned as it is.
        """
        slashes = name.replace("\\", "/")
        parts = [part for part in slashes.split("/") if part not in ("", ".", "..")]
        if slashes.startswith("/") and (absolute := self._absolute(slashes)):
            return absolute
        relative = "/".join(parts)
        exact = [f"{folder}/{relative}" if folder else relative for folder in (*below, "")]
        for file in exact:
            if file in self._exact:
                return file
        for end in _ends(relative):
            if alike := self._by_end.get(end):
                return _chosen(alike, parts[-1], below)
        return None

    def _add(self, end: str, file: str) -> None:
        alike = self._by_end[end]
        if len(alike) < _MOST_ALIKE:
            alike.append(file)

    def _absolute(self, name: str) -> str | None:
        inside = name.removeprefix(f"{self.root.absolute()}/")
        if inside in self._exact:
            return inside
        return name if is_photo(ending_of(name)) and os.path.isfile(name) else None  # noqa: PTH113 - a million names


def list_files(root: Path, ending: str) -> tuple[str, ...]:
    """The files in `root` and below whose names end so (as `.xml`), in any case; relative to it, sorted.

    Hidden ones are skipped. Links are followed, but no folder is entered twice.
    """
    return tuple(sorted(_named(str(root), ending)))


def _named(top: str, ending: str) -> Iterator[str]:
    entered = set[tuple[int, int]]()
    for folder, folders, files in os.walk(top, followlinks=True):
        status = os.stat(folder)  # noqa: PTH116 - a million folders
        if (status.st_dev, status.st_ino) in entered:
            folders.clear()
            continue
        entered.add((status.st_dev, status.st_ino))
        folders[:] = [name for name in folders if not name.startswith((".", "__MACOSX"))]
        below = os.path.relpath(folder, top)
        for name in files:
            if name.lower().endswith(ending) and not name.startswith("."):
                yield name if below == "." else f"{below}/{name}"


def _ends(name: str) -> Iterator[str]:
    """`a/b/c`, `b/c` and `c`, for comparison."""
    parts = same_name(name).split("/")[-_MOST_PARTS:]
    return ("/".join(parts[start:]) for start in range(len(parts)))


def _chosen(alike: Sequence[str], last: str, below: Sequence[str]) -> str | None:
    same_case = [file for file in alike if file.rpartition("/")[2] == last]
    for files in (same_case, alike):
        if len(files) == 1:
            return files[0]
        for folder in below:
            inside = [file for file in files if file.startswith(f"{folder}/" if folder else "")]
            if len(inside) == 1:
                return inside[0]
    return None
