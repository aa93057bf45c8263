"""Budget in, proven model out: the function behind `mobilenet fit`."""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mobilenet.benchmark.profile import DeviceProfile
from mobilenet.datasets import open_dataset, read_exclusions
from mobilenet.errors import GateError
from mobilenet.export.run import ExportSettings
from mobilenet.files import atomic_write, check_writable
from mobilenet.search.candidates import Option, front, weigh
from mobilenet.search.device import device_profile, variants_of
from mobilenet.search.files import MeasuredFile, best, formats_of, nearest, prove_and_measure
from mobilenet.search.goal import smallest_that_reach
from mobilenet.search.halving import halve
from mobilenet.search.limits import shown_size
from mobilenet.search.memory import Memory
from mobilenet.search.result import Fitted
from mobilenet.search.settings import FitListener, FitSettings, Nobody
from mobilenet.search.trainings import Trainings, WeightFile, read_weights
from mobilenet.search.trial import Trial
from mobilenet.training.plan import make_plan

__all__ = ["fit"]

_MOST_FULL_TRAININGS = 3
"""Candidates that are trained in full, exported and measured, before the search gives up."""


@dataclass(slots=True)
class _Search:
    """One search under way."""

    settings: FitSettings
    memory: Memory
    listener: FitListener
    profile: DeviceProfile
    options: tuple[Option, ...]
    trainings: Trainings
    classes: int
    epochs: int
    trials: list[Trial] = field(default_factory=list)
    files: dict[str, tuple[MeasuredFile, ...]] = field(default_factory=dict)
    seconds: float = 0.0
    """What proving and measuring took."""


def fit(settings: FitSettings, listener: FitListener | None = None) -> Fitted:
    """Find, train, export and prove the most accurate MobileNet V1 inside the limits, or, where an accuracy is asked
    for, the smallest that reaches it; everything lies in `out` then, and a search that was interrupted goes on there.

    GateError where nothing is inside the budget, with what is nearest to it; what was trained stays.
    """
    listener = listener or Nobody()
    check_writable(settings.out)
    weights = read_weights(settings.weights)
    memory = Memory(settings.out / "search.json", settings.to_json())
    training = settings.training
    dataset = open_dataset(
        training.data, validation=training.validation, seed=training.seed, exclude=read_exclusions(training.exclude)
    )
    profile = device_profile(settings, listener, under_way=memory.under_way)
    variants = variants_of(settings, profile)
    options = weigh(
        profile,
        settings.limits,
        len(dataset.classes),
        variants,
        tuple(file.width_multiplier for file in weights),
    )
    _check_any_inside(settings, options, listener)
    epochs = settings.epochs or _full_epochs(settings, weights, len(dataset.train))
    trainings = Trainings(training, epochs, weights, settings.out, memory, listener.training)
    search = _Search(settings, memory, listener, profile, options, trainings, len(dataset.classes), epochs)
    return _finish(search, _decide(search))


def _full_epochs(settings: FitSettings, weights: tuple[WeightFile, ...], photos: int) -> int:
    source = weights[0].source if weights else None
    return int(make_plan(replace(settings.training, weights=source), photos).epochs)


def _check_any_inside(settings: FitSettings, options: Sequence[Option], listener: FitListener) -> None:
    inside = [option for option in options if option.inside]
    if not inside:
        closest = min(
            (option for option in options if not option.too_wide),
            key=lambda option: settings.limits.distance(
                option.nearest.p95_ms, option.nearest.file_bytes, option.nearest.peak_bytes
            ),
        )
        found = closest.nearest
        raise GateError(
            f"nothing is inside {settings.limits.while_choosing}; the nearest is {closest.candidate} "
            f"in {found.variant}: {found.p95_ms:.3g} ms at p95, a file of {shown_size(found.file_bytes)}, "
            f"{shown_size(found.peak_bytes)} of memory"
        )
    kept = front(options)
    listener.say(
        f"{len(options)} candidates, {len(inside)} inside the budget ({settings.limits.while_choosing}), "
        f"{len(kept)} of them not smaller than another: {', '.join(str(option.candidate) for option in kept)}"
    )


def _decide(search: _Search) -> MeasuredFile | None:
    """The file to use: of the first candidate, in the order of promise, whose file is proven and inside the budget."""
    limits = search.settings.limits
    if search.settings.exhaustive:
        return best([file for option in front(search.options) for file in _complete(search, option)], limits)
    for number, option in enumerate(_in_order(search)):
        if number == _MOST_FULL_TRAININGS:
            break
        files = _complete(search, option)
        if (found := best(files, limits)) is not None:
            return found
        missed = nearest(files, limits)
        if missed is not None:
            reasons = "; ".join((*missed.over, *missed.failures))
            search.listener.say(f"{option.candidate}: as a file it is outside: {reasons}; the next one is tried")
    return None


