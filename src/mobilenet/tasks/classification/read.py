"""The classes of photos from folders, CSV files and shards.

A parent that all training classes share is dropped from the names: `Fruit/Apple` and `Fruit/Pear` are `Apple` and
`Pear`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mobilenet.datasets.reader import Source
from mobilenet.datasets.remote.urls import spelled
from mobilenet.errors import DataError
from mobilenet.model.vocabulary import Vocabulary
from mobilenet.tasks.classification.targets import ClassTargets

__all__ = ["class_targets", "read_classes"]


def read_classes(
    data: Path, train: Source, judges: Source | None
) -> tuple[Vocabulary, ClassTargets, ClassTargets | None]:
    """The classes of a data set, sorted, and the class of each photo; DataError if there is only one class, or if the
    validation photos have a class without training photos."""
    prefix, classes = _classes(data, train)
    targets = _targets(train, _shortened(train, prefix), classes, "training")
    if judges is None:
        return Vocabulary(classes), targets, None
    names = _shortened(judges, prefix)
    if not set(names.values()).issubset(classes):
        # They may have a parent of their own.
        names = _names(judges, classes)
    return Vocabulary(classes), targets, _targets(judges, names, classes, "training")


def class_targets(source: Source, vocabulary: Vocabulary) -> ClassTargets:
    """The classes of photos in terms of a model's; a parent that all of them share, but not the model's classes, is
    dropped. DataError names a class that the model lacks."""
    return _targets(source, _names(source, vocabulary.names), vocabulary.names, "the model")


def _classes(data: Path, train: Source) -> tuple[str, tuple[str, ...]]:
    """The parent that all classes share (with its slash), and the sorted names without it."""
    names = sorted(set(train.annotations.values()))
    if len(names) == 1:
        raise DataError(
            f"{spelled(data)} has only one class, {names[0]}; put the photos of each class in a folder of its own"
        )
    prefix = ""
    while all("/" in name.removeprefix(prefix) for name in names):
        parent = prefix + names[0].removeprefix(prefix).partition("/")[0] + "/"
        if not all(name.startswith(parent) for name in names):
            break
        prefix = parent
    return prefix, tuple(name.removeprefix(prefix) for name in names)


def _shortened(source: Source, prefix: str) -> dict[str, str]:
    return {name: name.removeprefix(prefix) for name in set(source.annotations.values())}


def _names(source: Source, classes: Sequence[str]) -> dict[str, str]:
    """Names in `source` -> names in `classes`, where the source may have one parent more than the classes."""
    known, found = set(classes), sorted(set(source.annotations.values()))
    prefix = ""
    while "/" in found[0].removeprefix(prefix) and not all(name.removeprefix(prefix) in known for name in found):
        prefix += found[0].removeprefix(prefix).partition("/")[0] + "/"
    if all(name.startswith(prefix) and name.removeprefix(prefix) in known for name in found):
        return {name: name.removeprefix(prefix) for name in found}
    return {name: name for name in found}


def _targets(source: Source, names: Mapping[str, str], classes: Sequence[str], owner: str) -> ClassTargets:
    """`names` turns the names of classes in `source` into those of `classes`."""
    numbers = {name: number for number, name in enumerate(classes)}
    unknown = sorted(name for name in names.values() if name not in numbers)
    if unknown:
        raise DataError(
            f"{spelled(source.path)} has photos of a class that {owner} lacks: {', '.join(unknown[:3])}"
            f"{' and others' if len(unknown) > 3 else ''}; its classes are {', '.join(classes[:5])}"
            f"{', …' if len(classes) > 5 else ''}"
        )
    labels = (numbers[names[label]] for label in source.annotations.values())
    return ClassTargets(np.fromiter(labels, dtype=np.int64, count=len(source.annotations)))
