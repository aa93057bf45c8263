"""From settings to a run folder: the function behind `mobilenet train`."""

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from mobilenet.datasets.cache.load import CachedPhotos, load
from mobilenet.datasets.check.check import quick_check
from mobilenet.datasets.dataset import Dataset, open_dataset
from mobilenet.datasets.exclusions import read_exclusions
from mobilenet.datasets.remote.urls import name_for_folders, spelled
from mobilenet.errors import ConfigError, DataError, ModelError
from mobilenet.evaluate import Evaluation
from mobilenet.files import check_writable
from mobilenet.images.augment import training_methods, training_side
from mobilenet.model.card import ModelCard
from mobilenet.runs.config import parse_config, read_config_bytes, write_config
from mobilenet.runs.folder import RunFolder
from mobilenet.runs.split import photo_lines
from mobilenet.spec.shapes import has_fixed_resolution
from mobilenet.tasks import task_of
from mobilenet.training.job import Job, Surroundings
from mobilenet.training.recipe import default_augmentation, make_plan
from mobilenet.training.record import card_of, describe
from mobilenet.training.resume.checkpoint import Checkpoints
from mobilenet.training.resume.fingerprint import check_same
from mobilenet.training.session import Session
from mobilenet.training.settings import TrainingSettings
from mobilenet.training.start.transfer import Source, adopt, open_source, start
from mobilenet.training.system.interruption import Interruption
from mobilenet.training.system.lock import lock_folder
from mobilenet.training.system.machine import keep_freed_memory, pick_device, pick_precision
from mobilenet.training.system.processes import Processes, joined
from mobilenet.training.tracking.listener import Listener, Silence

__all__ = ["RunResult", "new_run_folder", "resume", "train"]


@dataclass(frozen=True, slots=True)
class RunResult:
    """A finished run: its folder, the evaluation of its model on the validation photos, and total time in seconds."""

    folder: Path
    evaluation: Evaluation
    total_s: float


def new_run_folder(settings: TrainingSettings, parent: Path) -> Path:
    """A new folder name below `parent`, after the data and the network; ModelError for weights that cannot be read."""
    if settings.weights is not None:
        settings = adopt(settings, open_source(settings.weights).card)
    network = settings.body()
    name = f"{name_for_folders(settings.data)}-{network.name}-{network.width_multiplier:g}-{network.resolution}"
    folder, number = parent / name, 2
    while folder.exists():
        folder, number = parent / f"{name}-{number}", number + 1
    return folder


def train(
    settings: TrainingSettings, folder: Path, *, command: Sequence[str] = (), listener: Listener | None = None
) -> RunResult:
    """Train as `settings` say and write everything to `folder`; ConfigError unless it is new or empty.

    `command` is recorded as the way to reproduce the run. Errors in settings or data are raised before anything is
    written; a run that is stopped later is resumed by `resume(folder)`. Ctrl-C and SIGTERM save the state, then raise
    Interrupted. Under torchrun, every process calls this and gets the result; the first one writes.
    """
    with _shared(listener) as around:
        if (
            around.processes.writes
            and folder.exists()
            and (not folder.is_dir() or any(path != RunFolder(folder).lock for path in folder.iterdir()))
        ):
            raise ConfigError(f"{folder} already exists; choose another --out, or resume it with --resume {folder}")
        return _run(settings, folder, tuple(command), around)


def resume(folder: Path, *, photos_of: TrainingSettings | None = None, listener: Listener | None = None) -> RunResult:
    """Resume the run in `folder` from its last checkpoint, with its own settings; DataError if there is none,
    ModelError if its config.json is damaged, ConfigError naming what differs if photos, classes or settings have
    changed.

    `photos_of`: settings that say where the photos are now, if they have moved.
    """
    with _shared(listener) as around:
        processes = around.processes
        text = processes.said_by_the_first(read_config_bytes(folder) if processes.writes else b"")
        recorded = dict(parse_config(text, folder).values)
        try:
            settings = TrainingSettings.from_json(recorded["settings"])
            command = tuple(recorded["command"])
            _ = (recorded["data"]["hash"], recorded["data"]["classes"], recorded["plan"])
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(f"{RunFolder(folder).config} is damaged: {error}; start a new run") from error
        if (now := photos_of) is not None:
            settings = replace(settings, data=now.data, validation=now.validation, exclude=now.exclude)
        return _run(settings, folder, command, around, recorded)


@contextmanager
def _shared(listener: Listener | None) -> Iterator[Surroundings]:
    interruption = Interruption()
    with interruption.heard(), joined() as processes:
        yield Surroundings(processes, interruption, listener if listener and processes.writes else Silence())


