"""What a task reads of a data set: the protocol of readers, and what they are given."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from mobilenet.datasets.archive import Archive, Members
from mobilenet.datasets.targets import Targets
from mobilenet.images.overlay import Mark
from mobilenet.model.vocabulary import Vocabulary

__all__ = ["Drawn", "NamedPart", "Place", "Places", "Reader", "Source", "Unread"]


class Unread(Protocol):
    """Shards of one part of a data set, which nobody has opened yet."""

    @property
    def path(self) -> Path:
        """What was given for them."""
        ...

    def read(self) -> Archive:
        """What they hold; DataError."""
        ...


@dataclass(frozen=True, slots=True)
class NamedPart:
    """The part `name` of a data set `whole`: the rows of a CSV file in which the column of the split says so, in any
    case, or whatever else a task knows by that name."""

    whole: Path
    name: str

    @property
    def path(self) -> Path:
        """The data set with the part added, as for shards."""
        return self.whole / self.name


Place = Path | Unread | NamedPart
"""A folder, a file, a part of either, or shards; not yet read."""


@dataclass(frozen=True, slots=True)
class Places:
    """The place of the training photos, and those that may contain the validation photos; the first with photos is
    used. `beside` are names of others, of which none is; `notes` are for the user."""

    train: Place
    judging: tuple[Place, ...] = ()
    beside: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Drawn:
    """A photo to look at because of its labels: `title` says why, and each view is what to draw on it, with a caption
    where there are several."""

    photo: str
    title: str
    views: tuple[tuple[str, tuple[Mark, ...]], ...]


@dataclass(frozen=True, slots=True)
class Source:
    """One folder, CSV file or group of shards, `path`: what it says of each photo, by the photo's name below `root`.

    That is the name of a class, or whatever else a task reads.

    `members` reads photos that are in shards. `unread` counts files that are not photos, by the ending of their names.
    A line each, also in the notes: `mixed` are folders that are named like the parts of a split, but are read as
    classes; `alike` are folders with the same classes, which may be such parts; `doubtful` are faults of the
    labels, `peculiar` remarks about them, and `drawn` are some of the photos of both. `remedy`: advice for a source
    without photos.
    """

    path: Path
    root: Path
    annotations: Mapping[str, Any]
    members: Members | None = None
    notes: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()
    unread: Mapping[str, int] = field(default_factory=dict)
    mixed: tuple[str, ...] = ()
    alike: tuple[str, ...] = ()
    doubtful: tuple[str, ...] = ()
    peculiar: tuple[str, ...] = ()
    drawn: tuple[Drawn, ...] = ()
    remedy: str = "put the photos of each class in a folder of its own"

    def in_order(self) -> "Source":
        """The same, photos sorted by their names."""
        return replace(self, annotations=dict(sorted(self.annotations.items(), key=lambda item: item[0])))


class Reader(Protocol):
    """The part of a task that reads data sets."""

    @property
    def vocabulary_noun(self) -> str:
        """The plural noun for the names of its vocabulary, such as `classes`."""
        ...

    @property
    def contradiction(self) -> str:
        """What copies of a picture have that contradict each other, such as `two labels`."""
        ...

    def places(self, data: Path, /) -> Places:
        """The parts of the split of a data set, all of it if it has none; DataError."""
        ...

    def source(self, place: Place, /) -> Source:
        """What a folder, a file or shards say of each photo; DataError."""
        ...

    def read(self, data: Path, train: Source, judges: Source | None, /) -> tuple[Vocabulary, Targets, Targets | None]:
        """The vocabulary of a data set, its training targets, and those for validation where they are given; each in
        the order of its source. DataError where there is nothing to learn from."""
        ...

    def described(self, targets: Targets, vocabulary: Vocabulary, /) -> Iterator[Mapping[str, Any]] | None:
        """For each photo what the JSON beside it in a shard says, so that `source` reads the same from it: `label`, the
        name of its class, or other JSON values. None for targets that shards cannot hold."""
        ...

    def targets(self, source: Source, vocabulary: Vocabulary, /) -> Targets:
        """The targets of photos to measure a model of this vocabulary on; DataError for what it does not know."""
        ...
