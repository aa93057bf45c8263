"""The result of a search: every candidate, its figures, its trials, and why it was chosen or not."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mobilenet.benchmark.device.profile import DeviceProfile, Estimate
from mobilenet.metrics.classification import wilson_interval
from mobilenet.search.budget import Limits, shown_size
from mobilenet.search.candidates import Candidate, Option, front
from mobilenet.search.trial.events import Trial
from mobilenet.search.trial.files import MeasuredFile, best, first_clause, nearest
from mobilenet.tasks.task import Goal

__all__ = ["Figures", "Fitted", "shown_accuracy"]


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures of a candidate as one of its `variant`s, such as 'int8 on litert'.

    `measured`: of a file, on the device; else latency and memory are estimates of the profile.
    """

    p95_ms: float
    file_bytes: int
    peak_bytes: int
    variant: str
    measured: bool


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """The end of a search. `chosen` is the file to use, of the candidate `winner`; None if none fits.

    `files` are all that were exported and proven, by candidate. `seconds` is the time for trainings, exports and
    proofs, without measuring the device. `goal` is what the task calls accuracy here.
    """

    folder: Path
    data: Path
    limits: Limits
    classes: int
    epochs: int
    options: tuple[Option, ...]
    trials: tuple[Trial, ...]
    files: Mapping[str, tuple[MeasuredFile, ...]]
    winner: Candidate | None
    chosen: MeasuredFile | None
    seconds: float
    profile: DeviceProfile
    goal: Goal

    @property
    def model(self) -> Path:
        """The path of the chosen file, whose name does not depend on the choice."""
        return self.folder / f"model{Path(self.chosen.file).suffix if self.chosen else ''}"

    @property
    def training_seconds(self) -> float | None:
        """The time of the winner's full training, in seconds."""
        full = (one.seconds for one in self.trials if one.candidate == self.winner and one.epochs == self.epochs)
        return next(full, None)

    def trials_of(self, candidate: Candidate) -> tuple[Trial, ...]:
        """Its trainings, shortest first."""
        return tuple(sorted((one for one in self.trials if one.candidate == candidate), key=lambda one: one.epochs))

    @property
    def short_trials(self) -> tuple[Trial, ...]:
        """The trainings shorter than a full one."""
        return tuple(one for one in self.trials if one.epochs < self.epochs)

    @property
    def estimated_for(self) -> str | None:
        """The processor of another device if files have its estimates; None if they were measured."""
        estimated = any(file.estimated for files in self.files.values() for file in files)
        return self.profile.environment.processor if estimated else None

    @property
    def photos(self) -> int | None:
        """The number of validation photos behind accuracies; None if no file has it."""
        proofs = (file.proof for files in self.files.values() for file in files)
        return next((int(proof["photos"]) for proof in proofs if proof.get("photos")), None)

    def interval(self, accuracy: float | None) -> tuple[float, float] | None:
        """The 95 % confidence interval (0…1) of an accuracy on that many photos; None if either is not known, or
        if accuracies are not shares of photos."""
        if accuracy is None or self.photos is None or not self.goal.of_photos:
            return None
        return wilson_interval(round(accuracy * self.photos), self.photos)

    def file_of(self, candidate: Candidate) -> MeasuredFile | None:
        """Of its files the chosen one, else the best one, else the one nearest to the budget."""
        files = self.files.get(str(candidate), ())
        if self.chosen in files:
            return self.chosen
        return best(files, self.limits) or nearest(files, self.limits)

    def figures(self, option: Option) -> Figures:
        """The figures to show for a candidate: of its file, else of the estimate that fits the budget best."""
        if (file := self.file_of(option.candidate)) is not None:
            words = f"{file.precision} on {file.runtime}"
            return Figures(file.p95_ms, file.size_bytes, file.peak_bytes, words, not file.estimated)
        estimate = min(option.inside, key=self._rank, default=option.nearest)
        words = f"{estimate.variant.precision} on {estimate.variant.runtime}"
        return Figures(estimate.p95_ms, estimate.file_bytes, estimate.peak_bytes, words, measured=False)

    def _rank(self, estimate: Estimate) -> tuple[float, float, float]:
        """The best fit first; the smallest, then the fastest, if an accuracy is required."""
        outside = self.limits.distance(estimate.p95_ms, estimate.file_bytes, estimate.peak_bytes)
        return 0.0 if self.limits.accuracy is not None else outside, estimate.file_bytes, estimate.p95_ms

    def verdict(self, option: Option) -> str:
        """Why this candidate was chosen, or was not."""
        if option.candidate == self.winner:
            return "chosen"
        if option.why_not:
            return option.why_not
        tried = self.trials_of(option.candidate)
        if not tried:
            return self._untried(option)
        file = self.file_of(option.candidate)
        if file is None:
            return self._left_behind(tried)
        if not file.usable:
            return f"as a file: {'; '.join(file.why_not)}"
        return self._beaten(file)

    def nearest_miss(self) -> str:
        """The file nearest to the budget in words, if none was chosen."""
        missed = nearest((file for files in self.files.values() for file in files), self.limits)
        if missed is None:
            return "nothing was exported"
        estimated = f"; latency and memory are estimated for {self.estimated_for}" if missed.estimated else ""
        return (
            f"the nearest is {Path(missed.file).name} on {missed.runtime}: {missed.p95_ms:.3g} ms at p95, "
            f"{shown_size(missed.size_bytes)}, {shown_size(missed.peak_bytes)} of memory, "
            f"{self.goal.noun} {shown_accuracy(missed.accuracy)}"
            + "".join(f"; {first_clause(failure)}" for failure in missed.failures)
            + estimated
        )

    def _untried(self, option: Option) -> str:
        if (goal := self.limits.accuracy) is not None:
            return "not needed: others were conclusive" if self.winner else f"others show it would not reach {goal:.1%}"
        larger = [
            str(other.candidate)
            for other in front(self.options)
            if option.candidate.within(other.candidate) and (other.native or not option.native)
        ]
        return f"dominated by {'a larger one' if len(larger) == 1 else 'larger ones'}: {', '.join(larger)}"

    def _left_behind(self, tried: tuple[Trial, ...]) -> str:
        """Why a candidate was not trained in full."""
        last, goal = tried[-1], self.limits.accuracy
        if self.winner is None:
            return f"{last.accuracy:.1%} {_after(last)}; others were tried first, and none of their files fits"
        if goal is not None:
            return _not_wanted(last, self.winner, goal)
        own = {one.epochs: one for one in self.trials_of(self.winner)}
        mine = next((one for one in reversed(tried) if one.epochs in own), None)
        if mine is None:
            return f"promise {last.promise:.1%} {_after(last)}"
        theirs = own[mine.epochs]
        behind = "behind" if theirs.promise > mine.promise else "not above"
        return f"promise {mine.promise:.1%} {_after(mine)}, {behind} {self.winner} with {theirs.promise:.1%}"

    def _beaten(self, file: MeasuredFile) -> str:
        """Why a usable file was not chosen."""
        if self.chosen is None:
            return "within the budget"
        if (goal := self.limits.accuracy) is not None:
            larger = "larger" if file.size_bytes > self.chosen.size_bytes else "no smaller, and no faster,"
            return f"reaches {goal:.1%}, but is {larger} than the chosen one"
        own, others = shown_accuracy(file.accuracy), shown_accuracy(self.chosen.accuracy)
        if file.accuracy == self.chosen.accuracy:
            return f"{own} as a file, the same as {self.winner}, which is faster"
        return f"{own} as a file, behind {self.winner} with {others}"

    def to_json(self) -> dict[str, Any]:
        """As a mapping for `json.dumps`."""
        return {
            "format": 1,
            "limits": self.limits.to_json(),
            "data": str(self.data),
            "classes": self.classes,
            "epochs": self.epochs,
            "goal": self.goal.name,
            "winner": None if self.winner is None else asdict(self.winner),
            "model": None if self.chosen is None else str(self.model),
            "chosen": None if self.chosen is None else self.chosen.to_json(),
            "seconds": self.seconds,
            "training_seconds": self.training_seconds,
            "candidates": list(self._rows()),
            "files": {name: [file.to_json() for file in files] for name, files in self.files.items()},
            "environment": asdict(self.profile.environment),
        }

    def _rows(self) -> Iterator[dict[str, Any]]:
        for option in self.options:
            yield {
                "width_multiplier": option.candidate.width_multiplier,
                "resolution": option.candidate.resolution,
                "inside": [asdict(estimate) for estimate in option.inside],
                "nearest": asdict(option.nearest),
                "figures": asdict(self.figures(option)),
                "native_weights": option.native,
                "trials": [
                    {"epochs": one.epochs, "accuracy": one.accuracy, "promise": one.promise, "seconds": one.seconds}
                    for one in self.trials_of(option.candidate)
                ],
                "verdict": self.verdict(option),
            }


def shown_accuracy(accuracy: float | None) -> str:
    """0.8944 -> '89.4%'."""
    return "not known" if accuracy is None else f"{accuracy:.1%}"


def _after(trial: Trial) -> str:
    return f"after {trial.epochs} epoch{'s' * (trial.epochs > 1)}"


def _not_wanted(last: Trial, winner: Candidate, goal: float) -> str:
    """Why the search for the smallest that reaches the `goal` gave a candidate only a short training."""
    if last.candidate < winner:
        return f"would not reach {goal:.1%}: {last.accuracy:.1%} {_after(last)}"
    narrower = last.candidate.width_multiplier > winner.width_multiplier
    return f"{winner} reaches {goal:.1%} and {'is narrower' if narrower else 'has fewer pixels'}"