def _run(
    settings: TrainingSettings,
    folder: Path,
    command: tuple[str, ...],
    around: Surroundings,
    recorded: dict[str, Any] | None = None,
) -> RunResult:
    began, listener = time.perf_counter(), around.listener
    keep_freed_memory()
    device = pick_device(settings.device, around.processes)
    dtype = pick_precision(settings.precision, device)
    processes = around.processes.on(device)
    around = replace(around, processes=processes)
    if processes.writes:
        check_writable(folder)
    with lock_folder(folder) if processes.writes else nullcontext():
        settings, source = _with_source(settings, folder, processes, listener)
        task = task_of(settings.data, settings.task)
        settings = replace(settings, task=task.name)
        with processes.first_alone(), around.interruption.immediately():
            exclude = read_exclusions(settings.exclude)
            dataset = open_dataset(
                settings.data, task, validation=settings.validation, seed=settings.seed, exclude=exclude
            )
            for note in dataset.notes:
                listener.note(note)
            training, validation, caching_s = _cache(dataset, settings, listener)
        if found := quick_check(dataset.vocabulary, training, validation):
            listener.note(f"check: {found}; see mobilenet check {spelled(settings.data)}")
        card = card_of(settings, task, dataset.vocabulary)
        settings = _with_crops(settings, card)
        plan = make_plan(settings, len(training))
        if plan.batch_size < settings.batch_size:
            photos = f"{len(training)} to train on"
            listener.note(f"batches of {plan.batch_size} photos, not {settings.batch_size}: there are {photos}")
        config = describe(settings, plan, dataset, task, card, (training, validation), command, device, dtype)
        config["machine"]["processes"] = processes.count
        lines = photo_lines((training, validation), dataset.vocabulary)
        _check(folder, config, recorded, lines, processes, listener)
        session = Session(Job(settings, plan, folder, task, card, training, validation, config, device, dtype), around)
        evaluation = session.finish(None if source is None else partial(start, source))
        total_s = time.perf_counter() - began
        if processes.writes:
            config["seconds"] = {"caching": caching_s, "training": session.trainer.elapsed_s, "total": total_s}
            write_config(RunFolder(folder), config)
        return RunResult(folder, evaluation, total_s)


def _with_crops(settings: TrainingSettings, card: ModelCard) -> TrainingSettings:
    """Crops of the network's own resolution where it takes no other; ConfigError where another one is asked for."""
    if not has_fixed_resolution(card.network().rows, card.resolution):
        return settings
    if settings.training_resolution not in (None, settings.side):
        raise ConfigError(
            f"--training-resolution {settings.training_resolution} does not fit a head that looks at positions; "
            f"leave it out, or use {settings.side}"
        )
    return replace(settings, training_resolution=settings.side)


def _with_source(
    settings: TrainingSettings, folder: Path, processes: Processes, listener: Listener
) -> tuple[TrainingSettings, Source | None]:
    """The weights that a run starts from, read by the first process, and the settings with their network."""
    source = None
    if settings.weights is not None and processes.writes and not Checkpoints(RunFolder(folder).checkpoints, 1):
        source = open_source(settings.weights)
        settings = adopt(settings, source.card)
        for note in source.notes:
            listener.note(note)
        if settings.width_multiplier != source.card.width_multiplier:
            listener.note(
                f"the weights have width {source.card.width_multiplier:g}; the least important channels of each layer "
                f"are dropped for width {settings.width_multiplier:g}"
            )
    if processes.count > 1:
        said = processes.said_by_the_first(json.dumps(settings.to_json()).encode())
        settings = TrainingSettings.from_json(json.loads(said))
    return settings, source


def _check(
    folder: Path,
    config: dict[str, Any],
    recorded: dict[str, Any] | None,
    photos: Iterable[str],
    processes: Processes,
    listener: Listener,
) -> None:
    """Check that a resumed run is the one that was stopped, and that all processes see the same photos."""
    mine = config["data"]["hash"]
    if processes.said_by_the_first(mine.encode()).decode() != mine:
        raise ConfigError(
            f"process {processes.rank} sees different photos than the first one in {config['data']['root']}"
        )
    batch = config["plan"]["batch_size"]
    if processes.count > batch:
        raise ConfigError(f"{processes.count} processes cannot share batches of {batch} photos; raise --batch-size")
    if recorded is not None:
        for note in check_same(folder, recorded, config, photos):
            listener.note(note)


def _cache(
    dataset: Dataset, settings: TrainingSettings, listener: Listener
) -> tuple[CachedPhotos, CachedPhotos, float]:
    start = time.perf_counter()
    total = len(dataset.train) + len(dataset.validation)
    first = len(dataset.train)
    limit = settings.cache_bytes
    training = load(
        dataset.train,
        training_side(settings.side),
        methods=training_methods(settings.augmentation or default_augmentation(settings.weights)),
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
