"""What a run learns from: its task, its photos with their targets, and its teacher."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from mobilenet.datasets.cache.load import CachedPhotos, load
from mobilenet.datasets.dataset import Dataset, open_dataset
from mobilenet.datasets.exclusions import read_exclusions
from mobilenet.datasets.remote.urls import spelled
from mobilenet.datasets.targets import ManyLabels
from mobilenet.errors import ConfigError, DataError
from mobilenet.images.augment import training_methods, training_side
from mobilenet.model.card import ModelCard
from mobilenet.tasks import configured, task_of, task_of_model
from mobilenet.tasks.task import Task
from mobilenet.training.recipe import augmentation
from mobilenet.training.record import card_of
from mobilenet.training.settings import TrainingSettings
from mobilenet.training.teacher.alignment import AlignedTeacher, aligned
from mobilenet.training.teacher.data import has_labels, open_unlabelled_dataset, with_unlabelled
from mobilenet.training.teacher.model import open_teacher
from mobilenet.training.teacher.network import Teacher
from mobilenet.training.teacher.settings import UNLABELLED_HINT
from mobilenet.training.teacher.start import judged_by
from mobilenet.training.tracking.listener import Listener

__all__ = ["TrainingData", "load_data", "open_data"]


@dataclass(frozen=True, slots=True, eq=False)
class TrainingData:
    """`training` and `validation` are the decodable photos of `dataset`; `card` is that of the network to train, and
    `teacher` what it learns from besides targets, if anything. `caching_s` is the time that decoding took."""

    task: Task
    dataset: Dataset
    card: ModelCard
    training: CachedPhotos
    validation: CachedPhotos
    teacher: AlignedTeacher | None
    caching_s: float


def open_data(settings: TrainingSettings, teacher: Teacher | None) -> tuple[Task, Dataset]:
    """The task and the data set of a run; the task of photos without labels is their teacher's. ConfigError for a
    teacher of another task, DataError if there is nothing to learn."""
    task = configured(task_of(settings.data, settings.task), settings.task_options)
    chosen: dict[str, Any] = {
        "validation": settings.validation,
        "validation_fraction": settings.validation_fraction,
        "seed": settings.seed,
        "exclude": read_exclusions(settings.exclude),
    }
    if teacher is None or settings.teacher is None:
        return task, open_dataset(settings.data, task, **chosen)
    unlabelled = settings.teacher.unlabelled
    labelled = has_labels(settings.data, task, unlabelled)
    if teacher.task is not None and settings.task is None and not labelled:
        task = configured(task_of_model(teacher.task, teacher.name), settings.task_options)
    if teacher.task not in (None, task.name):
        raise ConfigError(
            f"the teacher {teacher.name} is for {teacher.task}, and {spelled(settings.data)} for {task.name}; use a "
            f"teacher for {task.name}{f'; {UNLABELLED_HINT}' if labelled else ''}"
        )
    if labelled:
        try:
            opened = open_dataset(settings.data, task, **chosen)
        except DataError as error:
            if not settings.data.is_dir():
                raise
            raise DataError(f"{error}; {UNLABELLED_HINT}") from error
        return task, _decoded_alike(with_unlabelled(opened, unlabelled), teacher)
    return task, open_unlabelled_dataset(settings.data, task, teacher.vocabulary, unlabelled=unlabelled, **chosen)


def _decoded_alike(dataset: Dataset, teacher: Teacher) -> Dataset:
    """The data set with what decoding needs as the teacher has it, where the data themselves say nothing."""
    own, theirs = dataset.vocabulary, teacher.vocabulary
    if own.names not in ((), theirs.names):
        # Thresholds and the like are in the order of the teacher's names, and for each of them.
        return dataset
    return replace(dataset, vocabulary=replace(own, fields={**theirs.fields, **own.fields}))


def _going_on(dataset: Dataset, settings: TrainingSettings, task: Task) -> Dataset:
    """The data set with what decoding needs as the network has it that the run goes on from."""
    from_weights = settings.inherited
    if from_weights.get("task") != task.name:
        return dataset
    own = dataset.vocabulary
    fields = {**task.inherited(from_weights["decoding"]), **own.fields}
    return replace(dataset, vocabulary=replace(own, fields=fields))


def load_data(settings: TrainingSettings, device: torch.device, dtype: torch.dtype, listener: Listener) -> TrainingData:
    """Open the teacher and the data set of a run, and decode its photos; a teacher that is a network of torch computes
    on `device` in `dtype`. ConfigError, ModelError, DataError."""
    opened = None if settings.teacher is None else open_teacher(settings.teacher, device, dtype)
    task, dataset = open_data(settings, opened)
    for note in dataset.notes:
        listener.note(note)
    dataset = _going_on(dataset, settings, task)
    card = card_of(settings, task, dataset.vocabulary)
    teacher = None if opened is None else aligned(opened, card, task.vocabulary_noun)
    training, validation, caching_s = _cache(dataset, settings, task.augmentation, listener)
    if teacher is not None:
        validation = judged_by(teacher, task, card.vocabulary, validation, settings.cache_bytes, settings.workers)
    _check_measurable(validation, task)
    return TrainingData(task, dataset, card, training, validation, teacher, caching_s)


def _check_measurable(validation: CachedPhotos, task: Task) -> None:
    """DataError if no label is known of some validation photos and known to be absent from others: found now, and not
    after the first epoch."""
    targets = validation.targets
    if isinstance(targets, ManyLabels) and not (targets.present().any(0) & targets.absent().any(0)).any():
        photos = "the only validation photo" if len(targets) == 1 else f"{len(targets):,} validation photos"
        raise DataError(
            f"none of the {task.vocabulary_noun} can be measured on {photos}: each is the same on all where it is "
            "known; give more with --val or --val-fraction"
        )


def _cache(
    dataset: Dataset, settings: TrainingSettings, of_task: Mapping[str, Any], listener: Listener
) -> tuple[CachedPhotos, CachedPhotos, float]:
    start = time.perf_counter()
    total = len(dataset.train) + len(dataset.validation)
    first = len(dataset.train)
    limit = settings.cache_bytes
    training = load(
        dataset.train,
        training_side(settings.side),
        methods=training_methods(augmentation(settings, of_task)),
        max_bytes=limit,
        workers=settings.workers,
        progress=lambda done, _: listener.caching(done, total),
    )
    validation = load(
        dataset.validation,
        settings.side,
        max_bytes=limit,
        workers=settings.workers,
        progress=lambda done, _: listener.caching(first + done, total),
    )
    for photos in (training, validation):
        for note in photos.notes:
            listener.note(note)
        for left_out in photos.left_out:
            listener.note(f"left out {spelled(photos.photos.root / left_out.file)}: {left_out.reason}")
    if len(training) < 2 or not len(validation):
        raise DataError(
            f"{dataset.root}: too few decodable photos for training and validation; see `mobilenet train --help`"
        )
    return training, validation, time.perf_counter() - start
