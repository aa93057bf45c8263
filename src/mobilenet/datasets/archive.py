"""Photos that are not files of their own: members of a tar shard, rows of a Parquet file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

__all__ = ["Archive", "Members"]


class Members(Protocol):
    """Reads photos by name; KeyError for an unknown name."""

    def read(self, file: str) -> bytes:
        """The bytes of a photo; ImageError. Thread-safe."""
        ...

    def stamp(self, file: str) -> tuple[bytes, int]:
        """A value that changes if the photo may have changed, and its file's mtime in ns since 1970 (0: unknown)."""
        ...

    def place(self, file: str) -> tuple[int, int, int]:
        """The position of the photo: reading photos in the order of their positions is fastest."""
        ...


@dataclass(frozen=True, slots=True)
class Archive:
    """The contents of shards: {name: class}, how many photos have no class, a reader of the bytes, and how many other
    members there are, by the ending of their names.

    `about`: what else is said of photos, by their names, which need not have a class: fields of a JSON member, or
    columns of a table. `names` are those of the classes in their order, where a file beside the shards lists them.
    `unlabelled` are the photos of which nothing is said.
    """

    classes: Mapping[str, str]
    members: Members
    without_class: int = 0
    unread: Mapping[str, int] = field(default_factory=dict)
    about: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    names: Sequence[str] = ()
    unlabelled: Sequence[str] = ()

    def __contains__(self, file: str) -> bool:
        return file in self.classes or file in self.about
