"""Opening a data set: finding the photos and their classes, and the split between training and validation."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mobilenet.datasets.cache.digests import digest_index, digests
from mobilenet.datasets.cache.eviction import default_directory, writing
from mobilenet.datasets.exclusions import NOTHING, Exclusions
from mobilenet.datasets.photos import Photos
from mobilenet.datasets.remote.urls import spelled
from mobilenet.datasets.sources.find import Place, Source, find_places, read_source, without
from mobilenet.datasets.split import split_by_content
from mobilenet.errors import ConfigError, DataError, StorageError

__all__ = ["Dataset", "Parts", "given_split", "open_dataset", "open_parts", "open_photos", "remembered_digests"]


@dataclass(frozen=True, eq=False, slots=True)
class Dataset:
    """Photos of `classes` (sorted) for training and validation; labels index `classes`.

    `split` says in words where the validation photos come from; `notes` are remarks for the user, one line each;
    `empty` are the folders without photos.
    """

    root: Path
    classes: tuple[str, ...]
    train: Photos
    validation: Photos
    split: str
    notes: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class Parts:
    """A data set as it comes: `validation` is None where nobody has said which photos are for validation.

    The other fields are those of `Dataset`.
    """

    root: Path
    classes: tuple[str, ...]
    train: Photos
    validation: Photos | None
    split: str
    notes: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()


def open_dataset(
    data: Path,
    *,
    validation: Path | None = None,
    validation_fraction: float = 0.1,
    seed: int = 0,
    exclude: Exclusions = NOTHING,
) -> Dataset:
    """Open a tree of folders (the class is the path of the folder), a CSV file (`file_name,label`) or shards.

    The validation photos are those of `validation` (of any of these kinds) where given; else those of `validation/`,
    `valid/`, `val/` or `test/` beside a folder `train/`, or of shards that are named so; else `validation_fraction`
    (between 0 and 1) of each class, chosen by `seed`. A parent that all training classes share is dropped from the
    names: `Fruit/Apple` and `Fruit/Pear` are `Apple` and `Pear`. The photos of `exclude` are as good as not there.
    DataError where there is nothing to learn from, and where `exclude` names photos but none of these.
    """
    if not 0 < validation_fraction < 1:
        raise ConfigError(f"validation fraction {validation_fraction} is not between 0 and 1; use 0.1")
    parts = open_parts(data, validation=validation, exclude=exclude)
    if parts.validation is None:
        return _made_split(parts, validation_fraction, seed)
    return Dataset(parts.root, parts.classes, parts.train, parts.validation, parts.split, parts.notes, parts.empty)


def open_parts(data: Path, *, validation: Path | None = None, exclude: Exclusions = NOTHING) -> Parts:
    """What `open_dataset` opens, before it makes a split where there is none; DataError."""
    place, given = find_places(data)
    train = read_source(place)
    judges, split = None, ""
    if validation is not None:
        judges, split = read_source(validation), f"given: {spelled(validation)}"
    elif (found := _first_with_photos(given)) is not None:
        judges, split = found, _words(found)
    if exclude.names:
        train, judges = _exclude(exclude, data, train, judges)
    prefix, classes = _classes(data, train)
    if judges is not None and not judges.classes:
        raise _nothing(judges)
    sources = (train,) if judges is None else (train, judges)
    photos = [_photos(source, _shortened(source, prefix), classes, "training") for source in sources]
    return Parts(
        data,
        classes,
        photos[0],
        photos[1] if judges is not None else None,
        split,
        tuple(note for source in sources for note in source.notes),
        tuple(name for source in sources for name in source.empty),
    )


def open_photos(
    data: Path, classes: Sequence[str], *, exclude: Exclusions = NOTHING, base: Path | None = None
) -> Photos:
    """The photos to measure a model of `classes` on: those for validation where `data` is split, else all.

    A parent that all classes share in `data` but not in `classes` is dropped. The photos of `exclude`, by their names
    below `base` (default: `data`), are as good as not there. DataError names a class the model lacks.
    """
    source = without(exclude, base or data, _first_with_photos(find_places(data)[1]) or read_source(data))
    if not source.classes:
        raise _nothing(source)
    return _photos(source, _names(source, classes), classes, "the model")


def given_split(data: Path) -> str | None:
    """In words, where the photos for validation are in `data`; None where it says nothing of that."""
    found = _first_with_photos(find_places(data)[1])
    return None if found is None else _words(found)


def _first_with_photos(places: Sequence[Place]) -> Source | None:
    return next((source for source in map(read_source, places) if source.classes), None)


def _words(source: Source) -> str:
    return f"given: {source.path.name}/"


def _exclude(exclude: Exclusions, data: Path, train: Source, judges: Source | None) -> tuple[Source, Source | None]:
    """The sources without the photos of the list, and a note of how many these were; DataError where there are none."""
    sources = (train,) if judges is None else (train, judges)
    kept = [without(exclude, data, source) for source in sources]
    gone = sum(len(source.classes) for source in sources) - sum(len(source.classes) for source in kept)
    if not gone:
        raise DataError(
            f"none of the {len(exclude.names):,} photos that {exclude.path} excludes is in {spelled(data)}; "
            "names are below DATA"
        )
    absent = len(exclude.names) - gone
    note = f"excluded by {exclude.path}: {gone:,} photos" + (f"; {absent:,} names are not there" if absent else "")
    return replace(kept[0], notes=(*kept[0].notes, note)), kept[1] if judges is not None else None


def _made_split(parts: Parts, fraction: float, seed: int) -> Dataset:
    photos = parts.train
    chosen = split_by_content(remembered_digests(photos), photos.labels, fraction, seed)
    if not chosen.any():
        raise DataError(
            f"{spelled(parts.root)} has no class with two different photos, so none can be kept for validation; "
            "add photos"
        )
    return Dataset(
        parts.root,
        parts.classes,
        photos.take(np.flatnonzero(~chosen)),
        photos.take(np.flatnonzero(chosen)),
        f"made: {fraction:.3g} of each class by content, seed {seed}",
        parts.notes,
        parts.empty,
    )


def remembered_digests(photos: Photos) -> list[bytes]:
    """The digest of each photo's bytes, remembered for the next run if the disk lets us."""
    directory = default_directory()
    index = digest_index(directory, photos)
    found, new = digests(photos, index)
    with contextlib.suppress(StorageError), writing(directory):
        index.save(new)
    return found


