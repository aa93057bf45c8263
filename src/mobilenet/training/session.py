"""One run, from its first step or its last checkpoint to its files; however it is interrupted, it can be resumed."""

import json
import shlex
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import torch
from safetensors.torch import load, save

from mobilenet.errors import Interrupted, ProcessError
from mobilenet.evaluate import Evaluation, evaluate
from mobilenet.files import storage_errors
from mobilenet.model.card import ModelCard
from mobilenet.nn.model_file import write_model
from mobilenet.nn.network import TableNetwork
from mobilenet.runs.config import write_config
from mobilenet.runs.folder import RunFolder
from mobilenet.runs.split import write_photos
from mobilenet.runs.trained_on import compact
from mobilenet.runtimes.torch import TorchPredictor
from mobilenet.training.finish import finish
from mobilenet.training.job import Job, Surroundings
from mobilenet.training.loop import EpochResult, Stopwatch, Trainer, fill
from mobilenet.training.plateau import new_plateau_note
from mobilenet.training.record import portable
from mobilenet.training.resume.checkpoint import Checkpoint, Checkpoints
from mobilenet.training.resume.fingerprint import check_settings
from mobilenet.training.resume.state import capture, restore
from mobilenet.training.system.interruption import TERMINATED
from mobilenet.training.tracking.tracker import Tracker

__all__ = ["Session"]

Start = Callable[[Trainer, Stopwatch, Callable[[int, int], None]], None]
"""Makes a network ready before its first step, hears the time and says how far it is: (done, all)."""


