"""Data sets in shards: which files they are, what they hold, and which of them are for validation."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mobilenet.datasets.blobs import expand, is_url, list_folder
from mobilenet.datasets.members import Archive
from mobilenet.errors import DataError

__all__ = ["Shards", "find_shards"]

_ENDINGS = (".tar", ".parquet")
_SPLIT = re.compile(r"^(train|validation|valid|val|test)(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Shards:
    """`names` are whole names of files of one kind, below `path` as it was given."""

    path: Path
    names: tuple[str, ...]

    def read(self) -> Archive:
        """What they hold; DataError."""
        # Readers are needed by those alone whose photos are in shards.
        if self.names[0].lower().endswith(".parquet"):
            from mobilenet.datasets.parquet import read_parquet

            return read_parquet(self.names)
        from mobilenet.datasets.shards import read_shards

        return read_shards(self.names)

    def split(self, validation: Sequence[str]) -> tuple["Shards", tuple["Shards", ...]]:
        """Those to train on, and the groups that may be for validation, by the beginning of their names: `train-…`,
        and the first of `validation` that there is."""
        groups: dict[str, list[str]] = {}
        for name in self.names:
            found = _SPLIT.match(name.rpartition("/")[2])
            groups.setdefault(found[1].lower() if found else "", []).append(name)
        given = tuple(Shards(self.path / kind, tuple(groups[kind])) for kind in validation if kind in groups)
        if "train" not in groups or not given:
            return self, ()
        return Shards(self.path, tuple(groups["train"])), given


def find_shards(path: Path) -> Shards | None:
    """The shards that a file, a name with braces, a folder or a URL stands for; None for photos in folders or a CSV.

    A folder is one of shards where it holds any itself, or in `data/` as data sets on the Hugging Face hub do.
    """
    names = expand(path)
    if all(name.lower().endswith(_ENDINGS) for name in names) and (is_url(path) or len(names) > 1 or path.is_file()):
        return _of_one_kind(path, names)
    if is_url(path):
        found = [name for name in list_folder(path) if name.lower().endswith(_ENDINGS)]
        if not found:
            raise DataError(f"{names[0]} holds neither .tar nor .parquet files; photos in folders must be on a disk")
        return _of_one_kind(path, found)
    for folder in (path, path / "data"):
        found = sorted(str(file) for ending in _ENDINGS for file in folder.glob(f"*{ending}") if file.is_file())
        if found:
            return _of_one_kind(path, found)
    return None


def _of_one_kind(path: Path, names: Sequence[str]) -> Shards:
    endings = {name.lower().rpartition(".")[2] for name in names}
    if len(endings) > 1:
        raise DataError(f"{path} holds both .tar and .parquet files; name those of one kind")
    return Shards(path, tuple(names))