def _complete(search: _Search, option: Option) -> tuple[MeasuredFile, ...]:
    """Trained in full, exported, proven and measured."""
    _tried(search, option, search.epochs)
    return _measured(search, option)


def _in_order(search: _Search) -> Iterator[Option]:
    """The most promising candidates first; each is trained, or remembered, when it is asked for."""

    def promise(option: Option, epochs: int) -> float:
        return _tried(search, option, epochs).promise

    def accuracy(option: Option, epochs: int) -> float:
        return _tried(search, option, epochs).accuracy

    goal = search.settings.limits.accuracy
    if goal is None:
        return iter(halve(front(search.options), search.epochs, promise))
    return smallest_that_reach(_chains(search.options), goal, search.epochs, accuracy)


def _chains(options: Sequence[Option]) -> list[list[Option]]:
    """By width, from the smallest resolution on."""
    widths = sorted({option.candidate.width_multiplier for option in options})
    return [
        [option for option in options if option.inside and option.candidate.width_multiplier == width]
        for width in widths
    ]


def _tried(search: _Search, option: Option, epochs: int) -> Trial:
    trial = search.trainings.trial(option.candidate, epochs)
    if trial not in search.trials:
        search.trials.append(trial)
        told = "in full" if epochs == search.epochs else f"promise {trial.promise:.1%}"
        search.listener.say(
            f"{option.candidate!s:>9}  {epochs:3d} epochs  top-1 {trial.accuracy:6.1%}  {trial.seconds:.0f} s  {told}"
        )
    return trial


def _measured(search: _Search, option: Option) -> tuple[MeasuredFile, ...]:
    """The files of a candidate that is trained in full; fine-tuned with rounding where 8 bits alone lose too much."""
    files = _exported(search, option, qat=False)
    if any(file.usable for file in files) or not any(_lost_by_rounding(file) for file in files):
        return files
    search.listener.say(f"{option.candidate}: 8 bits lose too much; it is fine-tuned with rounding")
    return _exported(search, option, qat=True)


def _lost_by_rounding(file: MeasuredFile) -> bool:
    return file.precision == "int8" and bool(file.failures) and not file.over


def _exported(search: _Search, option: Option, *, qat: bool) -> tuple[MeasuredFile, ...]:
    settings, name = search.settings, str(option.candidate)
    variants = [estimate.variant for estimate in option.inside]
    formats, precisions = formats_of(variants)
    training = settings.training
    wanted = ExportSettings(
        search.trainings.run_folder(option.candidate, search.epochs),
        training.data,
        settings.out / "files" / name,
        formats,
        precisions,
        qat=qat,
        seed=training.seed,
        validation=training.validation,
        exclude=training.exclude,
    )

    def work() -> dict[str, Any]:
        begin = time.perf_counter()
        files = prove_and_measure(wanted, variants, settings.limits, search.listener.working)
        return {"files": [file.to_json() for file in files], "seconds": round(time.perf_counter() - begin, 1)}

    found = search.memory.step(f"prove and measure {name}{' after fine-tuning with rounding' if qat else ''}", work)
    search.files[name] = tuple(MeasuredFile.from_json(file) for file in found["files"])
    search.seconds += found["seconds"]
    return search.files[name]


def _finish(search: _Search, found: MeasuredFile | None) -> Fitted:
    fitted = _fitted(search, found)
    if found is not None:
        with atomic_write(fitted.model) as file:
            file.write(Path(found.file).read_bytes())
    with atomic_write(search.settings.out / "fit.json") as file:
        file.write(json.dumps(fitted.to_json(), indent=1, allow_nan=False).encode("ascii"))
    return fitted


def _fitted(search: _Search, found: MeasuredFile | None) -> Fitted:
    seconds = search.seconds + sum(trial.seconds for trial in search.trials)
    candidates = (option.candidate for option in search.options)
    winner = next((one for one in candidates if found in search.files.get(str(one), ())), None)
    return Fitted(
        folder=search.settings.out,
        data=search.settings.training.data,
        limits=search.settings.limits,
        classes=search.classes,
        epochs=search.epochs,
        options=search.options,
        trials=tuple(search.trials),
        files=search.files,
        winner=winner,
        chosen=found,
        seconds=round(seconds, 1),
        profile=search.profile,
    )
