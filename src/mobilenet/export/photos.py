"""The photos for calibration and for verification of an export: never the same ones."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mobilenet.datasets.dataset import Parts, make_split, open_parts, open_photos, remembered_digests
from mobilenet.datasets.exclusions import NOTHING, Exclusions, read_exclusions
from mobilenet.datasets.photos import LeftOut, Photos
from mobilenet.datasets.remote.urls import spelled
from mobilenet.datasets.sources.folders import class_names, find_photos
from mobilenet.datasets.sources.shards import find_shards
from mobilenet.datasets.targets import Targets, Unlabelled
from mobilenet.errors import DataError
from mobilenet.images.prepare import prepare_photos
from mobilenet.images.preprocessing import Preprocessing
from mobilenet.model.vocabulary import Vocabulary
from mobilenet.runs.judging import NO_RECORD, nothing_unseen
from mobilenet.runs.origin import Origin
from mobilenet.runs.split import RecordedSplit
from mobilenet.tasks.task import Task

__all__ = ["Chosen", "Decoded", "apart_from", "choose_photos", "decode_photos"]


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """`calibration` and `proof` photos; if `labelled`, the targets of `proof` are in the network's vocabulary.

    `training` are all photos available for training, from which `calibration` is drawn; `says` describes the choice.
    """

    training: Photos
    calibration: Photos
    proof: Photos
    labelled: bool
    says: str


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """Decodable photos as network input (N, R, R, 3) uint8 with their targets, and the others with reasons."""

    images: NDArray[np.uint8]
    targets: Targets
    left_out: tuple[LeftOut, ...]


def choose_photos(
    data: Path,
    task: Task,
    origin: Origin,
    vocabulary: Vocabulary,
    *,
    calibration: int,
    proof: int,
    seed: int = 0,
    validation: Path | None = None,
    exclude: Exclusions = NOTHING,
    annotated: bool = False,
) -> Chosen:
    """At most `calibration` and `proof` photos of `data`, drawn at random by `seed`, for a network with this
    `vocabulary`.

    If `data` is what the run of `origin` was trained on, its recorded validation photos are for verification. Another
    data set (folders of classes, or CSV) is split as in training, with the same `validation` and `exclude`; its
    validation photos are used, except those that the network was trained on. If its classes are not the network's, or
    it is a folder without classes that is not `annotated` either, the photos have no labels. DataError if no photos are
    left for verification.
    """
    sources = (
        None if annotated or validation is not None else _unlabelled(data, task, origin, vocabulary)
    ) or _sources(data, task, origin, vocabulary, validation, exclude)
    random = np.random.default_rng(seed)
    some = _some(sources.training, calibration, random)
    judges = _some(sources.judging, proof, random)
    some = apart_from(some, judges)
    kind = "validation photos" if sources.labelled else "photos without known labels: accuracy is not compared"
    says = f"proven on {len(judges):,} {kind}; calibrated on {len(some):,} others"
    return Chosen(sources.training, some, judges, sources.labelled, "; ".join((says, *sources.notes)))


def apart_from(photos: Photos, others: Photos) -> Photos:
    """The photos whose bytes differ from all `others`."""
    known = set(remembered_digests(others))
    return photos.take([number for number, key in enumerate(remembered_digests(photos)) if key not in known])


def decode_photos(
    photos: Photos, preprocessing: Preprocessing, progress: Callable[[int, int], object] | None = None
) -> Decoded:
    """Decode all photos to network input (N, R, R, 3) uint8; DataError if none can be decoded."""
    images, decoded, left_out = [], [], []
    for number, found in prepare_photos(preprocessing, photos.read, range(len(photos))):
        if isinstance(found, str):
            left_out.append(LeftOut(photos.files[number], found))
        else:
            images.append(found[0])
            decoded.append(number)
        if progress is not None:
            progress(number + 1, len(photos))
    if not images:
        raise DataError(f"none of the {len(photos):,} photos below {photos.root} can be decoded; give readable ones")
    return Decoded(np.stack(images), photos.targets.take(np.array(decoded, np.int64)), tuple(left_out))


@dataclass(frozen=True, slots=True, eq=False)
class _Sources:
    """Photos for training and for verification, whether the latter have labels that the network knows, and notes."""

    training: Photos
    judging: Photos
    labelled: bool
    notes: tuple[str, ...] = ()


def _sources(
    data: Path,
    task: Task,
    origin: Origin,
    vocabulary: Vocabulary,
    validation: Path | None,
    exclude: Exclusions,
) -> _Sources:
    own = origin.is_data(data)
    if own and validation is None:
        validation = origin.validation
    if own and origin.split is None and not exclude.names:
        exclude = read_exclusions(origin.exclude)
    parts = open_parts(data, task, validation=validation, exclude=exclude)
    if origin.split is not None and (own or origin.holds_most(remembered_digests(parts.train))):
        found = _recorded(parts, origin.split)
    elif parts.validation is not None:
        found = _given(data, origin, parts.train, parts.validation)
    else:
        found = _made(data, origin, parts, own=own)
    try:
        targets = task.relabelled(found.judging.targets, parts.vocabulary, vocabulary)
    except DataError:
        return found
    return replace(found, judging=replace(found.judging, targets=targets), labelled=True)


def _unlabelled(data: Path, task: Task, origin: Origin, vocabulary: Vocabulary) -> _Sources | None:
    """Those of a folder without folders of classes; None for other data."""
    if not data.is_dir() or find_shards(data) is not None:
        return None
    files = find_photos(data)
    if len(set(class_names(files).values())) >= 2:
        return None
    if origin.is_data(data) and origin.validation is not None:
        return _taught(data, task, origin, vocabulary, files, origin.validation)
    return _pooled(data, origin, *_halves(data, files))


def _taught(
    data: Path, task: Task, origin: Origin, vocabulary: Vocabulary, files: tuple[str, ...], validation: Path
) -> _Sources:
    """The photos of a run that learned from a teacher alone, and those with labels that it was measured on."""
    judging = open_photos(validation, task, vocabulary)
    found = _given(data, origin, Photos(data, files, Unlabelled(len(files))), judging)
    return replace(found, labelled=True)


def _recorded(parts: Parts, split: RecordedSplit) -> _Sources:
    """The split that the run recorded, by the photos' contents: their names and the seed do not matter."""
    pool = parts.train if parts.validation is None else parts.validation
    digests = remembered_digests(pool)
    judges = split.judges(digests)
    if not judges:
        raise DataError(
            f"none of the {len(split.validation):,} validation photos that the run recorded is in "
            f"{spelled(pool.root)}; give photos that the network has not seen, with --data"
        )
    notes = [split.missing(digests)]
    if parts.validation is not None and (trained := len(split.trained(digests))):
        notes.insert(0, f"left out {trained:,} of {len(pool):,} photos that were trained on")
    training = parts.train.take(split.trained(remembered_digests(parts.train)))
    return _Sources(training, pool.take(judges), labelled=False, notes=tuple(filter(None, notes)))


