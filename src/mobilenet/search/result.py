"""What a search found: every candidate, what it takes, how it was tried, and why it was taken or not."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mobilenet.benchmark.profile import DeviceProfile
from mobilenet.search.candidates import Candidate, Option, front
from mobilenet.search.files import MeasuredFile, nearest
from mobilenet.search.limits import Limits, shown_size
from mobilenet.search.trial import Trial

__all__ = ["Fitted"]


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """The end of a search. `chosen` is the file to use, of the candidate `winner`; None where none is inside.

    `files` are all that were exported and measured, by candidate. `seconds` is what all trainings and exports took.
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

    def verdict(self, option: Option) -> str:
        """Why this candidate was taken, or was not."""
        if option.candidate == self.winner:
            return "chosen"
        if option.why_not:
            return option.why_not
        tried = self.trials_of(option.candidate)
        if not tried:
            return self._untried(option)
        files = self.files.get(str(option.candidate), ())
        if (missed := nearest(files, self.limits)) is not None and not missed.usable:
            return f"as a file: {'; '.join((*missed.over, *missed.failures))}"
        return self._beaten(tried[-1])

    def nearest_miss(self) -> str:
        """Where nothing is chosen: what came nearest, in words."""
        missed = nearest((file for files in self.files.values() for file in files), self.limits)
        if missed is None:
            return "nothing was exported"
        return (
            f"the nearest is {Path(missed.file).name} on {missed.runtime}: {missed.p95_ms:.3g} ms at p95, "
            f"{shown_size(missed.size_bytes)}, {shown_size(missed.peak_bytes)} of memory, accuracy "
            f"{missed.accuracy:.1%}" + "".join(f"; {failure}" for failure in missed.failures)
        )

    def _untried(self, option: Option) -> str:
        larger = [other.candidate for other in front(self.options) if option.candidate.within(other.candidate)]
        if self.limits.accuracy is not None:
            return "not needed: others told enough"
        return f"a larger one is inside too: {', '.join(map(str, larger))}"

    def _beaten(self, last: Trial) -> str:
        better = [
            one
            for one in self.trials
            if one.epochs == last.epochs and one.candidate != last.candidate and one.promise >= last.promise
        ]
        best = max(better, key=lambda one: one.promise, default=None)
        behind = f", behind {best.candidate} with {best.promise:.1%}" if best is not None else ""
        both = "" if last.epochs == self.epochs else " on validation photos and training crops, on average"
        return f"{last.promise:.1%} after {last.epochs} epoch{'s' * (last.epochs > 1)}{both}{behind}"

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
                "native_weights": option.native,
                "trials": [
                    {"epochs": one.epochs, "accuracy": one.accuracy, "promise": one.promise, "seconds": one.seconds}
                    for one in self.trials_of(option.candidate)
                ],
                "verdict": self.verdict(option),
            }
