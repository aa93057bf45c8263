"""The photos of a taught run: labelled ones as in any run, and others that only the teacher says something of."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from mobilenet.datasets.cache.load import CachedPhotos
from mobilenet.datasets.dataset import Dataset, open_photos, remembered_digests
from mobilenet.datasets.exclusions import Exclusions
from mobilenet.datasets.photos import Photos, with_files
from mobilenet.datasets.reader import Source
from mobilenet.datasets.remote.urls import spelled
from mobilenet.datasets.sources.find import without
from mobilenet.datasets.sources.folders import find_photos
from mobilenet.datasets.split import split_by_content
from mobilenet.datasets.targets import Targets, Unlabelled
from mobilenet.errors import DataError
from mobilenet.images.augment import whole_photos
from mobilenet.model.vocabulary import Vocabulary
from mobilenet.nn.endings import ended
from mobilenet.tasks.task import Task
from mobilenet.training.teacher.alignment import AlignedTeacher

__all__ = ["answered", "has_labels", "open_unlabelled_dataset", "with_unlabelled"]

_AT_ONCE = 64


def has_labels(data: Path, task: Task, unlabelled: Sequence[Path]) -> bool:
    """Whether labels of `data` are to be learned: it is not among the `unlabelled` folders, and the task reads some."""
    if any(folder.absolute() == data.absolute() for folder in unlabelled):
        return False
    return bool(task.source(task.places(data).train).annotations)


def open_unlabelled_dataset(
    data: Path,
    task: Task,
    vocabulary: Vocabulary,
    *,
    validation: Path | None = None,
    validation_fraction: float = 0.1,
    unlabelled: Sequence[Path] = (),
    seed: int = 0,
    exclude: Exclusions,
) -> Dataset:
    """The photos below `data` and the folders `unlabelled`, without their labels; the `vocabulary` is the teacher's.

    `validation` photos are labelled; without them, `validation_fraction` (0…1) of the photos is held out, without
    targets. Copies of other photos are left out. DataError if there are no photos, or if the teacher lacks a label.
    """
    names = without(exclude, data, Source(data, data, dict.fromkeys(find_photos(data)))).annotations
    alone = Photos(data, tuple(names), Unlabelled(len(names)))
    others = [folder for folder in unlabelled if folder.absolute() != data.absolute()]
    together = with_files(alone, _paths(others))
    photos = replace(together, targets=Unlabelled(len(together)))
    if validation is None:
        chosen = split_by_content(
            remembered_digests(photos), np.zeros(len(photos), np.int64), validation_fraction, seed
        )
        judges, photos = photos.take(np.flatnonzero(chosen)), photos.take(np.flatnonzero(~chosen))
        split = f"made: {validation_fraction:.3g} of the photos by content, seed {seed}; labelled by the teacher"
    else:
        judges, split = open_photos(validation, task, vocabulary, exclude=exclude), f"given: {spelled(validation)}"
    if not len(judges):
        raise DataError(f"{data} has no two different photos, so none can be held out for validation; add photos")
    kept, notes = _new(remembered_digests(photos), remembered_digests(judges), ())
    if validation is None:
        notes = (*notes, "no labelled photos are given with --val: the figures measure agreement with the teacher")
    return Dataset(data, vocabulary, photos.take(kept), judges, split, notes)


def with_unlabelled(dataset: Dataset, folders: Sequence[Path]) -> Dataset:
    """The data set with all photos below `folders` added to its training photos, without labels; DataError if one of
    them has no photos. Photos that the data set has already are left out."""
    if not folders:
        return dataset
    paths = _paths(folders)
    pool = Photos(folders[0], tuple(str(path.absolute()) for path in paths), Unlabelled(len(paths)))
    kept, notes = _new(
        remembered_digests(pool), remembered_digests(dataset.validation), remembered_digests(dataset.train)
    )
    training = with_files(dataset.train, [paths[number] for number in kept])
    says = f"{len(kept):,} photos without labels for the teacher, and {len(dataset.train):,} with labels"
    return replace(dataset, train=training, notes=(*dataset.notes, says, *notes))


def answered(teacher: AlignedTeacher, task: Task, vocabulary: Vocabulary, photos: CachedPhotos) -> Targets:
    """The targets of whole photos as the teacher says them, in terms of the student's `vocabulary`."""
    found: dict[str, list[torch.Tensor]] = {output.name: [] for output in teacher.outputs}
    for start in range(0, len(photos), _AT_ONCE):
        pixels = torch.from_numpy(photos.batch(np.arange(start, min(start + _AT_ONCE, len(photos)))))
        raw = teacher.raw(pixels, whole_photos(len(pixels)))
        for output in teacher.outputs:
            found[output.name].append(ended(raw[output.name], output.ending).cpu())
    return task.answered({name: torch.cat(values).numpy() for name, values in found.items()}, vocabulary)


def _paths(folders: Sequence[Path]) -> list[Path]:
    return [folder / name for folder in folders for name in find_photos(folder)]


def _new(
    digests: Sequence[bytes], judges: Sequence[bytes], others: Sequence[bytes]
) -> tuple[list[int], tuple[str, ...]]:
    """Which photos are copies of none in `judges`, in `others` or before them, and how many are."""
    validation, seen = set(judges), set(others)
    kept, held_out = [], 0
    for number, key in enumerate(digests):
        if key in validation:
            held_out += 1
        elif key not in seen:
            seen.add(key)
            kept.append(number)
    copies = len(digests) - len(kept) - held_out
    notes = (
        f"left out {held_out:,} photos without labels that are validation photos" if held_out else "",
        f"left out {copies:,} photos without labels that are copies of training photos" if copies else "",
    )
    return kept, tuple(filter(None, notes))
