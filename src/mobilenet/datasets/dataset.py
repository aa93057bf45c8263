"""Opening a data set: finding the photos and their classes, and the split between training and validation."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mobilenet.datasets.cleaning import default_directory, writing
from mobilenet.datasets.content import digest_index, digests
from mobilenet.datasets.csv import read_csv
from mobilenet.datasets.exclusions import NOTHING, Exclusions, prefix_below
from mobilenet.datasets.folders import class_names, list_tree
from mobilenet.datasets.photos import Photos
from mobilenet.datasets.split import split_by_content
from mobilenet.errors import ConfigError, DataError, StorageError

__all__ = ["Dataset", "open_dataset", "open_photos"]

_VALIDATION_FOLDERS = ("validation", "valid", "val", "test")


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


@dataclass(frozen=True, slots=True)
class _Source:
    """One folder or CSV file, `path`: the class of each photo, by file below `root`."""

    path: Path
    root: Path
    classes: Mapping[str, str]
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
    """Open a tree of folders (the class is the path of the folder) or a CSV file (`file_name,label`).

    The validation photos are those of `validation` (a folder or CSV file) where given; else those of `validation/`,
    `valid/`, `val/` or `test/` beside a folder `train/`; else `validation_fraction` (between 0 and 1) of each class,
    chosen by `seed`. A parent that all training classes share is dropped from the names: `Fruit/Apple` and `Fruit/Pear`
    are `Apple` and `Pear`. The photos of `exclude` are as good as not there. DataError where there is nothing to learn
    from, and where `exclude` names photos but none of these.
    """
    if not 0 < validation_fraction < 1:
        raise ConfigError(f"validation fraction {validation_fraction} is not between 0 and 1; use 0.1")
    train_path, given = _layout(data)
    train = _source(train_path)
    if validation is not None:
        train, source = _without(exclude, data, train, _source(validation))
        return _with_split(data, train, source, f"given: {validation}")
    for path in given:
        source = _source(path)
        if source.classes:
            train, source = _without(exclude, data, train, source)
            return _with_split(data, train, source, f"given: {path.name}/")
    return _made_split(data, _without(exclude, data, train)[0], validation_fraction, seed)


def open_photos(
    data: Path, classes: Sequence[str], *, exclude: Exclusions = NOTHING, base: Path | None = None
) -> Photos:
    """The photos to measure a model of `classes` on: those for validation where `data` is split into folders, else all.

    A parent that all classes share in `data` but not in `classes` is dropped. The photos of `exclude`, by their names
    below `base` (default: `data`), are as good as not there. DataError names a class the model lacks.
    """
    given = [source for source in map(_source, _layout(data)[1]) if source.classes]
    source = given[0] if given else _source(data)
    source = _kept(exclude, base or data, source)
    if not source.classes:
        raise _nothing(source)
    return _photos(source, _names(source, classes), classes, "the model")


def _layout(data: Path) -> tuple[Path, tuple[Path, ...]]:
    """The path of the training photos, and of the folders that may hold the validation photos."""
    train = data / "train"
    if not train.is_dir():
        return data, ()
    given = tuple(data / name for name in _VALIDATION_FOLDERS if (data / name).is_dir())
    alone = not any(path.is_dir() and path != train and not path.name.startswith(".") for path in data.iterdir())
    return (train, given) if given or alone else (data, ())


def _source(path: Path) -> _Source:
    if path.is_file():
        if path.suffix.lower() != ".csv":
            raise DataError(f"{path} is neither a folder nor a .csv file")
        return _Source(path, path.parent, read_csv(path))
    tree = list_tree(path)
    classes = class_names(tree.files)
    notes = []
    if tree.empty:
        more = f" and {len(tree.empty) - 5} more" if len(tree.empty) > 5 else ""
        notes.append(f"{path}: folders without photos are not classes: {', '.join(tree.empty[:5])}{more}")
    if len(classes) < len(tree.files):
        notes.append(f"{path}: photos in no class folder are not used: {len(tree.files) - len(classes):,}")
    return _Source(path, path, classes, tuple(notes), tree.empty)


def _kept(exclude: Exclusions, data: Path, source: _Source) -> _Source:
    """The source without the photos of a list whose names are below `data`."""
    if not exclude.names:
        return source
    base = data if data.is_dir() else data.parent
    return replace(source, classes=exclude.kept(source.classes, prefix_below(base, source.root)))


def _without(exclude: Exclusions, data: Path, *sources: _Source) -> tuple[_Source, ...]:
    """The sources without the photos of the list, and a note of how many these were; DataError where there are none."""
    if not exclude.names:
        return sources
    kept = [_kept(exclude, data, source) for source in sources]
    gone = sum(len(source.classes) for source in sources) - sum(len(source.classes) for source in kept)
    if not gone:
        raise DataError(
            f"none of the {len(exclude.names):,} photos that {exclude.path} excludes is in {data}; names are below DATA"
        )
    absent = len(exclude.names) - gone
    note = f"excluded by {exclude.path}: {gone:,} photos" + (f"; {absent:,} names are not there" if absent else "")
    return (replace(kept[0], notes=(*kept[0].notes, note)), *kept[1:])


def _with_split(data: Path, train: _Source, validation: _Source, split: str) -> Dataset:
    prefix, classes = _classes(data, train)
    if not validation.classes:
        raise _nothing(validation)
    train_names = {name: name.removeprefix(prefix) for name in set(train.classes.values())}
    names = {name: name.removeprefix(prefix) for name in set(validation.classes.values())}
    return Dataset(
        data,
        classes,
        _photos(train, train_names, classes, "training"),
        _photos(validation, names, classes, "training"),
        split,
        train.notes + validation.notes,
        train.empty + validation.empty,
    )


def _made_split(data: Path, train: _Source, fraction: float, seed: int) -> Dataset:
    prefix, classes = _classes(data, train)
    names = {name: name.removeprefix(prefix) for name in set(train.classes.values())}
    photos = _photos(train, names, classes, "training")
    chosen = split_by_content(_digests(photos), photos.labels, fraction, seed)
    if not chosen.any():
        raise DataError(
            f"{data} has no class with two different photos, so none can be kept for validation; add photos"
        )
    split = f"made: {fraction:.3g} of each class by content, seed {seed}"
    return Dataset(
        data,
        classes,
        photos.take(np.flatnonzero(~chosen)),
        photos.take(np.flatnonzero(chosen)),
        split,
        train.notes,
        train.empty,
    )


def _digests(photos: Photos) -> list[bytes]:
    """The digest of each photo, remembered for the next run if the disk lets us."""
    directory = default_directory()
    index = digest_index(directory, photos)
    found, new = digests(photos, index)
    with contextlib.suppress(StorageError), writing(directory):
        index.save(new)
    return found


def _classes(data: Path, train: _Source) -> tuple[str, tuple[str, ...]]:
    """The parent that all classes share (with its slash), and the sorted names without it."""
    names = sorted(set(train.classes.values()))
    if not names:
        raise _nothing(train)
    if len(names) == 1:
        raise DataError(f"{data} has one class only, {names[0]}; put the photos of each class in a folder of its own")
    prefix = ""
    while all("/" in name.removeprefix(prefix) for name in names):
        parent = prefix + names[0].removeprefix(prefix).partition("/")[0] + "/"
        if not all(name.startswith(parent) for name in names):
            break
        prefix = parent
    return prefix, tuple(name.removeprefix(prefix) for name in names)


def _names(source: _Source, classes: Sequence[str]) -> dict[str, str]:
    """Names in `source` -> names in `classes`, where the source may carry a parent more than the classes do."""
    known, found = set(classes), sorted(set(source.classes.values()))
    prefix = ""
    while "/" in found[0].removeprefix(prefix) and not all(name.removeprefix(prefix) in known for name in found):
        prefix += found[0].removeprefix(prefix).partition("/")[0] + "/"
    if all(name.startswith(prefix) and name.removeprefix(prefix) in known for name in found):
        return {name: name.removeprefix(prefix) for name in found}
    return {name: name for name in found}


def _photos(source: _Source, names: Mapping[str, str], classes: Sequence[str], owner: str) -> Photos:
    """The photos of `source` with labels; `names` turns its names of classes into those of `classes`."""
    numbers = {name: number for number, name in enumerate(classes)}
    unknown = sorted(name for name in names.values() if name not in numbers)
    if unknown:
        raise DataError(
            f"{source.path} has photos of a class that {owner} lacks: {', '.join(unknown[:3])}"
            f"{' and others' if len(unknown) > 3 else ''}; its classes are {', '.join(classes[:5])}"
            f"{', …' if len(classes) > 5 else ''}"
        )
    files = tuple(sorted(source.classes))
    labels = np.fromiter((numbers[names[source.classes[file]]] for file in files), dtype=np.int64, count=len(files))
    return Photos(source.root, files, labels)


def _nothing(source: _Source) -> DataError:
    why = source.notes[-1] if source.notes else f"{source.path} holds no photos"
    return DataError(f"{why}; put the photos of each class in a folder of its own")
