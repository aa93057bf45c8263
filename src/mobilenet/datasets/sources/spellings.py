"""Files by names that may be spelled as on another system: backslashes, another case, without an ending."""

import os
import unicodedata
from pathlib import Path

from mobilenet.datasets.sources.endings import ending_of, is_photo

__all__ = ["Files", "one_line", "same_name"]


class Files:
    """The files in a folder and below, found by names that may be spelled as on another system, and that follow
    `below`."""

    def __init__(self, folder: Path, below: str = "") -> None:
        self._folder, self._below = str(folder), below
        self._listed: dict[str, dict[str, list[str]]] = {}

    def find(self, name: str) -> str | None:
        """The file as it is spelled here; None if there is none, or more than one.

        Unless a file matches exactly, backslashes are read as slashes, case is ignored, and a name without an ending
        matches a photo of that name with one.
        """
        name = self._below + name
        slashes = name.replace("\\", "/")
        for spelling in dict.fromkeys((name, slashes)):
            if os.path.exists(os.path.join(self._folder, spelling)):  # noqa: PTH110, PTH118 - a million files
                return spelling
        if slashes.startswith("/"):
            return None
        below = ""
        for part in slashes.split("/"):
            same = [part] if part in ("", ".", "..") else self._alike(below, part)
            if len(same) != 1:
                return None
            below += f"{same[0]}/"
        return below.removesuffix("/")

    def _alike(self, below: str, name: str) -> list[str]:
        if below not in self._listed:
            self._listed[below] = self._list(below)
        return self._listed[below].get(same_name(name), [])

    def _list(self, below: str) -> dict[str, list[str]]:
        """Names in a folder by what identifies them; a photo also by its name without the ending."""
        try:
            names = sorted(os.listdir(os.path.join(self._folder, below)))  # noqa: PTH118, PTH208
        except (OSError, ValueError):
            return {}
        found: dict[str, list[str]] = {}
        stems: dict[str, list[str]] = {}
        for name in names:
            found.setdefault(same_name(name), []).append(name)
            if is_photo(ending := ending_of(name)):
                stems.setdefault(same_name(name[: -len(ending)]), []).append(name)
        return stems | found


def same_name(name: str) -> str:
    """What names that differ in case and composed letters alone have in common."""
    return unicodedata.normalize("NFC", name).casefold()


def one_line(name: str) -> str:
    """The name, in quotes and with escapes if it would break a line of text."""
    return name if name.splitlines() in ([], [name]) else repr(name)
