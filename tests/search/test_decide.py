"""Which candidate becomes the file, with trainings and files whose outcome is known."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mobilenet.benchmark.profile import Estimate, Variant
from mobilenet.export.run import ExportSettings
from mobilenet.search import choice as choosing
from mobilenet.search.candidates import Candidate, Option
from mobilenet.search.choice import Choice
from mobilenet.search.files import MeasuredFile
from mobilenet.search.limits import Limits
from mobilenet.search.memory import Memory
from mobilenet.search.settings import FitSettings, Nobody
from mobilenet.search.trainings import Trainings
from mobilenet.search.trial import Trial
from mobilenet.training.settings import TrainingSettings

_VARIANT = Variant("litert", "int8", 1)
_SIDES = (96, 128, 160, 192)


def _options(limits: Limits) -> tuple[Option, ...]:
    """Candidates of one width that take as many kB of memory, and µs, as they are pixels high."""
    found = []
    for side in _SIDES:
        estimate = Estimate(_VARIANT, side / 1e3, side / 1e3, side * 1000, 300_000, error=0.0, memory_error=0.0)
        inside = () if limits.over(estimate) else (estimate,)
        found.append(Option(Candidate(0.25, side), inside, estimate, native=True))
    return tuple(found)


Judge = Callable[[int, ExportSettings, Estimate], MeasuredFile]


@pytest.fixture
def choose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[MeasuredFile | None, list[str]]]:
    """Decide within limits, with the files that `judge(side, export settings, estimate)` gives; which were exported."""

    def decide(limits: Limits, judge: Judge, *, exhaustive: bool = False) -> tuple[MeasuredFile | None, list[str]]:
        settings = FitSettings(TrainingSettings(tmp_path), limits, tmp_path / "fit", exhaustive=exhaustive)
        exported: list[str] = []

        def prove(wanted: ExportSettings, estimates: Sequence[Estimate], *_: object, **__: object) -> tuple[Any, ...]:
            exported.append(f"{wanted.out.name}{' qat' if wanted.qat else ''}")
            side = int(wanted.out.name.split("-")[1])
            return tuple(judge(side, wanted, estimate) for estimate in estimates)

        monkeypatch.setattr(choosing, "prove_and_measure", prove)
        trainings = SimpleNamespace(
            trial=lambda candidate, epochs: Trial(candidate, epochs, candidate.resolution / 200, 0.5, 1.0),
            run_folder=lambda candidate, _: tmp_path / str(candidate),
        )
        memory = Memory(tmp_path / "fit" / "search.json", {}, {})
        choice = Choice(settings, memory, Nobody(), _options(limits), cast("Trainings", trainings), 12, elsewhere=False)
        return choice.decide(), exported

    return decide


def _file(
    side: int, wanted: ExportSettings, limits: Limits, memory: float = 1.0, accuracy: float = 0.9
) -> MeasuredFile:
    peak = round(side * 1000 * memory)
    over = list(limits.excess(side / 1e3, 300_000, peak))
    if limits.accuracy is not None and accuracy < limits.accuracy:
        over.append("an accuracy")
    numbers = (accuracy, 0.95, 1.0, 300_000, side / 1e3, side / 1e3, peak, 0.0)
    plain = MeasuredFile(
        str(wanted.out / "a.tflite"), "litert", "int8", 1, *numbers, estimated=False, failures=(), over=(), proof={}
    )
    return replace(plain, over=tuple(over))


def test_what_gave_way_to_a_file_that_is_too_large_has_its_turn(choose: Callable[..., Any]) -> None:
    """Files take a tenth more than was estimated: 192 is outside 200 kB, and 160, which it had replaced, is inside."""
    limits = Limits(memory_bytes=200_000)
    found, exported = choose(limits, lambda side, wanted, _: _file(side, wanted, limits, memory=1.1))
    assert found.file == "files/0.25-160/a.tflite"
    assert exported == ["0.25-192", "0.25-160"]


def test_what_a_file_has_refuted_is_not_trained(choose: Callable[..., Any]) -> None:
    """Files take half as much again: after 192, 160 would take 240 kB of the 200 and is left out, 128 takes 192."""
    limits = Limits(memory_bytes=200_000)
    found, exported = choose(limits, lambda side, wanted, _: _file(side, wanted, limits, memory=1.5))
    assert found.file == "files/0.25-128/a.tflite"
    assert exported == ["0.25-192", "0.25-128"]


def test_three_full_trainings_are_enough(choose: Callable[..., Any]) -> None:
    limits = Limits(size_bytes=400_000)

    def broken(side: int, wanted: ExportSettings, _: Estimate) -> MeasuredFile:
        return replace(_file(side, wanted, limits), failures=("it computes something else",))

    found, exported = choose(limits, broken)
    assert found is None
    assert exported == [f"0.25-{side}{how}" for side in (192, 160, 128) for how in ("", " qat")]


def test_eight_bits_that_miss_the_accuracy_of_their_network_are_fine_tuned(choose: Callable[..., Any]) -> None:
    limits = Limits(accuracy=0.92)
    found, exported = choose(
        limits, lambda side, wanted, _: _file(side, wanted, limits, accuracy=0.93 if wanted.qat else 0.88)
    )
    assert found.accuracy == 0.93
    assert exported == ["0.25-192", "0.25-192 qat"]


def test_an_exhaustive_search_takes_the_best_of_the_edge(choose: Callable[..., Any]) -> None:
    limits = Limits(latency_ms=0.2, reserve=0)
    found, exported = choose(limits, lambda side, wanted, _: _file(side, wanted, limits), exhaustive=True)
    assert found.file == "files/0.25-192/a.tflite"
    assert exported == ["0.25-192"]
