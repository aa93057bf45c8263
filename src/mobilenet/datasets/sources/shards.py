"""Data sets in shards: their files, their contents, and which of them are for validation."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from mobilenet.datasets.archive import Archive
from mobilenet.datasets.remote.byte_files import file_below, list_files, open_blob
from mobilenet.datasets.remote.urls import expand, is_url, spelled
from mobilenet.datasets.sources.folders import class_names, list_tree
from mobilenet.datasets.sources.tar import CLASSES, read_shards
from mobilenet.errors import DataError

__all__ = ["Shards", "find_shards"]

_ENDINGS = (".tar", ".parquet")
_MOST_TEXT = 2**26
_SPLIT = re.compile(r"(train|validation|valid|val|test)(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Shards:
    """`names` are full names of files of one kind; `path` is the path given for them, with `/train` or the like added
    for a part of the split."""

    path: Path
    names: tuple[str, ...]

    def read(self) -> Archive:
        """Their contents; DataError."""
        # Parquet files contain the class names themselves.
        listed = None if _is_parquet(self.names) else file_below(self.names[0], CLASSES, _MOST_TEXT)
        return _read(self.names, tuple(open_blob(name).stamp for name in self.names), listed)

    def split(self, validation: Sequence[str]) -> tuple["Shards", tuple["Shards", ...]]:
        """The training shards, and the groups that may be for validation, by the prefix of their names or folders:
        `train-…` or `train/…`, and those of `validation` that exist."""
        groups = _groups(self.names, [name.rpartition("/")[2] for name in self.names])
        if "train" not in groups:
            groups = _groups(self.names, [name.rpartition("/")[0].rpartition("/")[2] for name in self.names])
        given = tuple(Shards(self.path / kind, tuple(groups[kind])) for kind in validation if kind in groups)
        if "train" not in groups or not given:
            return self, ()
        return Shards(self.path / "train", tuple(groups["train"])), given


def find_shards(path: Path) -> Shards | None:
    """The shards given by a file, a name with braces, a folder or a URL; None for photos in folders or a CSV.

    A folder counts as shards if it contains any, itself or in `data/` as on the Hugging Face hub, and has no photos in
    folders of two classes.
    """
    names = expand(path)
    if all(name.lower().endswith(_ENDINGS) for name in names) and (is_url(path) or len(names) > 1 or path.is_file()):
        return _of_one_kind(path, names)
    if is_url(path):
        return _behind_url(path, names)
    for folder in (path, path / "data"):
        found = sorted(str(file) for ending in _ENDINGS for file in folder.glob(f"*{ending}") if file.is_file())
        if found and len(set(class_names(list_tree(path).files).values())) < 2:
            return _of_one_kind(path, found)
    return None


@lru_cache(maxsize=4)
def _read(names: tuple[str, ...], stamps: tuple[bytes, ...], listed: bytes | None) -> Archive:  # noqa: ARG001
    """Stamps are part of the cache key, so that changed files are read again."""
    if _is_parquet(names):
        # It needs an optional package.
        from mobilenet.datasets.sources.parquet import read_parquet

        return read_parquet(names)
    return read_shards(names, (listed or b"").decode("utf-8", "surrogateescape").splitlines())


def _is_parquet(names: Sequence[str]) -> bool:
    return names[0].lower().endswith(".parquet")


def _behind_url(path: Path, names: Sequence[str]) -> Shards:
    if len(names) > 1:
        raise DataError(f"{spelled(path)}: names with braces must end in .tar or .parquet")
    found = [name for name in list_files(path) if name.lower().endswith(_ENDINGS)]
    if not found:
        raise DataError(f"{spelled(path)} contains no .tar or .parquet files; photos in folders must be on disk")
    shards = _of_one_kind(path, found)
    sets = sorted({_folder(name) for name in found})
    if len(sets) > 1:
        raise DataError(f"{spelled(path)} contains several data sets; choose one of: {', '.join(sets[:10])}")
    return shards


def _of_one_kind(path: Path, names: Iterable[str]) -> Shards:
    shards = Shards(path, tuple(names))
    if len({name.lower().rpartition(".")[2] for name in shards.names}) > 1:
        raise DataError(f"{spelled(path)} contains both .tar and .parquet files; give those of one kind")
    return shards


def _groups(names: Sequence[str], told: Sequence[str]) -> dict[str, list[str]]:
    """Shards by the part of the split that each text of `told` begins with: `train`, `validation`, …, or none."""
    groups: dict[str, list[str]] = {}
    for name, text in zip(names, told, strict=True):
        found = _SPLIT.match(text)
        groups.setdefault(found[1].lower() if found else "", []).append(name)
    return groups


def _folder(name: str) -> str:
    """The folder of a shard, without a last component that names its part of the split."""
    folder, _, _ = name.rpartition("/")
    above, _, last = folder.rpartition("/")
    return above if _SPLIT.match(last) else folder
