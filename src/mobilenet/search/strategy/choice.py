"""The choice of a file: candidates are trained, exported, proven and measured until one fits the budget."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mobilenet.benchmark.device.profile import Estimate
from mobilenet.export.export import ExportSettings
from mobilenet.runtimes.engines import FORMATS
from mobilenet.search.candidates import Option, front
from mobilenet.search.journal.journal import Journal
from mobilenet.search.settings import FitListener, FitSettings
from mobilenet.search.strategy.halving import halve
from mobilenet.search.strategy.smallest import smallest_that_reach
from mobilenet.search.trial.events import Trial
from mobilenet.search.trial.files import MeasuredFile, best, nearest
from mobilenet.search.trial.proving import formats_of, prove_and_measure
from mobilenet.search.trial.trainings import Trainings

__all__ = ["Choice"]

_MOST_FULL_TRAININGS = 3
"""The most candidates to train in full, export and measure before the search gives up."""


@dataclass(slots=True)
class Choice:
    """A choice among `options` with its results so far: `trials`, and `files` by candidate.

    `elsewhere`: the budget is for another device. `epochs` are those of a full training, `seconds` the time for
    exporting, proving and measuring.
    """

    settings: FitSettings
    journal: Journal
    listener: FitListener
    options: tuple[Option, ...]
    trainings: Trainings
    epochs: int
    elsewhere: bool
    trials: list[Trial] = field(default_factory=list)
    files: dict[str, tuple[MeasuredFile, ...]] = field(default_factory=dict)
    seconds: float = 0.0

    def decide(self) -> MeasuredFile | None:
        """The file to use: that of the first candidate, in order of promise, whose file is proven and fits the budget;
        with `exhaustive` the best file of all."""
        limits = self.settings.limits
        if self.settings.exhaustive:
            return best([file for option in self._every() for file in self._complete(option)], limits)
        for option in self._in_order():
            if self._refuted(option):
                continue
            files = self._complete(option)
            if (found := best(files, limits)) is not None:
                return found
            if (missed := nearest(files, limits)) is not None:
                reasons = "; ".join(missed.why_not)
                self.listener.say(f"{option.candidate}: its file does not meet the requirements: {reasons}")
            if len(self.files) == _MOST_FULL_TRAININGS:
                break
        return None

    def _every(self) -> Sequence[Option]:
        """All candidates that could be the best: dominated ones only if the smallest is wanted."""
        if self.settings.limits.accuracy is None:
            return front(self.options)
        return [option for option in self.options if option.inside]

    def _in_order(self) -> Iterator[Option]:
        """The most promising candidates first; each is trained, or read from the journal, on demand."""
        goal = self.settings.limits.accuracy
        if goal is not None:
            yield from smallest_that_reach(
                self._chains(), goal, self.epochs, self._accuracy, lambda option: not self._refuted(option)
            )
            return
        left = list(self.options)
        while contenders := front(left):
            yield from halve(contenders, self.epochs, self._promise)
            # All of their files failed: candidates that they dominated are next.
            left = [option for option in left if option not in contenders and not self._refuted(option)]

    def _chains(self) -> list[list[Option]]:
        """Candidates by width, smallest resolution first."""
        widths = sorted({option.candidate.width_multiplier for option in self.options})
        return [
            [option for option in self.options if option.inside and option.candidate.width_multiplier == width]
            for width in widths
        ]

    def _refuted(self, option: Option) -> bool:
        """Whether files over the budget show that this candidate will be too: it is larger than one of them, or its
        estimates of size and memory fit by less than the errors of theirs."""
        failed = [one for one in self.options if str(one.candidate) in self.files]
        if any(one.candidate.within(option.candidate) and self._too_large(one) for one in failed):
            return True
        size = max((file.size_bytes / estimate.file_bytes for file, estimate in self._pairs(failed)), default=1.0)
        memory = max((file.peak_bytes / estimate.peak_bytes for file, estimate in self._pairs(failed)), default=1.0)
        return all(
            self.settings.limits.excess(0.0, estimate.file_bytes * size, estimate.peak_bytes * memory)
            for estimate in option.inside
        )

    def _too_large(self, option: Option) -> bool:
        return all(
            self.settings.limits.excess(file.p95_ms, file.size_bytes, file.peak_bytes)
            for file in self.files[str(option.candidate)]
        )

    def _pairs(self, options: Sequence[Option]) -> Iterator[tuple[MeasuredFile, Estimate]]:
        """Files with their estimates."""
        for option in options:
            for file in self.files[str(option.candidate)]:
                for estimate in option.inside:
                    if (estimate.variant.runtime, estimate.variant.precision) == (file.runtime, file.precision):
                        yield file, estimate

    def _promise(self, option: Option, epochs: int) -> float:
        return self._tried(option, epochs).promise

    def _accuracy(self, option: Option, epochs: int) -> float:
        return self._tried(option, epochs).accuracy

    def _tried(self, option: Option, epochs: int) -> Trial:
        trial = self.trainings.trial(option.candidate, epochs)
        if trial not in self.trials:
            self.trials.append(trial)
            title = self.trainings.goal.title
            told = "in full" if epochs == self.epochs else f"promise {trial.promise:.1%}"
            self.listener.say(
                f"{option.candidate!s:>9}  {epochs:3d} epochs  {title} {trial.accuracy:6.1%}  {trial.seconds:.0f} s  "
                f"{told}"
            )
        return trial

    def _complete(self, option: Option) -> tuple[MeasuredFile, ...]:
        """The files of a candidate, trained in full, exported, proven and measured; fine-tuned with rounding if 8 bits
        alone lose too much."""
        self._tried(option, self.epochs)
        files = self._exported(option, qat=False)
        if not self._worth_fine_tuning(files):
            return files
        self.listener.say(f"{option.candidate}: 8 bits lose too much; fine-tuning with rounding")
        return self._exported(option, qat=True)

    def _worth_fine_tuning(self, files: Sequence[MeasuredFile]) -> bool:
        """Whether rounding has ruled out the only usable file, or, if the smallest is wanted, a smaller one."""
        limits = self.settings.limits
        lost, usable = [file for file in files if self._lost_by_rounding(file)], best(files, limits)
        if usable is None or limits.accuracy is None:
            return usable is None and bool(lost)
        return any(file.size_bytes < usable.size_bytes for file in lost)

    def _lost_by_rounding(self, file: MeasuredFile) -> bool:
        """Whether only the outputs of an 8-bit file are wrong, and those of its network are better."""
        limits = self.settings.limits
        outside = limits.excess(file.p95_ms, file.size_bytes, file.peak_bytes)
        if file.precision != "int8" or file.usable or outside or file.unknown or not file.wrong_in_answers_alone:
            return False
        return limits.accuracy is None or (file.network_accuracy or 0.0) >= limits.accuracy

    def _exported(self, option: Option, *, qat: bool) -> tuple[MeasuredFile, ...]:
        settings, name = self.settings, str(option.candidate)
        training = settings.training
        formats, precisions = formats_of([estimate.variant for estimate in option.inside])
        wanted = ExportSettings(
            self.trainings.run_folder(option.candidate, self.epochs),
            training.data,
            settings.out / "files" / name,
            formats,
            precisions,
            qat=qat,
            must_be_faster=False,
            raw=not all(FORMATS[name].suppresses for name in formats),
            plan=self.settings.plan,
            seed=training.seed,
            validation=training.validation,
            exclude=training.exclude,
        )

        def work() -> dict[str, Any]:
            begin = time.perf_counter()
            found = prove_and_measure(
                wanted, option.inside, settings.limits, self.listener.working, elsewhere=self.elsewhere
            )
            below = [replace(file, file=str(Path(file.file).relative_to(settings.out))) for file in found]
            return {"files": [file.to_json() for file in below], "seconds": round(time.perf_counter() - begin, 1)}

        step = self.journal.step(f"prove and measure {name}{' after fine-tuning with rounding' if qat else ''}", work)
        self.files[name] = tuple(MeasuredFile.from_json(file) for file in step["files"])
        self.seconds += step["seconds"]
        return self.files[name]
