"""Trains candidates, each in a run folder of its own; what was trained once is not trained again."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mobilenet.errors import ConfigError
from mobilenet.runs.folder import RunFolder
from mobilenet.runs.metrics_log import read_metrics
from mobilenet.search.candidates import Candidate
from mobilenet.search.journal.journal import Memory
from mobilenet.search.trial.events import Trial
from mobilenet.tasks.task import Goal
from mobilenet.training.run import resume, train
from mobilenet.training.settings import TrainingSettings
from mobilenet.training.tracking.listener import Listener
from mobilenet.weights.open import open_weights

__all__ = ["Trainings", "WeightFile", "read_weights"]


@dataclass(frozen=True, slots=True)
class WeightFile:
    """Weights to start from, and the network that they are of."""

    source: str
    width_multiplier: float
    resolution: int


def read_weights(sources: Sequence[str]) -> tuple[WeightFile, ...]:
    """Which networks these are; ModelError for what cannot be read, ConfigError for what is no MobileNet V1."""
    return tuple(_read(source) for source in sources)


def _read(source: str) -> WeightFile:
    card = open_weights(source).card
    if card.architecture != "mobilenet_v1":
        raise ConfigError(f"{source} holds a {card.architecture}; a search needs a mobilenet_v1")
    return WeightFile(source, card.width_multiplier, card.resolution)


@dataclass(frozen=True, slots=True)
class Trainings:
    """Trains by `settings`, which leave width and resolution open, below `folder`; `memory` knows what is done.

    `epochs` are those of a full training, whose run folder has the candidate's name alone. `listener(name, epochs)`
    hears of one training.
    """

    settings: TrainingSettings
    epochs: int
    weights: tuple[WeightFile, ...]
    folder: Path
    memory: Memory
    listener: Callable[[str, int], Listener]
    goal: Goal

    def trial(self, candidate: Candidate, epochs: int) -> Trial:
        """Train a candidate for so many epochs, or remember how that went."""
        found = self.memory.step(f"train {candidate} for {epochs} epochs", lambda: self._train(candidate, epochs))
        accuracy, learned = float(found["accuracy"]), float(found["learned"])
        promise = accuracy if epochs == self.epochs else (accuracy + learned) / 2
        return Trial(candidate, epochs, accuracy, promise, float(found["seconds"]))

    def run_folder(self, candidate: Candidate, epochs: int) -> Path:
        """Where a training lies, or will."""
        name = str(candidate) if epochs == self.epochs else f"{candidate}-{epochs}-epochs"
        return self.folder / "runs" / name

    def source(self, candidate: Candidate) -> str | None:
        """The weights that a candidate starts from: those of the nearest width that is not below its own, of these
        those of the nearest resolution; None for random ones. Training makes wider ones thinner."""
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
            # Killed before it had said what it was: there is nothing to go on from.
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
    """Seconds of the epochs that are recorded: what a training took before it was interrupted."""
    return sum(sum(line["seconds"].values()) for line in read_metrics(RunFolder(folder).metrics).lines)