def _given(data: Path, origin: Origin, training: Photos, judging: Photos) -> _Sources:
    if origin.trained_on is None:
        return _Sources(training, judging, labelled=False)
    unseen = origin.trained_on.unseen(remembered_digests(judging))
    if not unseen.mask.any():
        raise nothing_unseen(data, unseen, origin)
    notes = (unseen.note,) if unseen.note else ()
    return _Sources(training, judging.take(np.flatnonzero(unseen.mask)), labelled=False, notes=notes)


def _made(data: Path, origin: Origin, parts: Parts, *, own: bool) -> _Sources:
    chosen = set(make_split(parts, seed=origin.seed).validation.files)
    mask = np.fromiter((file in chosen for file in parts.train.files), np.bool_, len(parts.train))
    found = _pooled(data, origin, parts.train, mask)
    return replace(found, notes=(NO_RECORD, *found.notes)) if own and origin.made_split else found


def _pooled(data: Path, origin: Origin, photos: Photos, chosen: NDArray[np.bool_]) -> _Sources:
    """Verify on the `chosen` (N,) photos that were not trained on; if most of all were, on every other one."""
    judges, notes = chosen, tuple[str, ...]()
    if origin.trained_on is not None:
        digests = remembered_digests(photos)
        unseen = origin.trained_on.unseen(digests)
        if not unseen.mask.any():
            raise nothing_unseen(data, unseen, origin)
        note = origin.trained_on.unseen([digests[number] for number in np.flatnonzero(chosen)]).note
        notes = (note,) if note else ()
        judges = chosen & unseen.mask
        if not judges.any() or 2 * unseen.trained > len(photos) - unseen.unknown:
            judges = unseen.mask
    learn = photos.take(np.flatnonzero(~judges))
    return _Sources(learn, photos.take(np.flatnonzero(judges)), labelled=False, notes=notes)


def _halves(data: Path, files: tuple[str, ...]) -> tuple[Photos, NDArray[np.bool_]]:
    """Photos without labels, and a mask (N,) of the half for verification."""
    if len(files) < 2:
        raise DataError(f"{data} contains only one photo; give more, half of them are for verification")
    every = np.random.default_rng(0).permutation(len(files))
    chosen = np.zeros(len(files), np.bool_)
    chosen[every[: len(files) // 2]] = True
    return Photos(data, files, Unlabelled(len(files))), chosen


def _some(photos: Photos, most: int, random: np.random.Generator) -> Photos:
    return photos if len(photos) <= most else photos.take(np.sort(random.permutation(len(photos))[:most]))
