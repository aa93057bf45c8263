"""Photos that are no files of their own: members of a tar shard, rows of a Parquet file."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Archive", "Members"]


class Members(Protocol):
    """Finds photos by their names; KeyError for a name that is none of theirs."""

    def read(self, file: str) -> bytes:
        """The bytes of a photo; ImageError. Many threads may read."""
        ...

    def stamp(self, file: str) -> tuple[bytes, int]:
        """What changes when the photo may have changed, and when its file last did, in ns since 1970 (0: unknown)."""
        ...

    def place(self, file: str) -> tuple[int, int, int]:
        """Where the photo lies: photos that are read in the order of their places are read fastest."""
        ...


@dataclass(frozen=True, slots=True)
class Archive:
    """What shards hold: {name: class}, how many photos have no class, and where the bytes are."""

    classes: Mapping[str, str]
    members: Members
    without_class: int = 0
