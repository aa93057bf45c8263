"""From settings to a run folder: the function behind `mobilenet train`."""

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch

from mobilenet.card import ModelCard
from mobilenet.cost import cost
from mobilenet.datasets import Dataset, Photos, open_dataset
from mobilenet.datasets.cache import CachedPhotos, load
from mobilenet.errors import ConfigError, DataError, ModelError
from mobilenet.evaluate import Evaluation, evaluate
from mobilenet.files import atomic_write, check_writable, storage_errors
from mobilenet.images import Preprocessing
from mobilenet.nn.model_file import write_model
from mobilenet.nn.network import Classifier
from mobilenet.runtimes.torch import TorchPredictor
from mobilenet.training.checkpoint import Position, load_checkpoint, save_checkpoint
from mobilenet.training.loop import EpochResult, Stopwatch, Trainer
from mobilenet.training.machine import describe_machine, keep_freed_memory, pick_device, pick_precision, versions
from mobilenet.training.processes import current_processes
from mobilenet.training.settings import TrainingSettings
from mobilenet.training.tracking import Tracker

__all__ = ["Listener", "RunResult", "Silence", "new_run_folder", "resume", "train", "training_side"]


class Listener(Protocol):
    """Hears how a run is going."""

    def caching(self, done: int, total: int) -> None:
        """`done` of `total` photos are decoded."""

    def stepping(self, done: int, total: int) -> None:
        """`done` of `total` steps of this epoch are made."""

    def epoch(self, line: dict[str, Any]) -> None:
        """An epoch is over; `line` is its line of metrics.jsonl."""

    def note(self, text: str) -> None:
        """Something the user should know."""


class Silence:
    """A listener that hears nothing."""

    def caching(self, done: int, total: int) -> None:
        """Ignored."""

    def stepping(self, done: int, total: int) -> None:
        """Ignored."""

    def epoch(self, line: dict[str, Any]) -> None:
        """Ignored."""

    def note(self, text: str) -> None:
        """Ignored."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """A finished run: its folder, the evaluation of its model on the validation photos, and seconds in all."""

    folder: Path
    evaluation: Evaluation
    total_s: float


def training_side(resolution: int) -> int:
    """Side in pixels at which photos are cached for training: 1/8 more than the network sees, in steps of 16, so that
    random crops need not be enlarged much."""
    return -(-resolution * 9 // 8 // 16) * 16


def new_run_folder(settings: TrainingSettings, parent: Path) -> Path:
    """A folder below `parent` named after the data and the network, which is not there yet."""
    name = f"{settings.data.resolve().stem}-{settings.architecture}-{settings.width_multiplier:g}-{settings.resolution}"
    folder, number = parent / name, 2
    while folder.exists():
        folder, number = parent / f"{name}-{number}", number + 1
    return folder


def train(
    settings: TrainingSettings, folder: Path, *, command: Sequence[str] = (), listener: Listener | None = None
) -> RunResult:
    """Train as `settings` say and leave everything in `folder`, which must be new or empty.

    `command` is recorded as the way to reproduce the run. Every error in settings or data is raised before anything is
    written; a run that is stopped later goes on with `resume(folder)`.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} is there already; choose another --out, or go on with --resume {folder}")
    return _run(settings, folder, tuple(command), listener or Silence())


def resume(folder: Path, *, listener: Listener | None = None) -> RunResult:
    """Go on with the run in `folder` from its last checkpoint, with its own settings; ModelError where there is
    none.
    """
    config = folder / "config.json"
    if not config.is_file():
        raise ModelError(f"{folder} is no run folder: it has no config.json; start one with mobilenet train DATA")
    try:
        # names of files may hold bytes that are no UTF-8
        recorded = json.loads(config.read_text("utf-8", "surrogateescape"))
        settings = TrainingSettings.from_json(recorded["settings"])
        command = tuple(recorded["command"])
        data_hash = str(recorded["data"]["hash"])
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{config} is damaged: {error}; start a new run") from error
    return _run(settings, folder, command, listener or Silence(), data_hash)


