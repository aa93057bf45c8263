"""Opening a data set: finding the photos and their classes, and the split between training and validation."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mobilenet.datasets.cache.digests import digest_index, digests
from mobilenet.datasets.cache.eviction import default_directory, writing
from mobilenet.datasets.exclusions import NOTHING, Exclusions
from mobilenet.datasets.photos import Photos
from mobilenet.datasets.reader import Place, Reader, Source
from mobilenet.datasets.remote.urls import spelled
from mobilenet.datasets.sources.find import find_places, without
from mobilenet.datasets.split import split_by_content
from mobilenet.datasets.targets import Targets
from mobilenet.errors import ConfigError, DataError, StorageError
from mobilenet.model.vocabulary import Vocabulary

__all__ = [
    "Dataset",
    "Parts",
    "given_split",
    "make_split",
    "open_dataset",
    "open_parts",
    "open_photos",
    "remembered_digests",
]


@dataclass(frozen=True, eq=False, slots=True)
class Dataset:
    """Photos for training and validation; `vocabulary` gives the meaning of their targets.

    `split` describes where the validation photos come from; `notes` are for the user, one line each; `empty` are the
    folders without photos.
    """

    root: Path
    vocabulary: Vocabulary
    train: Photos
    validation: Photos
    split: str
    notes: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()

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

    The validation photos are those of `validation` (of any of these kinds) if given; else those of `validation/`,
    `valid/`, `val/` or `test/` beside a folder `train/`, or of shards with such names; else `validation_fraction`
    (between 0 and 1) of the photos, of each class if there are classes, chosen by `seed`. The photos of `exclude` are
    ignored. ConfigError for an invalid fraction; DataError if there is nothing to learn, or if `exclude` names photos
    but none of these.
    """
    if not 0 < validation_fraction < 1:
        raise ConfigError(f"validation fraction {validation_fraction} is not between 0 and 1; use 0.1")
    parts = open_parts(data, reader, validation=validation, exclude=exclude)
    if parts.validation is None:
        return make_split(parts, fraction=validation_fraction, seed=seed)
    return Dataset(parts.root, parts.vocabulary, parts.train, parts.validation, parts.split, parts.notes, parts.empty)


def open_parts(data: Path, reader: Reader, *, validation: Path | None = None, exclude: Exclusions = NOTHING) -> Parts:
    """As `open_dataset`, but without making a split if there is none; DataError."""
    place, given = find_places(data)
    train = reader.source(place)
    judges, split = None, ""
    if validation is not None:
        judges, split = reader.source(validation), f"given: {spelled(validation)}"
    elif (found := _first_with_photos(given, reader)) is not None:
        judges, split = found, _words(found)
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
        tuple(note for source in sources for note in source.notes),
        tuple(name for source in sources for name in source.empty),
    )


def open_photos(
    data: Path, reader: Reader, vocabulary: Vocabulary, *, exclude: Exclusions = NOTHING, base: Path | None = None
) -> Photos:
    """The photos to evaluate a model of `vocabulary` on: the validation photos if `data` has a split, else all.

    The photos of `exclude`, by their names relative to `base` (default: `data`), are ignored. DataError names labels
    that the model does not know.
    """
    found = _first_with_photos(find_places(data)[1], reader) or reader.source(data)
    source = without(exclude, base or data, found).in_order()
    if not source.annotations:
        raise _nothing(source)
    return _photos(source, reader.targets(source, vocabulary))


def given_split(data: Path, reader: Reader) -> str | None:
    """A description of the validation photos given in `data`; None if it has no split."""
    found = _first_with_photos(find_places(data)[1], reader)
    return None if found is None else _words(found)


def _first_with_photos(places: Sequence[Place], reader: Reader) -> Source | None:
    return next((source for source in map(reader.source, places) if source.annotations), None)


def _words(source: Source) -> str:
    return f"given: {source.path.name}/"


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
    strata = photos.targets.strata()
    groups = np.zeros(len(photos), np.int64) if strata is None else strata
    chosen = split_by_content(remembered_digests(photos), groups, fraction, seed)
    if not chosen.any():
        raise DataError(
            f"{spelled(parts.root)} has no class with two different photos, so none can be held out for validation; "
            "add photos"
        )
    return Dataset(
        parts.root,
        parts.vocabulary,
        photos.take(np.flatnonzero(~chosen)),
        photos.take(np.flatnonzero(chosen)),
        f"made: {fraction:.3g} of {'the photos' if strata is None else 'each class'} by content, seed {seed}",
        parts.notes,
        parts.empty,
    )


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
    why = source.notes[-1] if source.notes else f"{spelled(source.path)} contains no photos"
    return DataError(f"{why}; put the photos of each class in a folder of its own")
