"""From settings to a run folder: the function behind `mobilenet train`."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mobilenet.card import ModelCard
from mobilenet.datasets import Dataset, open_dataset, read_exclusions
from mobilenet.datasets.cache import CachedPhotos, load
from mobilenet.datasets.check import quick_check
from mobilenet.errors import ConfigError, DataError, ModelError
from mobilenet.evaluate import Evaluation, evaluate
from mobilenet.files import check_writable, storage_errors
from mobilenet.nn.model_file import write_model
from mobilenet.nn.network import Classifier
from mobilenet.runtimes.torch import TorchPredictor
from mobilenet.training.checkpoint import Position, has_checkpoint, load_checkpoint, save_checkpoint
from mobilenet.training.listener import Listener, Silence
from mobilenet.training.loop import EpochResult, Stopwatch, Trainer
from mobilenet.training.machine import keep_freed_memory, pick_device, pick_precision
from mobilenet.training.plan import Plan, make_plan
from mobilenet.training.processes import current_processes
from mobilenet.training.record import describe, portable, write_json
from mobilenet.training.settings import TrainingSettings
from mobilenet.training.tracking import Tracker
from mobilenet.training.transfer import Source, adopt, open_source, refit, start

__all__ = ["RunResult", "new_run_folder", "resume", "train", "training_side"]


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
    """A folder below `parent` named after the data and the network, which is not there yet; ModelError for weights that
    cannot be read."""
    if settings.weights is not None:
        settings = adopt(settings, open_source(settings.weights).card)
    network = settings.network(2)
    name = f"{settings.data.resolve().stem}-{network.name}-{network.width_multiplier:g}-{network.resolution}"
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
    begin = time.perf_counter()
    keep_freed_memory()
    device = pick_device(settings.device)
    dtype = pick_precision(settings.precision, device)
    check_writable(folder)
    source = None
    if settings.weights is not None and not has_checkpoint(folder / "checkpoint"):
        source = open_source(settings.weights)
        settings = adopt(settings, source.card)
    exclude = read_exclusions(settings.exclude)
    dataset = open_dataset(settings.data, validation=settings.validation, seed=settings.seed, exclude=exclude)
    for note in (*dataset.notes, *(source.notes if source else ())):
        listener.note(note)
    training, validation, caching_s = _cache(dataset, settings, listener)
    if found := quick_check(dataset.classes, training, validation):
        listener.note(f"check: {found}; see mobilenet check {settings.data}")
    plan = make_plan(settings, len(training))
    if plan.batch_size < settings.batch_size:
        photos = f"{len(training)} to train on"
        listener.note(f"batches of {plan.batch_size} photos, not {settings.batch_size}: there are {photos}")
    config = describe(settings, plan, dataset, (training, validation), command, device, dtype)
    if data_hash is not None and data_hash != config["data"]["hash"]:
        raise ConfigError(f"{dataset.root} is not what {folder} was trained on: photos were added, removed or changed")
    run = _Run(settings, plan, folder, dataset, training, validation, config, listener)
    evaluation = run.finish(source, device, dtype)
    total_s = time.perf_counter() - begin
    if not run.processes.writes:
        return RunResult(folder, evaluation, total_s)
    config["seconds"] = {"caching": caching_s, "training": run.trainer.elapsed_s, "total": total_s}
    write_json(folder / "config.json", config)
    return RunResult(folder, evaluation, total_s)


class _Run:
    """One run, from its first epoch or its last checkpoint to its files."""

    def __init__(
        self,
        settings: TrainingSettings,
        plan: Plan,
        folder: Path,
        dataset: Dataset,
        training: CachedPhotos,
        validation: CachedPhotos,
        config: dict[str, Any],
        listener: Listener,
    ) -> None:
        self.settings, self.plan, self.folder, self.dataset = settings, plan, folder, dataset
        self.training, self.validation = training, validation
        self.config, self.listener = config, listener
        self.processes = current_processes()
        self.trainer: Trainer

    def finish(self, source: Source | None, device: torch.device, dtype: torch.dtype) -> Evaluation:
        torch.manual_seed(self.settings.seed)
        network = Classifier(self.settings.network(len(self.dataset.classes)))
        trainer = Trainer(network, self.training, self.settings, self.plan, device, dtype)
        self.trainer = trainer
        position = load_checkpoint(self.folder / "checkpoint", network, trainer.average, trainer.optimizer)
        epoch = 0
        if position is not None:
            epoch, trainer.step, trainer.elapsed_s = position.epoch, position.step, position.elapsed_s
        tracker = self._open_folder(epoch + (position is not None)) if self.processes.writes else None
        try:
            if source is not None and position is None:
                self._start(source, tracker)
            while not (trainer.finished or self._stalled(tracker)):
                self._epoch(epoch, tracker)
                epoch += 1
            if trainer.step and self.settings.weights is not None:
                self.listener.note("the classifier is fitted again, to the features that the network has learned")
                refit(trainer, self.listener.reading)
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
        write_json(self.folder / "config.json", self.config)
        return Tracker(self.folder, first_epoch)

    def _start(self, source: Source, tracker: Tracker | None) -> None:
        """What is done before the first epoch, with other weights: it is recorded as epoch 0."""
        watch = Stopwatch()
        start(self.trainer, source, watch, self.listener.reading)
        self._keep(0, None, watch, tracker)

    def _epoch(self, epoch: int, tracker: Tracker | None) -> None:
        watch = Stopwatch()
        result = self.trainer.train_epoch(epoch, watch, self.listener.stepping)
        self._keep(epoch + 1, result, watch, tracker)

    def _stalled(self, tracker: Tracker | None) -> bool:
        """Whether `patience` epochs have gone by without a lower validation loss."""
        if tracker is None or self.settings.patience is None:
            return False
        losses = {line["epoch"]: line["validation_loss"] for line in tracker.lines if "validation_loss" in line}
        best = min(losses, key=lambda epoch: losses[epoch], default=0)
        return max(losses, default=0) - best >= self.settings.patience

    def _worth_evaluating(self, epochs: int) -> bool:
        """Whether as many photos were trained on as there are to validate, since the last time or at all."""
        trained, photos = len(self.training), len(self.validation)
        due = epochs * trained // photos > (epochs - 1) * trained // photos
        return not epochs or due or self.trainer.finished

    def _keep(self, epochs: int, result: EpochResult | None, watch: Stopwatch, tracker: Tracker | None) -> None:
        """Evaluate, and write the metrics and a checkpoint after so many `epochs`."""
        if tracker is None:
            return
        training_s = sum(watch.seconds.values())
        evaluation = None
        if self._worth_evaluating(epochs):
            with watch.part("validation"):
                evaluation = self._evaluate()
        position = Position(epochs, self.trainer.step, self.trainer.elapsed_s)
        line = _line(epochs, result, evaluation, training_s)
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
            provenance = {**portable(self.config), "validation_metrics": metrics}
        network = self.trainer.network.spec
        return ModelCard(
            network.name,
            network.width_multiplier,
            network.resolution,
            self.dataset.classes,
            self.settings.preprocessing,
            self.settings.style,
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
        training_side(settings.side),
        max_bytes=limit,
        progress=lambda done, _: listener.caching(done, total),
    )
    validation = load(
        dataset.validation,
        settings.side,
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


def _line(epoch: int, result: EpochResult | None, evaluation: Evaluation | None, training_s: float) -> dict[str, Any]:
    line: dict[str, Any] = {"epoch": epoch}
    if result is not None:
        line |= {"learning_rate": result.learning_rate, "train_loss": result.loss, "train_top1": result.top1}
    if evaluation is not None:
        line |= {"validation_loss": evaluation.loss, "top1": evaluation.top1, "top5": evaluation.top5}
    if result is not None:
        line["images_per_second"] = result.photos / training_s
    return line