class Session:
    """Trains, evaluates and writes the results, as one of several processes or alone."""

    def __init__(self, job: Job, around: Surroundings) -> None:
        self.job = job
        self.processes, self.interruption, self.listener = around.processes, around.interruption, around.listener
        self.checkpoints = Checkpoints(RunFolder(job.folder).checkpoints, job.settings.keep_checkpoints)
        self.trainer: Trainer
        self._tracker: Tracker | None = None
        self._watch = Stopwatch()
        self._epoch = 0
        """Epochs recorded so far."""
        self._whole = False
        """Whether the state can be resumed from."""
        self._saved_s = time.monotonic()

    def finish(self, begin: Start | None) -> Evaluation:
        """Do what is left to do; `begin` is done before the first step of a run that starts from other weights.

        ProcessError if another process is lost.
        """
        job = self.job
        torch.manual_seed(job.settings.seed)
        network = TableNetwork(job.card.network(), job.card.outputs)
        objective = job.lessons.wrapped(job.task.objective(job.card, job.settings))
        fill(network, objective.initial)
        self.trainer = Trainer(
            network,
            objective,
            job.training,
            job.settings,
            job.plan,
            job.device,
            job.dtype,
            self.processes,
            job.lessons,
        )
        lines = self._restore()
        if self.processes.writes:
            self._tracker = self._open_folder(lines)
        with self._tracker or nullcontext():
            try:
                return self._finish(begin, recorded=bool(lines))
            except Interrupted:
                self._save_what_is_whole()
                raise
            except ProcessError as error:
                self._save_what_is_whole()
                how = f"mobilenet train --resume {shlex.quote(str(job.folder))}"
                raise ProcessError(f"{error}; resume with any number of processes: {how}") from error

    def _finish(self, begin: Start | None, *, recorded: bool) -> Evaluation:
        trainer = self.trainer
        if not self._whole:
            self._start(begin)
        if self.job.settings.weights is not None and trainer.objective.fits_head and not recorded:
            self._keep(None)
        if self.job.settings.weights is not None and not (trainer.step or trainer.finished):
            # A fitted head is a model by itself, but its weights are several times those that training ends with: the
            # first steps would pull the body apart.
            trainer.zero_head()
        while trainer.sums or not (trainer.finished or self._stalled()):
            result = trainer.train_epoch(self._epoch, self._watch, self.listener.stepping, self._after_step)
            self._epoch += 1
            self._keep(result)
        # All that is needed to resume is saved; what follows is repeated on each resume.
        self._whole = False
        evaluation = self._result() if self.processes.writes else b""
        return Evaluation.from_json(self.processes.said_by_the_first(evaluation).decode())

    def _result(self) -> bytes:
        """Finish and evaluate the model, write both, and return the evaluation as JSON."""
        job = self.job
        with self.interruption.immediately():
            found = finish(self.trainer.average.network, job.card, job.task, job.validation, job.folder, job.device)
        if found.note:
            self.listener.note(found.note)
        found.evaluation.write(RunFolder(job.folder).evaluation)
        write_model(RunFolder(job.folder).model, found.network, self._signed(found.card, found.evaluation))
        return found.evaluation.to_json().encode()

    def _open_folder(self, lines: list[dict[str, Any]]) -> Tracker:
        with storage_errors(self.job.folder):
            self.job.folder.mkdir(parents=True, exist_ok=True)
        self.checkpoints.tidy()
        for part in self.job.folder.glob(".*.part"):
            part.unlink(missing_ok=True)
        photos = RunFolder(self.job.folder).photos
        if not photos.exists():
            write_photos(photos, (self.job.training, self.job.validation), self.job.card.vocabulary)
        write_config(RunFolder(self.job.folder), self.job.config)
        return Tracker(self.job.folder, lines, self.job.settings.track, self.job.config, self.listener.note)

    def _restore(self) -> list[dict[str, Any]]:
        """Restore the last checkpoint, which the first process reads; returns the lines of all recorded epochs."""
        saved = self.checkpoints.load() if self.processes.writes else None
        fields = json.loads(self.processes.said_by_the_first(json.dumps(saved and saved.fields).encode()))
        if fields is None:
            return []
        tensors = saved.tensors if saved and self.processes.count == 1 else self._send(saved)
        check_settings(self.job.folder, fields["settings"], self.job.config["settings"])
        restore(self.trainer, fields, tensors)
        self._epoch, self._watch.seconds = fields["epoch"], dict(fields["seconds"])
        self._whole = True
        if saved and saved.damaged:
            self.listener.note(f"{'; '.join(saved.damaged)}: resuming from the one before, at step {fields['step']:,}")
        return list(fields["metrics"])

    def _send(self, saved: Checkpoint | None) -> dict[str, torch.Tensor]:
        return load(self.processes.said_by_the_first(save(saved.tensors) if saved else b""))

    def _start(self, begin: Start | None) -> None:
        """What is done before the first step: with other weights, their body, and a classifier fitted to the photos."""
        if begin is not None and self.processes.writes:
            with self.interruption.immediately():
                begin(self.trainer, self._watch, self.listener.reading)
        self.processes.wait()
        self.trainer.elapsed_s = self.processes.largest(self.trainer.elapsed_s)
        self._whole = True

    def _after_step(self) -> None:
        """Between two steps: stop if a signal was received, save if a checkpoint is due."""
        if self.processes.largest(self.interruption.pending):
            self.interruption.check()
            raise Interrupted(TERMINATED)
        if self.processes.writes and time.monotonic() - self._saved_s >= 60 * self.job.settings.checkpoint_minutes:
            with self._watch.part("checkpoint"):
                self._save()

    def _save_what_is_whole(self) -> None:
        if self._whole and self.processes.writes:
            self._save()

    def _save(self) -> None:
        fields, tensors = capture(self.trainer)
        about = {
            "epoch": self._epoch,
            "seconds": self._watch.seconds,
            "metrics": self._tracker.lines if self._tracker else (),
            "settings": self.job.config["settings"],
        }
        self.checkpoints.save({**fields, **about}, tensors)
        self._saved_s = time.monotonic()

    def _stalled(self) -> bool:
        """Whether `patience` epochs have gone by without a lower validation loss, for all processes alike."""
        patience, lines = self.job.settings.patience, self._tracker.lines if self._tracker else ()
        if patience is None:
            return False
        losses = {
            line["epoch"]: line["validation_loss"] for line in lines if line["epoch"] and "validation_loss" in line
        }
        best = min(losses, key=lambda epoch: losses[epoch], default=0)
        return bool(self.processes.largest(max(losses, default=0) - best >= patience))

    def _worth_evaluating(self) -> bool:
        """Whether as many photos were trained on as there are to validate, since the last time or at all."""
        epochs, trained, photos = self._epoch, len(self.job.training), len(self.job.validation)
        due = epochs * trained // photos > (epochs - 1) * trained // photos
        return not epochs or due or self.trainer.finished

    def _keep(self, result: EpochResult | None) -> None:
        """Evaluate, and write metrics and a checkpoint, after an epoch or the preparation of the first."""
        try:
            if self._tracker is not None:
                self._record(result, self._tracker)
        except Interrupted:
            # The epoch's steps are done but not recorded; a resumed run records them first.
            self._epoch -= result is not None
            raise
        self.processes.wait()
        self.trainer.sums, self._watch = [], Stopwatch()

    def _record(self, result: EpochResult | None, tracker: Tracker) -> None:
        watch = self._watch
        training_s = sum(spent for part, spent in watch.seconds.items() if part not in {"checkpoint", "validation"})
        evaluation = None
        if self._worth_evaluating():
            with watch.part("validation"):
                evaluation = self._evaluate()
        line = _line(self._epoch, result, self._measured(evaluation), training_s)
        line["seconds"] = _rounded(watch)
        tracker.keep(line)
        self.trainer.sums = []
        with watch.part("checkpoint"):
            self._save()
        line["seconds"] = _rounded(watch)
        tracker.log(line)
        self.listener.epoch(line)
        if note := new_plateau_note(self.job.config, tracker.lines):
            self.listener.note(note)

    def _evaluate(self) -> Evaluation:
        predictor = TorchPredictor(self.trainer.average.network, self.job.card, self.trainer.device)
        with self.interruption.immediately():
            return evaluate(
                predictor,
                self.job.task,
                self.job.validation,
                self.job.validation.targets,
                self.job.validation.files,
                root=self.job.validation.photos.root,
                left_out=self.job.validation.left_out,
            )

    def _signed(self, card: ModelCard, evaluation: Evaluation) -> ModelCard:
        """The card with where the model came from."""
        goal = self.job.task.goal.name
        metrics = {goal: evaluation.figures[goal], "loss": evaluation.figures["loss"]}
        measured = {**metrics, "photos": evaluation.photos}
        provenance = {**portable(self.job.config), "validation_metrics": measured}
        provenance["data"]["trained_on"] = compact([key.tobytes() for key in self.job.training.digests])
        return replace(card, provenance=provenance)

    def _measured(self, evaluation: Evaluation | None) -> dict[str, Any]:
        """The part of a line of metrics.jsonl about validation."""
        if evaluation is None:
            return {}
        figures = {name: evaluation.figures[name] for _, name in self.job.task.curves}
        return {"validation_loss": evaluation.figures["loss"], **figures}


def _rounded(watch: Stopwatch) -> dict[str, float]:
    return {name: round(seconds, 4) for name, seconds in watch.seconds.items()}


def _line(epoch: int, result: EpochResult | None, measured: dict[str, Any], training_s: float) -> dict[str, Any]:
    line: dict[str, Any] = {"epoch": epoch}
    if result is not None:
        line |= {"learning_rate": result.learning_rate}
        line |= {f"train_{name}": value for name, value in result.values.items()}
    line |= measured
    if result is not None:
        line["images_per_second"] = result.photos / training_s
    return line
