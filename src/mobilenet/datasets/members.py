"""Photos that are no files of their own: members of a tar shard, rows of a Parquet file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

__all__ = ["Archive", "Members"]


class Members(Protocol):
    """Finds photos by their names."""

    def read(self, file: str) -> bytes:
        """The bytes of a photo; ImageError."""
        ...

    def stamp(self, file: str) -> tuple[bytes, int]:
        """What changes when the photo may have changed, and when its file last did, in ns since 1970 (0: unknown)."""
        ...


@dataclass(frozen=True, slots=True)
class Archive:
    """What shards hold: {name: class} in the order of the shards, photos without a class, and where their bytes are."""

    classes: Mapping[str, str]
    members: Members
    without_class: int = 0
    notes: tuple[str, ...] = field(default=())
