"""Which photos of a data set a model may be evaluated on: the validation photos that it was not trained on."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mobilenet.datasets.dataset import Dataset, given_split, open_dataset, open_judges, remembered_digests
from mobilenet.datasets.exclusions import read_exclusions
from mobilenet.datasets.photos import Photos
from mobilenet.datasets.remote.urls import spelled
from mobilenet.errors import DataError
from mobilenet.model.vocabulary import Vocabulary
from mobilenet.runs.origin import Origin
from mobilenet.runs.split import RecordedSplit
from mobilenet.runs.trained_on import Unseen
from mobilenet.tasks.task import Task

__all__ = ["NO_RECORD", "Judging", "nothing_unseen", "photos_to_judge"]

NO_RECORD = "the run has no photos.jsonl, so its split is recreated from the seed; photos added since may change it"
"""The note for a run of an earlier version."""


@dataclass(frozen=True, slots=True, eq=False)
class Judging:
    """`photos` labelled in the model's vocabulary; `says` describes the selection, `notes` what was left out."""

    photos: Photos
    says: str
    notes: tuple[str, ...] = ()


def photos_to_judge(
    data: Path, task: Task, vocabulary: Vocabulary, origin: Origin, exclude: Path | None = None
) -> Judging:
    """The photos of `data` to evaluate a model of this vocabulary on; DataError if it was trained on all of them.

    The validation photos if `data` has a split; if the run made the split of its data, those it recorded; else all
    photos. `exclude` is a list of photos to leave out.
    """
    if origin.made_split is not None and origin.split is None and origin.is_data(data) and not given_split(data, task):
        return _made_again(data, task, vocabulary, origin, exclude)
    found = open_judges(data, task, vocabulary, exclude=read_exclusions(exclude))
    if found.split is not None:
        judging = _unseen(data, found.photos, f"validation photos, {found.split}", origin)
    elif origin.made_split is not None and origin.split is not None and origin.is_data(data):
        judging = _recorded(data, found.photos, origin.split, origin.made_split)
    else:
        judging = _unseen(data, found.photos, "all photos", origin)
    return replace(judging, notes=(*found.notes, *judging.notes))


def _recorded(data: Path, photos: Photos, split: RecordedSplit, made: str) -> Judging:
    digests = remembered_digests(photos)
    judges = split.judges(digests)
    if not judges:
        raise DataError(
            f"none of the {len(split.validation):,} validation photos recorded by the run are in {spelled(data)}; to "
            "evaluate the model on new photos, put them in a folder of their own"
        )
    added = len(digests) - len(judges) - len(split.trained(digests))
    new = f"left out {added:,} photos that are not in the run's recorded split" if added else ""
    notes = tuple(filter(None, (new, split.missing(digests))))
    return Judging(photos.take(judges), f"validation photos, {made}", notes)


def _made_again(data: Path, task: Task, vocabulary: Vocabulary, origin: Origin, exclude: Path | None) -> Judging:
    dataset = open_dataset(data, task, seed=origin.seed, exclude=read_exclusions(exclude or origin.exclude))
    if origin.trained_on is None and exclude is None:
        _check_unchanged(data, dataset, origin)
    targets = task.relabelled(dataset.validation.targets, dataset.vocabulary, vocabulary)
    judges = replace(dataset.validation, targets=targets)
    found = _unseen(data, judges, f"validation photos, {dataset.split}", origin)
    return replace(found, notes=(*dataset.notes, NO_RECORD, *found.notes))


def _check_unchanged(data: Path, dataset: Dataset, origin: Origin) -> None:
    """DataError if there are more or fewer photos than in the run: then another split is made, and nobody knows which
    photos were trained on."""
    now, then = len(dataset.train) + len(dataset.validation), origin.photos
    if then is not None and now != then:
        raise DataError(
            f"{spelled(data)} contains {now:,} photos, {then:,} when the model was trained, and the run does not "
            "record which it was trained on; give photos that it has not seen"
        )


def nothing_unseen(data: Path, unseen: Unseen, origin: Origin) -> DataError:
    """The error if every photo of `data` was trained on."""
    told = " that the model file can identify" if unseen.unknown else ""
    others = "photos that it has not seen" if origin.validation is None else str(spelled(origin.validation))
    return DataError(
        f"the model was trained on all {unseen.trained:,} photos in {spelled(data)}{told}; give {others} instead"
    )


def _unseen(data: Path, photos: Photos, says: str, origin: Origin) -> Judging:
    if origin.trained_on is None or not len(photos):
        return Judging(photos, says)
    unseen = origin.trained_on.unseen(remembered_digests(photos))
    if unseen.mask.all():
        return Judging(photos, says)
    if not unseen.mask.any():
        raise nothing_unseen(data, unseen, origin)
    return Judging(photos.take(np.flatnonzero(unseen.mask)), says, (unseen.note,))
