"""Opening a data set: finding the photos and their classes, and the split between training and validation."""

import contextlib
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from mobilenet.datasets.cache.digests import digest_index, digests
from mobilenet.datasets.cache.eviction import default_directory, writing
from mobilenet.datasets.exclusions import NOTHING, Exclusions, prefix_below
from mobilenet.datasets.photos import Photos
from mobilenet.datasets.reader import Drawn, Place, Places, Reader, Source
from mobilenet.datasets.remote.urls import spelled
from mobilenet.datasets.sources.endings import unread_line, unread_photos
from mobilenet.datasets.sources.find import base_of, without
from mobilenet.datasets.split import split_by_content, split_by_labels
from mobilenet.datasets.targets import ManyLabels, Placed, Targets
from mobilenet.errors import ConfigError, DataError, StorageError
from mobilenet.model.vocabulary import Vocabulary

__all__ = [
    "Dataset",
    "Judges",
    "Parts",
    "given_split",
    "make_split",
    "open_dataset",
    "open_judges",
    "open_parts",
    "open_photos",
    "remembered_digests",
]


@dataclass(frozen=True, eq=False, slots=True)
class Dataset:
    """Photos for training and validation; `vocabulary` gives the meaning of their targets.

    `split` describes where the validation photos come from; `notes` are for the user, one line each; `empty` are the
    folders without photos; `unread`, `mixed`, `alike`, `doubtful` and `peculiar` are those of the sources together
    (`reader.Source`); the photos of `drawn` are relative to the folder of the data set, or absolute.
    """

    root: Path
    vocabulary: Vocabulary
    train: Photos
    validation: Photos
    split: str
    notes: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()
    unread: Mapping[str, int] = field(default_factory=dict)
    mixed: tuple[str, ...] = ()
    alike: tuple[str, ...] = ()
    doubtful: tuple[str, ...] = ()
    peculiar: tuple[str, ...] = ()
    drawn: tuple[Drawn, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the vocabulary."""
        return self.vocabulary.names


@dataclass(frozen=True, eq=False, slots=True)
class Parts:
    """A data set as given: `validation` is None if it has no split.

    The other fields are those of `Dataset`.
    """

    root: Path
    vocabulary: Vocabulary
    train: Photos
    validation: Photos | None
    split: str
    notes: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()
    unread: Mapping[str, int] = field(default_factory=dict)
    mixed: tuple[str, ...] = ()
    alike: tuple[str, ...] = ()
    doubtful: tuple[str, ...] = ()
    peculiar: tuple[str, ...] = ()
    drawn: tuple[Drawn, ...] = ()

    def divided(self, train: Photos, validation: Photos, split: str) -> Dataset:
        """The data set with this split."""
        return Dataset(
            self.root,
            self.vocabulary,
            train,
            validation,
            split,
            self.notes,
            self.empty,
            self.unread,
            self.mixed,
            self.alike,
            self.doubtful,
            self.peculiar,
            self.drawn,
        )


@dataclass(frozen=True, eq=False, slots=True)
class Judges:
    """Photos to evaluate a model on, labelled in its vocabulary.

    `split` describes them if they are the validation photos of a data set with a split; `notes` are for the user.
    """

    photos: Photos
    split: str | None
    notes: tuple[str, ...] = ()


def open_dataset(
    data: Path,
    reader: Reader,
    *,
    validation: Path | None = None,
    validation_fraction: float = 0.1,
    seed: int = 0,
    exclude: Exclusions = NOTHING,
) -> Dataset:
    """Open a tree of folders, a CSV file, shards or whatever else the task's `reader` reads.

    The validation photos are those of `validation` (of any of these kinds) if given; else those of a folder such as
    `val/` or `test/` beside one such as `train/` (`sources.split_names`), of shards with such names, or of such rows of
    a CSV file; else `validation_fraction` (between 0 and 1) of the photos, of each class if there are classes, chosen
    by `seed`. The photos of `exclude` are ignored. ConfigError for an invalid fraction; DataError if there is nothing
    to learn, or if `exclude` names photos but none of these.
    """
    if not 0 < validation_fraction < 1:
        raise ConfigError(f"validation fraction {validation_fraction} is not between 0 and 1; use 0.1")
    parts = open_parts(data, reader, validation=validation, exclude=exclude)
    if parts.validation is None:
        return make_split(parts, fraction=validation_fraction, seed=seed)
    return parts.divided(parts.train, parts.validation, parts.split)


def open_parts(data: Path, reader: Reader, *, validation: Path | None = None, exclude: Exclusions = NOTHING) -> Parts:
    """As `open_dataset`, but without making a split if there is none; DataError."""
    places = reader.places(data)
    train = reader.source(places.train)
    judges: Source | None
    if validation is not None:
        judges, split = reader.source(validation), f"given: {spelled(validation)}"
        notes = tuple(map(_apart, places.judging))
    else:
        judges, notes = _first_with_photos(places.judging, reader)
        split = "" if judges is None else _words(judges)
    if exclude.names:
        train, judges = _exclude(exclude, data, train, judges)
    sources = (train,) if judges is None else (train, judges)
    for source in sources:
        if not source.annotations:
            raise _nothing(source)
    train, judges = train.in_order(), judges and judges.in_order()
    vocabulary, targets, judged = reader.read(data, train, judges)
    return Parts(
        data,
        vocabulary,
        _photos(train, targets),
        _photos(judges, judged) if judges is not None and judged is not None else None,
        split,
        (*places.notes, *(note for source in sources for note in source.notes), *notes, *_beside(data, places)),
        tuple(name for source in sources for name in source.empty),
        dict(sum((Counter(source.unread) for source in sources), Counter[str]())),
        tuple(line for source in sources for line in source.mixed),
        tuple(line for source in sources for line in source.alike),
        tuple(line for source in sources for line in source.doubtful),
        tuple(line for source in sources for line in source.peculiar),
        tuple(
            replace(drawn, photo=prefix_below(base_of(data), source.root) + drawn.photo)
            for source in sources
            for drawn in source.drawn
        ),
    )


def open_judges(
    data: Path, reader: Reader, vocabulary: Vocabulary, *, exclude: Exclusions = NOTHING, base: Path | None = None
) -> Judges:
    """The photos to evaluate a model of `vocabulary` on: the validation photos if `data` has a split, else all.

    The photos of `exclude`, by their names relative to `base` (default: `data`), are ignored. DataError names labels
    that the model does not know.
    """
    places = reader.places(data)
    given = _first_with_photos(places.judging, reader)[0]
    source = without(exclude, base or data, given or reader.source(data)).in_order()
    if not source.annotations:
        raise _nothing(source)
    photos = _photos(source, reader.targets(source, vocabulary))
    return Judges(photos, None if given is None else _words(given), (*places.notes, *source.notes))


def open_photos(
    data: Path, reader: Reader, vocabulary: Vocabulary, *, exclude: Exclusions = NOTHING, base: Path | None = None
) -> Photos:
    """The photos of `open_judges`; DataError."""
    return open_judges(data, reader, vocabulary, exclude=exclude, base=base).photos


def given_split(data: Path, reader: Reader) -> str | None:
    """A description of the validation photos given in `data`; None if it has no split."""
    found = _first_with_photos(reader.places(data).judging, reader)[0]
    return None if found is None else _words(found)


def _first_with_photos(places: Sequence[Place], reader: Reader) -> tuple[Source | None, tuple[str, ...]]:
    """The first of these parts that has photos, and notes on those before it, which have none, and after it."""
    notes: list[str] = []
    for number, place in enumerate(places, 1):
        source = reader.source(place)
        if source.annotations:
            return source, (*notes, *map(_apart, places[number:]))
        notes += source.notes
    return None, tuple(notes)


def _words(source: Source) -> str:
    path = source.path
    if path.parent == source.root / path.parent.name:
        return f"given: {path.name} in {path.parent.name}"
    return f"given: {path.name}" if path.is_file() else f"given: {path.name}/"


def _apart(place: Place) -> str:
    """A note on a part of the split that is not used."""
    path = place if isinstance(place, Path) else place.path
    told = f"{spelled(path)} is kept apart: neither trained nor validated on"
    if not path.exists():
        # Part of a file, or shards behind a URL.
        return told
    return f"{told}; for a final evaluation: mobilenet evaluate RUN {shlex.quote(str(path))}"


def _beside(data: Path, places: Places) -> tuple[str, ...]:
    """A note on what is beside the parts of the split and none of them."""
    names = places.beside
    if not names:
        return ()
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return (f"{spelled(data)}: beside the parts of the split, and not used: {', '.join(names[:5])}{more}",)


def _exclude(exclude: Exclusions, data: Path, train: Source, judges: Source | None) -> tuple[Source, Source | None]:
    """The sources without the photos of the list, and a note of how many there were; DataError if there were none."""
    sources = (train,) if judges is None else (train, judges)
    kept = [without(exclude, data, source) for source in sources]
    gone = sum(len(source.annotations) for source in sources) - sum(len(source.annotations) for source in kept)
    if not gone:
        raise DataError(
            f"none of the {len(exclude.names):,} photos excluded by {exclude.path} are in {spelled(data)}; "
            "use names relative to DATA"
        )
    absent = len(exclude.names) - gone
    note = f"excluded by {exclude.path}: {gone:,} photos" + (f"; {absent:,} names not found" if absent else "")
    return replace(kept[0], notes=(*kept[0].notes, note)), kept[1] if judges is not None else None


def make_split(parts: Parts, *, fraction: float = 0.1, seed: int = 0) -> Dataset:
    """The split that `open_dataset` makes of photos without one; DataError."""
    photos = parts.train
    contents, words, lacks = remembered_digests(photos), "the photos", "two different photos"
    apart = np.zeros(len(photos), np.bool_)
    if isinstance(photos.targets, ManyLabels):
        present, absent, words = photos.targets.present(), photos.targets.absent(), "each label"
        labels, others = np.hstack([present, absent]), np.hstack([absent, present])
        chosen = split_by_labels(contents, labels, others, fraction, seed)
    elif (strata := photos.targets.strata()) is None:
        chosen = split_by_content(contents, np.zeros(len(photos), np.int64), fraction, seed)
    elif isinstance(photos.targets, Placed):
        chosen, words = (
            split_by_content(contents, strata, fraction, seed, photos.targets.places()),
            "each cell by place and",
        )
        lacks, apart = "cell with photos of two places", photos.targets.beside(chosen)
    else:
        chosen, words = split_by_content(contents, strata, fraction, seed), "each class"
        lacks = "class with two different photos"
    if not (chosen & ~apart).any():
        raise DataError(f"{spelled(parts.root)} has no {lacks}, so none can be held out for validation; add photos")
    found = parts.divided(
        photos.take(np.flatnonzero(~chosen)),
        photos.take(np.flatnonzero(chosen & ~apart)),
        f"made: {fraction:.3g} of {words} by content, seed {seed}",
    )
    if not apart.any():
        return found
    note = f"held out, but next to training photos and so not validated on: {int(apart.sum()):,} photos"
    return replace(found, notes=(*found.notes, note))


def remembered_digests(photos: Photos) -> list[bytes]:
    """The digest of each photo's bytes, cached for the next run if the cache is writable."""
    directory = default_directory()
    index = digest_index(directory, photos)
    found, new = digests(photos, index)
    with contextlib.suppress(StorageError), writing(directory):
        index.save(new)
    return found


def _photos(source: Source, targets: Targets) -> Photos:
    return Photos(source.root, tuple(source.annotations), targets, source.members)


def _nothing(source: Source) -> DataError:
    if unread_photos(source.unread):
        return DataError(f"{spelled(source.path)} contains no photos that can be used; {unread_line(source.unread)}")
    why = source.notes[-1] if source.notes else f"{spelled(source.path)} contains no photos"
    return DataError(f"{why}; {source.remedy}")
