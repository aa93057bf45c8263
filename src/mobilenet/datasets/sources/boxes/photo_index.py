"""Photos by the names that annotations have for them: relative, absolute, of another computer, in another case."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

from mobilenet.datasets.sources.endings import ending_of, is_photo
from mobilenet.datasets.sources.folders import list_tree
from mobilenet.datasets.sources.spellings import same_name

__all__ = ["PhotoIndex", "list_files"]

_MOST_PARTS = 16
"""Folders of a name that are compared."""

_MOST_ALIKE = 64
"""Photos with the same end of their names that are compared."""


_WHOLE = _MOST_PARTS + 1
"""Parts that a photo shares with a name that is its own, as it is or below a folder that was expected."""


class PhotoIndex:
    """The photos in `root` and below; `files` are their names relative to it. DataError if it is not a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files = list_tree(root).files
        self._exact = frozenset(self.files)

    @cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for file in self.files:
            found[_stem(file)].append(file)
        return found

    @cached_property
    def _by_end(self) -> dict[str, list[str]]:
        """Where names are not those of the photos, as they are or below a folder that was expected: this is large."""
        found: dict[str, list[str]] = defaultdict(list)
        for file in self.files:
            for name in dict.fromkeys((file, _stem(file))):
                for end in _ends(name):
                    if len(alike := found[end]) < _MOST_ALIKE:
                        alike.append(file)
        return found

    def find(self, names: Iterable[str], below: Sequence[str] = ()) -> dict[str, str]:
        """The photos that annotations call by these names, which may lack their endings; those alone that are certain.

        A photo is the one with the longest end in common with its name; of several, one in the first possible folder of
        `below`. Where other names of the same folder have more in common with their photos, it is another photo that
        happens to be called alike; likewise where two names mean the same photo, for the one that has less in common.
        An absolute name of a file outside of the root is returned as it is.
        """
        matches = {name: match for name in names if (match := self._match(name, below)) is not None}
        most = dict[str, int]()
        for name, (_, shared) in matches.items():
            folder = _folder_of(name)
            most[folder] = max(most.get(folder, 0), shared)
        claims = Counter(matches.values())
        best = dict[str, int]()
        for photo, shared in matches.values():
            best[photo] = max(best.get(photo, 0), shared)
        return {
            name: photo
            for name, (photo, shared) in matches.items()
            if shared == most[_folder_of(name)] == best[photo] and claims[photo, shared] == 1
        }

    def _match(self, name: str, below: Sequence[str]) -> tuple[str, int] | None:
        """A photo, and how many parts of its name it shares."""
        slashes = name.replace("\\", "/")
        parts = [part for part in slashes.split("/") if part not in ("", ".", "..")]
        if slashes.startswith("/") and (absolute := self._absolute(slashes)):
            return absolute, _WHOLE
        relative = "/".join(parts)
        for folder in (*below, ""):
            whole = f"{folder}/{relative}" if folder else relative
            if whole in self._exact:
                return whole, _WHOLE
            if len(same := self._by_stem.get(whole, [])) == 1:
                return same[0], _WHOLE
        ends = list(_ends(relative)) if parts else []
        for place, end in enumerate(ends):
            if alike := self._by_end.get(end):
                chosen = _chosen(alike, parts[-1], below)
                return None if chosen is None else (chosen, len(ends) - place)
        return None

    def _absolute(self, name: str) -> str | None:
        inside = name.removeprefix(f"{self.root.absolute()}/")
        if inside in self._exact:
            return inside
        return name if is_photo(ending_of(name)) and os.path.isfile(name) else None  # noqa: PTH113 - a million names


def list_files(root: Path, endings: tuple[str, ...]) -> tuple[str, ...]:
    """The files in `root` and below whose names have one of the endings (as `.xml`), in any case; relative to it,
    sorted.

    Hidden ones are skipped. Links are followed, but no folder is entered twice.
    """
    return tuple(sorted(_named(str(root), endings)))


def _named(top: str, endings: tuple[str, ...]) -> Iterator[str]:
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
            if name.lower().endswith(endings) and not name.startswith("."):
                yield name if below == "." else f"{below}/{name}"


def _stem(file: str) -> str:
    return file[: len(file) - len(ending_of(file))]


def _ends(name: str) -> Iterator[str]:
    """`a/b/c`, `b/c` and `c`, for comparison."""
    parts = same_name(name).split("/")[-_MOST_PARTS:]
    return ("/".join(parts[start:]) for start in range(len(parts)))


def _folder_of(name: str) -> str:
    return name.replace("\\", "/").rpartition("/")[0]


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
