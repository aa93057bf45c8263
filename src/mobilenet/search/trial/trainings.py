"""Trains candidates, each in its own run folder; no training is repeated."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mobilenet.errors import ConfigError
from mobilenet.runs.folder import RunFolder
from mobilenet.runs.metrics_log import read_metrics
from mobilenet.search.candidates import Candidate
from mobilenet.search.journal.journal import Journal
from mobilenet.search.trial.events import Trial
from mobilenet.tasks.task import Goal
from mobilenet.training.run import resume, train
from mobilenet.training.settings import TrainingSettings
from mobilenet.training.tracking.listener import Listener
from mobilenet.weights.open import open_weights

__all__ = ["Trainings", "WeightFile", "read_weights"]


@dataclass(frozen=True, slots=True)
class WeightFile:
    """Weights to start from, and the width and resolution of their network."""

    source: str
    width_multiplier: float
    resolution: int


def read_weights(sources: Sequence[str]) -> tuple[WeightFile, ...]:
    """The networks of these weights; ModelError if they cannot be read, ConfigError for any but a MobileNet V1."""
    return tuple(_read(source) for source in sources)


def _read(source: str) -> WeightFile:
    card = open_weights(source).card
    if card.architecture != "mobilenet_v1":
        raise ConfigError(f"{source} contains a {card.architecture}; a search needs a mobilenet_v1")
    return WeightFile(source, card.width_multiplier, card.resolution)


@dataclass(frozen=True, slots=True)
class Trainings:
    """Trains by `settings`, which leave width and resolution open, below `folder`; `journal` records what is done.

    `epochs` are those of a full training, whose run folder is named after the candidate alone. `listener(name, epochs)`
    returns the listener for one training.
    """

    settings: TrainingSettings
    epochs: int
    weights: tuple[WeightFile, ...]
    folder: Path
    journal: Journal
    listener: Callable[[str, int], Listener]
    goal: Goal

    def trial(self, candidate: Candidate, epochs: int) -> Trial:
        """Train a candidate for `epochs` epochs, or look up the result in the journal."""
        found = self.journal.step(f"train {candidate} for {epochs} epochs", lambda: self._train(candidate, epochs))
        accuracy, learned = float(found["accuracy"]), float(found["learned"])
        promise = accuracy if epochs == self.epochs else (accuracy + learned) / 2
        return Trial(candidate, epochs, accuracy, promise, float(found["seconds"]))

    def run_folder(self, candidate: Candidate, epochs: int) -> Path:
        """The run folder of a training."""
        name = str(candidate) if epochs == self.epochs else f"{candidate}-{epochs}-epochs"
        return self.folder / "runs" / name

    def source(self, candidate: Candidate) -> str | None:
        """The weights that a candidate starts from: those of the smallest width that is not below its own, and of these
        those of the nearest resolution; None for random ones. Training prunes wider ones."""
        wide = [file for file in self.weights if file.width_multiplier >= candidate.width_multiplier]
        if not wide:
            return None
        width = min(file.width_multiplier for file in wide)
        same = [file for file in wide if file.width_multiplier == width]
        return min(same, key=lambda file: abs(file.resolution - candidate.resolution)).source

    def _train(self, candidate: Candidate, epochs: int) -> dict[str, Any]:
        folder, listener = self.run_folder(candidate, epochs), self.listener(str(candidate), epochs)
        before = _spent(folder)
        if RunFolder(folder).is_run:
            found = resume(folder, photos_of=self.settings, listener=listener)
        else:
            # Killed before it wrote its configuration: there is nothing to resume from.
            shutil.rmtree(folder, ignore_errors=True)
            source = self.source(candidate)
            settings = replace(
                self.settings,
                weights=source,
                width_multiplier=candidate.width_multiplier,
                resolution=candidate.resolution,
                epochs=epochs,
            )
            found = train(settings, folder, listener=listener)
        last = read_metrics(RunFolder(folder).metrics).lines[-1]
        seconds = round(before + found.total_s, 1)
        accuracy = found.evaluation.figures[self.goal.name]
        # A task whose training does not report its goal is judged by validation alone.
        return {"accuracy": accuracy, "learned": last.get(f"train_{self.goal.name}", accuracy), "seconds": seconds}


def _spent(folder: Path) -> float:
    """The total time of recorded epochs: that of a training before it was interrupted."""
    return sum(sum(line["seconds"].values()) for line in read_metrics(RunFolder(folder).metrics).lines)