def _run(
    settings: TrainingSettings,
    folder: Path,
    command: tuple[str, ...],
    listener: Listener,
    data_hash: str | None = None,
) -> RunResult:
    start = time.perf_counter()
    keep_freed_memory()
    device = pick_device(settings.device)
    dtype = pick_precision(settings.precision, device)
    check_writable(folder)
    dataset = open_dataset(settings.data, validation=settings.validation, seed=settings.seed)
    for note in dataset.notes:
        listener.note(note)
    training, validation, caching_s = _cache(dataset, settings, listener)
    wanted, settings = settings.batch_size, _fitted(settings, len(training))
    if settings.batch_size < wanted:
        listener.note(f"batches of {settings.batch_size} photos, not {wanted}: there are {len(training)} to train on")
    config = _describe(settings, dataset, (training, validation), command, device, dtype)
    if data_hash is not None and data_hash != config["data"]["hash"]:
        raise ConfigError(f"{dataset.root} is not what {folder} was trained on: photos were added, removed or changed")
    run = _Run(settings, folder, dataset, training, validation, config, listener)
    evaluation = run.finish(device, dtype)
    total_s = time.perf_counter() - start
    if not run.processes.writes:
        return RunResult(folder, evaluation, total_s)
    config["seconds"] = {"caching": caching_s, "training": run.trainer.elapsed_s, "total": total_s}
    _write_json(folder / "config.json", config)
    return RunResult(folder, evaluation, total_s)


class _Run:
    """One run, from its first epoch or its last checkpoint to its files."""

    def __init__(
        self,
        settings: TrainingSettings,
        folder: Path,
        dataset: Dataset,
        training: CachedPhotos,
        validation: CachedPhotos,
        config: dict[str, Any],
        listener: Listener,
    ) -> None:
        self.settings, self.folder, self.dataset = settings, folder, dataset
        self.training, self.validation = training, validation
        self.config, self.listener = config, listener
        self.preprocessing = Preprocessing(settings.resolution)
        self.processes = current_processes()
        self.trainer: Trainer

    def finish(self, device: torch.device, dtype: torch.dtype) -> Evaluation:
        torch.manual_seed(self.settings.seed)
        network = Classifier(self.settings.network(len(self.dataset.classes)))
        trainer = Trainer(network, self.training, self.settings, self.preprocessing, device, dtype)
        self.trainer = trainer
        position = load_checkpoint(self.folder / "checkpoint", network, trainer.average, trainer.optimizer)
        epoch = 0
        if position is not None:
            epoch, trainer.step, trainer.elapsed_s = position.epoch, position.step, position.elapsed_s
        tracker = self._open_folder(epoch + 1) if self.processes.writes else None
        try:
            while not trainer.finished:
                self._epoch(epoch, tracker)
                epoch += 1
        finally:
            if tracker is not None:
                tracker.close()
        evaluation = self._evaluate()
        if self.processes.writes:
            evaluation.write(self.folder / "evaluation.json")
            write_model(self.folder / "model.safetensors", trainer.average.network, self._card(evaluation))
        return evaluation

    def _open_folder(self, first_epoch: int) -> Tracker:
        with storage_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        _write_json(self.folder / "config.json", self.config)
        return Tracker(self.folder, first_epoch)

    def _epoch(self, epoch: int, tracker: Tracker | None) -> None:
        watch = Stopwatch()
        result = self.trainer.train_epoch(epoch, watch, self.listener.stepping)
        if tracker is None:
            return
        training_s = sum(watch.seconds.values())
        with watch.part("validation"):
            evaluation = self._evaluate()
        position = Position(epoch + 1, self.trainer.step, self.trainer.elapsed_s)
        line = _line(epoch + 1, result, evaluation, result.photos / training_s, watch)
        # Before the checkpoint: a run that is killed in between drops this line and writes it again.
        tracker.keep(line)
        with watch.part("checkpoint"):
            save_checkpoint(
                self.folder / "checkpoint",
                position,
                self.trainer.network,
                self.trainer.average,
                self.trainer.optimizer,
            )
        line["seconds"] = {name: round(seconds, 4) for name, seconds in watch.seconds.items()}
        tracker.log(line)
        self.listener.epoch(line)

    def _evaluate(self) -> Evaluation:
        predictor = TorchPredictor(self.trainer.average.network, self._card(), self.trainer.device)
        return evaluate(
            predictor,
            self.validation,
            self.validation.labels,
            self.validation.files,
            root=self.validation.photos.root,
            left_out=self.validation.left_out,
        )

    def _card(self, evaluation: Evaluation | None = None) -> ModelCard:
        provenance: dict[str, Any] = {}
        if evaluation is not None:
            metrics = {"top1": evaluation.top1, "loss": evaluation.loss, "photos": evaluation.photos}
            provenance = {**_portable(self.config), "validation_metrics": metrics}
        return ModelCard(
            self.settings.architecture,
            self.settings.width_multiplier,
            self.settings.resolution,
            self.dataset.classes,
            self.preprocessing,
            provenance=provenance,
        )


