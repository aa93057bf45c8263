"""From settings to a run folder: the function behind `mobilenet train`."""

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from mobilenet.datasets.cache.load import CachedPhotos
from mobilenet.datasets.check.check import quick_check
from mobilenet.datasets.remote.urls import name_for_folders, spelled
from mobilenet.errors import ConfigError, ModelError
from mobilenet.evaluate import Evaluation
from mobilenet.files import check_writable
from mobilenet.model.card import ModelCard
from mobilenet.runs.config import parse_config, read_config_bytes, write_config
from mobilenet.runs.folder import RunFolder
from mobilenet.runs.split import photo_lines
from mobilenet.spec.shapes import has_fixed_resolution, output_shapes
from mobilenet.training.data import TrainingData, load_data
from mobilenet.training.job import Job, Surroundings
from mobilenet.training.recipe import Plan, make_plan
from mobilenet.training.record import describe
from mobilenet.training.resume.checkpoint import Checkpoints
from mobilenet.training.resume.fingerprint import check_same
from mobilenet.training.session import Session
from mobilenet.training.settings import TrainingSettings
from mobilenet.training.start.transfer import Source, adopt, open_source, start
from mobilenet.training.system.interruption import Interruption
from mobilenet.training.system.lock import lock_folder
from mobilenet.training.system.machine import keep_freed_memory, pick_device, pick_precision
from mobilenet.training.system.processes import Processes, joined
from mobilenet.training.teacher.alignment import AlignedTeacher
from mobilenet.training.teacher.lessons import UNTAUGHT, Lessons
from mobilenet.training.teacher.start import Student, facts, make_lessons, seen_by, with_views
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
        with processes.first_alone(), around.interruption.immediately():
            data = load_data(settings, device, dtype, listener)
        settings = _with_crops(replace(settings, task=data.task.name), data.card)
        nouns = data.task.vocabulary_noun, data.task.contradiction
        if found := quick_check(data.dataset.vocabulary, data.training, data.validation, *nouns):
            listener.note(f"check: {found}; see mobilenet check {spelled(settings.data)}")
        plan = make_plan(settings, len(data.training), data.task.augmentation, data.task.fine_tuning_rate)
        if plan.batch_size < settings.batch_size:
            there = f"{len(data.training)} to train on"
            listener.note(f"batches of {plan.batch_size} photos, not {settings.batch_size}: there are {there}")
        settings, lessons = _lessons(settings, data, plan, around, device, dtype)
        photos = (data.training, data.validation)
        config = describe(settings, plan, data.dataset, data.task, data.card, photos, command, device, dtype)
        config["machine"]["processes"] = processes.count
        if data.teacher is not None:
            config["teacher"] = _facts(data.teacher, data.validation, listener)
        lines = photo_lines(photos, data.dataset.vocabulary)
        _check(folder, config, recorded, lines, processes, listener)
        job = Job(settings, plan, folder, data.task, data.card, *photos, config, device, dtype, lessons)
        session = Session(job, around)
        evaluation = session.finish(None if source is None else partial(start, source, job))
        total_s = time.perf_counter() - began
        if processes.writes:
            config["seconds"] = {"caching": data.caching_s, "training": session.trainer.elapsed_s, "total": total_s}
            write_config(RunFolder(folder), config)
        return RunResult(folder, evaluation, total_s)


def _lessons(
    settings: TrainingSettings,
    data: TrainingData,
    plan: Plan,
    around: Surroundings,
    device: torch.device,
    dtype: torch.dtype,
) -> tuple[TrainingSettings, Lessons]:
    """The settings with the number of views of the teacher, if there is one, and what it says of the photos."""
    teacher, teaching = data.teacher, settings.teacher
    if teacher is None or teaching is None:
        return settings, UNTAUGHT
    student = Student(
        data.card,
        data.training,
        plan.augmentation,
        plan.training_resolution,
        plan.batch_size,
        plan.epochs,
        settings.minutes,
        settings.seed,
        device,
        dtype,
        settings.cache_bytes,
    )
    with around.processes.first_alone(), around.interruption.immediately():
        seen = seen_by(teacher, data.training, settings.cache_bytes, settings.workers)
    listener = around.listener
    teaching = with_views(teaching, teacher, student, seen, around.processes, listener.note)
    lessons = make_lessons(teaching, teacher, student, seen, around.processes, listener.reading, listener.note)
    return replace(settings, teacher=teaching), lessons


def _facts(teacher: AlignedTeacher, validation: CachedPhotos, listener: Listener) -> dict[str, Any]:
    found, note = facts(teacher.teacher, validation)
    if note:
        listener.note(note)
    return found


def _with_crops(settings: TrainingSettings, card: ModelCard) -> TrainingSettings:
    """Crops of the network's own resolution where it takes no other; ConfigError where another one is asked for."""
    shapes = output_shapes(card.network().rows, card.resolution)
    looks = any(shapes[row][:2] != (1, 1) for output in card.outputs for row in output.rows)
    if not (looks or has_fixed_resolution(card.network().rows, card.resolution)):
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
