"""Data sets in shards: their files, their contents, and which of them are for validation."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from mobilenet.datasets.archive import Archive
from mobilenet.datasets.remote.byte_files import file_below, list_files, open_blob
from mobilenet.datasets.remote.urls import expand, is_url, spelled
from mobilenet.datasets.sources.folders import class_names, list_tree
from mobilenet.datasets.sources.rows import is_table
from mobilenet.datasets.sources.split_names import Named, folder_split, leading_word, split_of, split_word
from mobilenet.datasets.sources.tar import CLASSES, read_shards
from mobilenet.errors import DataError

__all__ = ["Shards", "ShardsPart", "find_shards"]

_ENDINGS = (".tar", ".parquet")
_MOST_TEXT = 2**26
_NUMBERS = re.compile(r"[-_.]*(\d+([-_.]*of[-_.]*\d+)?)$")
"""`train-00000-of-00010` and `train_7` are both of `train`."""


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

    def split(self) -> tuple[Named, Mapping[str, "Shards | ShardsPart"]] | None:
        """The split that is told by the names of the shards (`train-…`, `seg_test-…`), by their folders, or by the
        folders of photos in them, and the shards of each part; None if there is none. DataError."""
        for told in (_stems, _folders):
            groups: dict[str, list[str]] = defaultdict(list)
            for name, text in zip(self.names, told(self.names), strict=True):
                groups[text].append(name)
            if found := split_of(groups):
                return found, {text: Shards(self.path / text, tuple(names)) for text, names in groups.items()}
        return self._inside()

    def _inside(self) -> tuple[Named, Mapping[str, "Shards | ShardsPart"]] | None:
        folders = _Folders(self.read().classes.values())
        found = folder_split(folders.children, lambda _: True)
        if found is None:
            return None
        return found, {folder: ShardsPart(self, folder) for folder in (found.train, *found.judging)}


@dataclass(frozen=True, slots=True)
class ShardsPart:
    """The photos in a `folder` inside of shards, one part of a split."""

    whole: Shards
    folder: str

    @property
    def path(self) -> Path:
        """The path of the shards with the name of the folder added, as for shards of one part."""
        return self.whole.path / self.folder.rpartition("/")[2]

    def read(self) -> Archive:
        """Their contents, with classes that begin below the folder; DataError."""
        whole, below = self.whole.read(), f"{self.folder}/"
        classes = {file: name.removeprefix(below) for file, name in whole.classes.items() if name.startswith(below)}
        inside = (file for file in whole.about if f"{whole.classes.get(file, '')}/".startswith(below))
        about = {file: whole.about[file] for file in inside}
        directly = (file for file, name in whole.classes.items() if name == self.folder and file not in about)
        return Archive(classes, whole.members, about=about, names=whole.names, unlabelled=tuple(directly))


class _Folders:
    """The folders that the names of classes stand for."""

    def __init__(self, classes: Iterable[str]) -> None:
        self._children: dict[str, set[str]] = defaultdict(set)
        for name in set(classes):
            parts = name.split("/")
            for depth, part in enumerate(parts):
                self._children["".join(f"{above}/" for above in parts[:depth])].add(part)

    def children(self, path: str) -> Sequence[str]:
        """The names in a folder, given with its slash; "" is the top."""
        return sorted(self._children.get(path, ()))


def find_shards(path: Path) -> Shards | None:
    """The shards given by a file, a name with braces, a folder or a URL; None for photos in folders, and for a table of
    their names.

    A folder counts as shards if it contains any, itself or in `data/` as on the Hugging Face hub, and has no photos in
    folders of two classes.
    """
    if is_table(path):
        return None
    names = expand(path)
    if all(name.lower().endswith(_ENDINGS) for name in names) and (is_url(path) or len(names) > 1 or path.is_file()):
        return _of_one_kind(path, names)
    if is_url(path):
        return _behind_url(path, names)
    for folder in (path, path / "data"):
        found = sorted(str(file) for ending in _ENDINGS for file in folder.glob(f"*{ending}") if _is_shard(file))
        if found and len(set(class_names(list_tree(path).files).values())) < 2:
            return _of_one_kind(path, found)
    return None


def _is_shard(file: Path) -> bool:
    return file.is_file() and not is_table(file)


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


def _stems(names: Sequence[str]) -> list[str]:
    """The word of a part with which each name begins, else the name without its ending and its numbers."""
    return [_part(name.rpartition("/")[2].rpartition(".")[0]) for name in names]


def _folders(names: Sequence[str]) -> list[str]:
    return [_part(name.rpartition("/")[0].rpartition("/")[2]) for name in names]


def _part(text: str) -> str:
    return leading_word(text) or _NUMBERS.sub("", text)


def _folder(name: str) -> str:
    """The folder of a shard, without a last component that names its part of the split."""
    folder, _, _ = name.rpartition("/")
    above, _, last = folder.rpartition("/")
    return above if leading_word(last) or split_word(last) else folder
