"""Locations of data sets: local paths, names with braces, and URLs that fsspec opens."""

import itertools
import re
from pathlib import Path

from mobilenet.errors import DataError

__all__ = ["expand", "full_name", "is_url", "name_for_folders", "short_name", "spelled", "whole_path"]

_URL = re.compile(r"^[a-z][a-z0-9+.-]+:(?::|/)", re.IGNORECASE)
_RANGE = re.compile(r"\{(-?[0-9]{1,40})\.\.(-?[0-9]{1,40})")
_MOST_NAMES = 100_000

_NAMELESS = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
"""Files that have the same name in every data set, as those of YOLO's tools do."""


def is_url(path: Path) -> bool:
    """Whether a path is a URL for fsspec, such as `https://…`, `s3://…` or `hf://datasets/…`."""
    return bool(_URL.match(str(path)))


def spelled(path: Path) -> str:
    """The path as it was given: a Path collapses the two slashes of a URL."""
    if not is_url(path):
        return str(path)
    return re.sub(r"(^|::)([a-z][a-z0-9+.-]+):/+", _with_slashes, str(path), flags=re.IGNORECASE)


def full_name(path: Path) -> str:
    """A URL as it was given, else the absolute path with links resolved."""
    return spelled(path) if is_url(path) else str(path.resolve())


def short_name(path: Path) -> str:
    """The name of a data set: that of its folder or file, or of the folder of a file that every data set has."""
    whole = Path(full_name(path))
    return whole.parent.name or whole.name if whole.name.lower() in _NAMELESS else whole.name


def name_for_folders(path: Path) -> str:
    """The name of a data set for use in folder names, without the punctuation of URLs and braces."""
    name = Path(short_name(path)).stem
    return (re.sub(r"\W+", "-", name).strip("-") if is_url(path) or "{" in name else name) or "data"


def whole_path(path: Path) -> Path:
    """The absolute path: a URL is absolute already."""
    return path if is_url(path) else path.absolute()


def expand(path: Path) -> list[str]:
    """The names that a name with braces expands to: `data-{000000..000009}.tar` gives ten. DataError."""
    name = spelled(path)
    if "{" not in name or (not is_url(path) and path.exists()):
        return [name]
    from braceexpand import braceexpand

    # braceexpand generates all numbers of a range before it yields the first name.
    ranges = [abs(int(last) - int(first)) for first, last in _RANGE.findall(name)]
    if max(ranges, default=0) >= _MOST_NAMES:
        raise DataError(f"{name} stands for more than {_MOST_NAMES:,} files; name fewer")
    try:
        names = list(itertools.islice(braceexpand(name), _MOST_NAMES + 1))
    except ValueError as error:
        raise DataError(f"{name}: its braces do not match; write data-{{000000..000009}}.tar") from error
    if len(names) > _MOST_NAMES:
        raise DataError(f"{name} stands for more than {_MOST_NAMES:,} files; name fewer")
    return names


def _with_slashes(found: re.Match[str]) -> str:
    """Local paths in a URL begin with a third slash, after an empty host name."""
    return f"{found[1]}{found[2]}://" + ("/" if found[2].lower() in ("file", "local") else "")
