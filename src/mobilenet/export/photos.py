"""Which photos an export is calibrated on and which prove it: never the same ones."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mobilenet.datasets import Exclusions, LeftOut, Photos, open_dataset
from mobilenet.datasets.exclusions import NOTHING
from mobilenet.datasets.sources.folders import class_names, find_photos
from mobilenet.datasets.sources.shards import find_shards
from mobilenet.datasets.targets import Targets, Unlabelled
from mobilenet.errors import DataError, ImageError
from mobilenet.images import Preprocessing
from mobilenet.model.card import ModelCard
from mobilenet.tasks.task import Task

__all__ = ["Chosen", "Decoded", "choose_photos", "decode_photos"]


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """`calibration` and `proof` photos; where `labelled`, the targets of `proof` are in the network's vocabulary.

    `training` are all photos that may be learned from, which `calibration` is taken of; `says` in words what was
    chosen.
    """

    training: Photos
    calibration: Photos
    proof: Photos
    labelled: bool
    says: str


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """Photos that decode, as network input (N, R, R, 3) uint8 with their targets, and the others with reasons."""

    images: NDArray[np.uint8]
    targets: Targets
    left_out: tuple[LeftOut, ...]


def choose_photos(
    data: Path,
    task: Task,
    card: ModelCard,
    *,
    calibration: int,
    proof: int,
    seed: int = 0,
    validation: Path | None = None,
    exclude: Exclusions = NOTHING,
) -> Chosen:
    """At most so many photos for each purpose out of `data`, at random by `seed`.

    A data set (folders of classes, or CSV) is split as in training, with the same `validation` and `exclude`, and its
    validation photos prove. Where its classes
    are not the network's, and for a folder without classes, the photos have no labels. DataError where there are none.
    """
    training, judging, labelled = _sources(data, task, card, validation, exclude)
    random = np.random.default_rng(seed)
    some = _some(training, calibration, random)
    judges = _some(judging, proof, random)
    kind = "validation photos" if labelled else "photos without labels that the network knows: accuracy is not compared"
    says = f"proven on {len(judges):,} {kind}; calibrated on {len(some):,} others"
    return Chosen(training, some, judges, labelled, says)


def decode_photos(
    photos: Photos, preprocessing: Preprocessing, progress: Callable[[int, int], object] | None = None
) -> Decoded:
    """Every photo from its bytes to network input; DataError where none decodes."""
    images, decoded, left_out = [], [], []
    with ThreadPoolExecutor(thread_name_prefix="decode") as pool:
        results = pool.map(lambda number: _prepare(photos, number, preprocessing), range(len(photos)))
        for number, result in enumerate(results):
            if isinstance(result, str):
                left_out.append(LeftOut(photos.files[number], result))
            else:
                images.append(result)
                decoded.append(number)
            if progress is not None:
                progress(number + 1, len(photos))
    if not images:
        raise DataError(f"none of the {len(photos):,} photos below {photos.root} can be decoded; give readable ones")
    return Decoded(np.stack(images), photos.targets.take(np.array(decoded, np.int64)), tuple(left_out))


def _prepare(photos: Photos, number: int, preprocessing: Preprocessing) -> NDArray[np.uint8] | str:
    try:
        return preprocessing.prepare(photos.read(number))
    except ImageError as error:
        return str(error)


def _sources(
    data: Path, task: Task, card: ModelCard, validation: Path | None, exclude: Exclusions
) -> tuple[Photos, Photos, bool]:
    """Photos to learn from, photos to judge by, and whether those have labels that the network knows."""
    if validation is None and data.is_dir() and find_shards(data) is None:
        files = find_photos(data)
        if len(set(class_names(files).values())) < 2:
            return (*_halves(data, files), False)
    dataset = open_dataset(data, task, validation=validation, seed=_seed(card), exclude=exclude)
    judges = dataset.validation
    try:
        targets = task.relabelled(judges.targets, dataset.vocabulary, card.vocabulary)
    except DataError:
        return dataset.train, judges, False
    return dataset.train, replace(judges, targets=targets), True


def _halves(data: Path, files: tuple[str, ...]) -> tuple[Photos, Photos]:
    """Photos without labels, half of them to learn from and half to judge by."""
    if len(files) < 2:
        raise DataError(f"{data} holds one photo; give more, half of them prove the export")
    every = np.random.default_rng(0).permutation(len(files))
    photos = Photos(data, files, Unlabelled(len(files)))
    half = len(files) // 2
    return photos.take(np.sort(every[half:])), photos.take(np.sort(every[:half]))


def _seed(card: ModelCard) -> int:
    """The seed that a split was made with when the network was trained, so that it is made again."""
    settings = card.provenance.get("settings")
    seed = settings.get("seed") if isinstance(settings, dict) else None
    return seed if isinstance(seed, int) else 0


def _some(photos: Photos, most: int, random: np.random.Generator) -> Photos:
    return photos if len(photos) <= most else photos.take(np.sort(random.permutation(len(photos))[:most]))