def _classes(data: Path, train: Source) -> tuple[str, tuple[str, ...]]:
    """The parent that all classes share (with its slash), and the sorted names without it."""
    names = sorted(set(train.classes.values()))
    if not names:
        raise _nothing(train)
    if len(names) == 1:
        raise DataError(
            f"{spelled(data)} has one class only, {names[0]}; put the photos of each class in a folder of its own"
        )
    prefix = ""
    while all("/" in name.removeprefix(prefix) for name in names):
        parent = prefix + names[0].removeprefix(prefix).partition("/")[0] + "/"
        if not all(name.startswith(parent) for name in names):
            break
        prefix = parent
    return prefix, tuple(name.removeprefix(prefix) for name in names)


def _shortened(source: Source, prefix: str) -> dict[str, str]:
    return {name: name.removeprefix(prefix) for name in set(source.classes.values())}


def _names(source: Source, classes: Sequence[str]) -> dict[str, str]:
    """Names in `source` -> names in `classes`, where the source may carry a parent more than the classes do."""
    known, found = set(classes), sorted(set(source.classes.values()))
    prefix = ""
    while "/" in found[0].removeprefix(prefix) and not all(name.removeprefix(prefix) in known for name in found):
        prefix += found[0].removeprefix(prefix).partition("/")[0] + "/"
    if all(name.startswith(prefix) and name.removeprefix(prefix) in known for name in found):
        return {name: name.removeprefix(prefix) for name in found}
    return {name: name for name in found}


def _photos(source: Source, names: Mapping[str, str], classes: Sequence[str], owner: str) -> Photos:
    """The photos of `source` with labels; `names` turns its names of classes into those of `classes`."""
    numbers = {name: number for number, name in enumerate(classes)}
    unknown = sorted(name for name in names.values() if name not in numbers)
    if unknown:
        raise DataError(
            f"{spelled(source.path)} has photos of a class that {owner} lacks: {', '.join(unknown[:3])}"
            f"{' and others' if len(unknown) > 3 else ''}; its classes are {', '.join(classes[:5])}"
            f"{', …' if len(classes) > 5 else ''}"
        )
    files = tuple(sorted(source.classes))
    labels = np.fromiter((numbers[names[source.classes[file]]] for file in files), dtype=np.int64, count=len(files))
    return Photos(source.root, files, labels, source.members)


def _nothing(source: Source) -> DataError:
    why = source.notes[-1] if source.notes else f"{spelled(source.path)} holds no photos"
    return DataError(f"{why}; put the photos of each class in a folder of its own")