def _cache(
    dataset: Dataset, settings: TrainingSettings, listener: Listener
) -> tuple[CachedPhotos, CachedPhotos, float]:
    start = time.perf_counter()
    total = len(dataset.train) + len(dataset.validation)
    first = len(dataset.train)
    limit = settings.cache_bytes
    training = load(
        dataset.train,
        training_side(settings.resolution),
        max_bytes=limit,
        progress=lambda done, _: listener.caching(done, total),
    )
    validation = load(
        dataset.validation,
        settings.resolution,
        max_bytes=limit,
        progress=lambda done, _: listener.caching(first + done, total),
    )
    for photos in (training, validation):
        for note in photos.notes:
            listener.note(note)
        for left_out in photos.left_out:
            listener.note(f"left out {photos.photos.root / left_out.file}: {left_out.reason}")
    if len(training) < 2 or not len(validation):
        raise DataError(
            f"{dataset.root}: too few photos can be decoded to train on and validate; see `mobilenet train --help`"
        )
    return training, validation, time.perf_counter() - start


def _fitted(settings: TrainingSettings, photos: int) -> TrainingSettings:
    """A batch of at most an eighth of the photos (but 8), so that small data sets take enough steps an epoch."""
    largest = max(min(photos, 8), photos // 8)
    return replace(settings, batch_size=min(settings.batch_size, largest))


def _line(
    epoch: int, result: EpochResult, evaluation: Evaluation, images_per_second: float, watch: Stopwatch
) -> dict[str, Any]:
    return {
        "epoch": epoch,
        "learning_rate": result.learning_rate,
        "train_loss": result.loss,
        "train_top1": result.top1,
        "validation_loss": evaluation.loss,
        "top1": evaluation.top1,
        "top5": evaluation.top5,
        "images_per_second": images_per_second,
        "seconds": dict(watch.seconds),
    }


def _describe(
    settings: TrainingSettings,
    dataset: Dataset,
    photos: tuple[CachedPhotos, CachedPhotos],
    command: tuple[str, ...],
    device: torch.device,
    dtype: torch.dtype,
) -> dict[str, Any]:
    training, validation = photos
    return {
        "command": list(command) or ["mobilenet", "train", str(settings.data)],
        "settings": _from_anywhere(settings).to_json(),
        "precision": str(dtype).removeprefix("torch."),
        "versions": versions(),
        "machine": describe_machine(device),
        "data": {
            "root": str(dataset.root.resolve()),
            "classes": list(dataset.classes),
            "train_photos": len(training),
            "validation_photos": len(validation),
            "split": dataset.split,
            "hash": _data_hash(dataset),
            "left_out": [asdict(photo) for part in photos for photo in part.left_out],
        },
        "cost": cost(settings.network(len(dataset.classes))).to_json(),
    }


def _from_anywhere(settings: TrainingSettings) -> TrainingSettings:
    """The settings with whole paths, so that a run goes on from whichever folder `resume` is called in."""
    validation = None if settings.validation is None else settings.validation.absolute()
    return replace(settings, data=settings.data.absolute(), validation=validation)


def _portable(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration without the paths of this machine, for a file that is given away."""
    settings = {key: value for key, value in config["settings"].items() if key not in {"data", "validation"}}
    data = {key: value for key, value in config["data"].items() if key not in {"root", "left_out", "classes"}}
    if config["settings"]["validation"] is not None:
        data["split"] = "given"
    return {**{key: config[key] for key in ("precision", "versions", "machine")}, "settings": settings, "data": data}


def _data_hash(dataset: Dataset) -> str:
    """Of the names, sizes and classes of all photos, in order: changes when a photo is added, removed, moved or
    resized. A link to nothing, which is left out like every photo that cannot be read, has no size.
    """
    digest = hashlib.blake2b(digest_size=16)
    digest.update(json.dumps(dataset.classes).encode())
    for photos in (dataset.train, dataset.validation):
        _hash_photos(digest, photos)
    return digest.hexdigest()


def _hash_photos(digest: "hashlib.blake2b", photos: Photos) -> None:
    for index, (file, label) in enumerate(zip(photos.files, photos.labels.tolist(), strict=True)):
        size = _size(photos.path(index))
        digest.update(f"{file}\0{label}\0{size}\n".encode("utf-8", "surrogateescape"))


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _write_json(path: Path, document: dict[str, Any]) -> None:
    with atomic_write(path) as file:
        file.write(json.dumps(document, indent=1, ensure_ascii=False).encode("utf-8", "surrogateescape"))
