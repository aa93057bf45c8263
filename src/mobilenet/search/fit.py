"""Budget in, proven model out: the function behind `mobilenet fit`."""

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import torch

from mobilenet.benchmark.device.grid import GridSettings
from mobilenet.benchmark.device.profile import DeviceProfile
from mobilenet.datasets.remote.urls import spelled
from mobilenet.datasets.targets import Unlabelled
from mobilenet.errors import DataError, GateError
from mobilenet.export.formats import write_beside
from mobilenet.files import atomic_write, check_writable, storage_errors
from mobilenet.model.card import ModelCard
from mobilenet.runtimes.engines import FORMATS
from mobilenet.search.budget import shown_size
from mobilenet.search.candidates import Candidate, Option, front, weigh
from mobilenet.search.device_profile import device_profile, is_this_device, narrowed, possible_precisions, variants_of
from mobilenet.search.exact import exact_estimate
from mobilenet.search.feasibility import check_smallest, check_widths
from mobilenet.search.journal.fingerprint import identity
from mobilenet.search.journal.journal import Journal
from mobilenet.search.result import Fitted
from mobilenet.search.settings import FitListener, FitSettings, Nobody
from mobilenet.search.strategy.choice import Choice
from mobilenet.search.trial.files import MeasuredFile
from mobilenet.search.trial.trainings import Trainings, WeightFile, read_weights
from mobilenet.spec.rows import Network
from mobilenet.tasks.task import Goal
from mobilenet.training.data import open_data
from mobilenet.training.recipe import make_plan
from mobilenet.training.record import card_of
from mobilenet.training.teacher.alignment import aligned
from mobilenet.training.teacher.model import open_teacher

__all__ = ["fit"]


def fit(settings: FitSettings, listener: FitListener | None = None) -> Fitted:
    """Find, train, export and prove the most accurate MobileNet V1 that fits the limits, or, if an accuracy is
    required, the smallest that reaches it; everything is written to `out`, where an interrupted search is resumed.

    GateError, with the nearest candidate, if none fits the budget; what was trained stays. DataError if the photos have
    no labels to compare candidates by.
    """
    listener = listener or Nobody()
    check_writable(settings.out)
    weights = read_weights(settings.weights)
    given = None if settings.device is None else DeviceProfile.read(settings.device)
    training = settings.training
    teacher = None if training.teacher is None else open_teacher(training.teacher, torch.device("cpu"), torch.float32)
    task, dataset = open_data(training, teacher)
    if isinstance(dataset.train.targets, Unlabelled):
        raise DataError(
            f"{spelled(training.data)} has no labels to compare candidates by; give labelled photos, and these with "
            "--unlabelled"
        )
    digests = identity(dataset, settings.weights, given)
    if teacher is not None:
        digests["teacher"] = teacher.digest
    journal = Journal(settings.out / "search.json", settings.to_json(), digests)
    widths = tuple(file.width_multiplier for file in weights)

    def card(width: float, resolution: int) -> ModelCard:
        sized = replace(training, width_multiplier=width, resolution=resolution)
        return card_of(sized, task, dataset.vocabulary)

    def table(candidate: Candidate) -> Network:
        return card(candidate.width_multiplier, candidate.resolution).network()

    def check(grid: GridSettings) -> None:
        check_widths(grid.widths, widths)
        possible = replace(grid, precisions=possible_precisions(dataset.train))
        show = partial(listener.working, "measuring the smallest candidate")
        check_smallest(settings.limits, possible, card(min(grid.widths), min(grid.resolutions)), show)

    if teacher is not None:
        aligned(teacher, card(1.0, 128), task.vocabulary_noun)
    profile = device_profile(settings, given, listener, check, begun=journal.begun)
    variants = variants_of(settings, profile, dataset.train)
    candidates = narrowed(profile, settings.widths, settings.resolutions)
    exact = partial(exact_estimate, card, settings.plan)
    options = weigh(candidates, settings.limits, table, variants, widths, exact)
    check_widths(candidates.widths, widths)
    _check_any_inside(settings, options, listener)
    elsewhere = not is_this_device(profile.environment)
    if elsewhere:
        listener.say(
            f"the profile is of another device ({profile.environment.processor}): latency and memory are estimated "
            "from it, not measured here"
        )
    epochs = settings.epochs or _full_epochs(settings, weights, len(dataset.train))
    trainings = Trainings(training, epochs, weights, settings.out, journal, listener.training_of, task.goal)
    choice = Choice(settings, journal, listener, options, trainings, epochs, elsewhere)
    return _finish(choice, profile, len(dataset.classes), choice.decide(), task.goal)


def _full_epochs(settings: FitSettings, weights: tuple[WeightFile, ...], photos: int) -> int:
    source = weights[0].source if weights else None
    return int(make_plan(replace(settings.training, weights=source), photos).epochs)


def _check_any_inside(settings: FitSettings, options: Sequence[Option], listener: FitListener) -> None:
    possible = [option for option in options if not option.too_wide]
    inside = [option for option in possible if option.inside]
    limits = settings.limits
    if not inside:
        closest = min(
            possible,
            key=lambda option: limits.distance(
                option.nearest.p95_ms, option.nearest.file_bytes, option.nearest.peak_bytes
            ),
        )
        found = closest.nearest
        raise GateError(
            f"no candidate fits the budget of {limits.while_choosing}; the nearest, {closest.candidate} in "
            f"{found.variant}, needs an estimated {found.p95_ms:.3g} ms at p95, a file of "
            f"{shown_size(found.file_bytes)}, {shown_size(found.peak_bytes)} of memory; try {limits.enough(found)}"
        )
    beyond = len(options) - len(possible)
    wider = f"; {beyond} more are wider than the weights to start from, give wider ones to try them" if beyond else ""
    budget = f", {len(inside)} within the budget ({limits.while_choosing})" if limits.while_choosing else ""
    if limits.accuracy is None:
        edge = front(options)
        names = ", ".join(str(option.candidate) for option in edge)
        aim = f", {len(edge)} of them not dominated: {names}"
    else:
        aim = f"; looking for the smallest whose file reaches {limits.accuracy:.1%}"
    listener.say(f"{len(possible)} candidates{budget}{aim}{wider}")


def _finish(choice: Choice, profile: DeviceProfile, classes: int, found: MeasuredFile | None, goal: Goal) -> Fitted:
    settings = choice.settings
    candidates = (option.candidate for option in choice.options)
    fitted = Fitted(
        folder=settings.out,
        data=settings.training.data,
        limits=settings.limits,
        classes=classes,
        epochs=choice.epochs,
        options=choice.options,
        trials=tuple(choice.trials),
        files=choice.files,
        winner=next((one for one in candidates if found in choice.files.get(str(one), ())), None),
        chosen=found,
        seconds=round(choice.seconds + sum(trial.seconds for trial in choice.trials), 1),
        profile=profile,
        goal=goal,
    )
    if found is not None:
        data = (settings.out / found.file).read_bytes()
        with atomic_write(fitted.model) as file:
            file.write(data)
        write_beside(fitted.model)
    for kind in FORMATS.values():
        other = settings.out / f"model{kind.suffix}"
        if found is None or other != fitted.model:
            with storage_errors(other):
                other.unlink(missing_ok=True)
    with atomic_write(settings.out / "fit.json") as file:
        file.write(json.dumps(fitted.to_json(), indent=1, allow_nan=False).encode("ascii"))
    return fitted
