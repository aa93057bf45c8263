"""What a search found: every candidate, what it takes, how it was tried, and why it was taken or not."""

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

__all__ = ["Figures", "Fitted", "shown_accuracy"]


@dataclass(frozen=True, slots=True)
class Figures:
    """What a candidate takes as one of its `variant`s, such as 'int8 on litert'.

    `measured`: of a file, on the device; else latency and memory are what the profile expects.
    """

    p95_ms: float
    file_bytes: int
    peak_bytes: int
    variant: str
    measured: bool


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """The end of a search. `chosen` is the file to use, of the candidate `winner`; None where none is inside.

    `files` are all that were exported and proven, by candidate. `seconds` is what trainings, exports and proofs took,
    without measuring the device.
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

    @property
    def model(self) -> Path:
        """Where the chosen file lies, under a name that does not depend on which it is."""
        return self.folder / f"model{Path(self.chosen.file).suffix if self.chosen else ''}"

    @property
    def training_seconds(self) -> float | None:
        """What the full training of the winner took."""
        full = (one.seconds for one in self.trials if one.candidate == self.winner and one.epochs == self.epochs)
        return next(full, None)

    def trials_of(self, candidate: Candidate) -> tuple[Trial, ...]:
        """Its trainings, from the shortest on."""
        return tuple(sorted((one for one in self.trials if one.candidate == candidate), key=lambda one: one.epochs))

    @property
    def short_trials(self) -> tuple[Trial, ...]:
        """Those that were shorter than a full training."""
        return tuple(one for one in self.trials if one.epochs < self.epochs)

    @property
    def estimated_for(self) -> str | None:
        """The processor of another device, where files have its estimates; None where they were measured."""
        estimated = any(file.estimated for files in self.files.values() for file in files)
        return self.profile.environment.processor if estimated else None

    @property
    def photos(self) -> int | None:
        """How many validation photos accuracies are of; None where no file tells."""
        proofs = (file.proof for files in self.files.values() for file in files)
        return next((int(proof["photos"]) for proof in proofs if proof.get("photos")), None)

    def interval(self, accuracy: float | None) -> tuple[float, float] | None:
        """The 95 % interval (0…1) that so many photos leave an accuracy; None where either is not known."""
        if accuracy is None or self.photos is None:
            return None
        return wilson_interval(round(accuracy * self.photos), self.photos)

    def file_of(self, candidate: Candidate) -> MeasuredFile | None:
        """Of its files the chosen one, or the one that would have been, or the one that misses the budget least."""
        files = self.files.get(str(candidate), ())
        if self.chosen in files:
            return self.chosen
        return best(files, self.limits) or nearest(files, self.limits)

    def figures(self, option: Option) -> Figures:
        """What to show of a candidate: its file, else the estimate that suits the budget best."""
        if (file := self.file_of(option.candidate)) is not None:
            words = f"{file.precision} on {file.runtime}"
            return Figures(file.p95_ms, file.size_bytes, file.peak_bytes, words, not file.estimated)
        estimate = min(option.inside, key=self._rank, default=option.nearest)
        words = f"{estimate.variant.precision} on {estimate.variant.runtime}"
        return Figures(estimate.p95_ms, estimate.file_bytes, estimate.peak_bytes, words, measured=False)

    def _rank(self, estimate: Estimate) -> tuple[float, float, float]:
        """The deepest inside comes first; the smallest, then the fastest, where an accuracy is the aim."""
        outside = self.limits.distance(estimate.p95_ms, estimate.file_bytes, estimate.peak_bytes)
        return 0.0 if self.limits.accuracy is not None else outside, estimate.file_bytes, estimate.p95_ms

    def verdict(self, option: Option) -> str:
        """Why this candidate was taken, or was not."""
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
        """Where nothing is chosen: what came nearest, in words."""
        missed = nearest((file for files in self.files.values() for file in files), self.limits)
        if missed is None:
            return "nothing was exported"
        estimated = f"; latency and memory are estimated for {self.estimated_for}" if missed.estimated else ""
        return (
            f"the nearest is {Path(missed.file).name} on {missed.runtime}: {missed.p95_ms:.3g} ms at p95, "
            f"{shown_size(missed.size_bytes)}, {shown_size(missed.peak_bytes)} of memory, accuracy "
            f"{shown_accuracy(missed.accuracy)}"
            + "".join(f"; {first_clause(failure)}" for failure in missed.failures)
            + estimated
        )

    def _untried(self, option: Option) -> str:
        if (goal := self.limits.accuracy) is not None:
            return (
                "not needed: others told enough" if self.winner else f"others told that it would not reach {goal:.1%}"
            )
        larger = [
            str(other.candidate)
            for other in front(self.options)
            if option.candidate.within(other.candidate) and (other.native or not option.native)
        ]
        return f"gave way to {'a larger one' if len(larger) == 1 else 'larger ones'}: {', '.join(larger)}"

    def _left_behind(self, tried: tuple[Trial, ...]) -> str:
        """Why a candidate was not trained in full."""
        last, goal = tried[-1], self.limits.accuracy
        if self.winner is None:
            return f"{last.accuracy:.1%} {_after(last)}; others came first, and none of their files is inside"
        if goal is not None:
            return _not_wanted(last, self.winner, goal)
        own = {one.epochs: one for one in self.trials_of(self.winner)}
        mine = next((one for one in reversed(tried) if one.epochs in own), None)
        if mine is None:
            return f"promise {last.promise:.1%} {_after(last)}"
        theirs = own[mine.epochs]
        behind = "behind" if theirs.promise > mine.promise else "no more than"
        return f"promise {mine.promise:.1%} {_after(mine)}, {behind} {self.winner} with {theirs.promise:.1%}"

    def _beaten(self, file: MeasuredFile) -> str:
        """Why a file that may be used was not."""
        if self.chosen is None:
            return "inside"
        if (goal := self.limits.accuracy) is not None:
            larger = "larger" if file.size_bytes > self.chosen.size_bytes else "no smaller, and no faster,"
            return f"reaches {goal:.1%}, but is {larger} than the one chosen"
        own, others = shown_accuracy(file.accuracy), shown_accuracy(self.chosen.accuracy)
        if file.accuracy == self.chosen.accuracy:
            return f"{own} as a file, as {self.winner}, which is faster"
        return f"{own} as a file, behind {self.winner} with {others}"

    def to_json(self) -> dict[str, Any]:
        """As a mapping that `json.dumps` takes."""
        return {
            "format": 1,
            "limits": self.limits.to_json(),
            "data": str(self.data),
            "classes": self.classes,
            "epochs": self.epochs,
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
    """Why the search for the smallest that reaches the `goal` left a candidate with a short training."""
    if last.candidate < winner:
        return f"would not reach {goal:.1%}: {last.accuracy:.1%} {_after(last)}"
    narrower = last.candidate.width_multiplier > winner.width_multiplier
    return f"{winner} reaches {goal:.1%} and {'is narrower' if narrower else 'has fewer pixels'}"
