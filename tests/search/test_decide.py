"""Which candidate becomes the file, with trainings and files whose outcome is known."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mobilenet.benchmark.device.profile import Estimate, Variant
from mobilenet.export.export import ExportSettings
from mobilenet.search.budget import Limits
from mobilenet.search.candidates import Candidate, Option
from mobilenet.search.journal.journal import Journal
from mobilenet.search.settings import FitSettings, Nobody
from mobilenet.search.strategy import choice as choosing
from mobilenet.search.strategy.choice import Choice
from mobilenet.search.trial.events import Trial
from mobilenet.search.trial.files import MeasuredFile
from mobilenet.search.trial.trainings import Trainings
from mobilenet.tasks.classification.task import Classification
from mobilenet.training.settings import TrainingSettings

_VARIANT = Variant("litert", "int8", 1)
_SIDES = (96, 128, 160, 192)


def _options(limits: Limits, widths: Sequence[float], variants: Sequence[Variant]) -> tuple[Option, ...]:
    """Candidates that take as many kB of memory as they are pixels high, and as many µs for each 0.25 of width."""
    found = []
    for width, side in product(widths, _SIDES):
        ms = width / 0.25 * side / 1e3
        size = round(width / 0.25 * 300_000)
        estimates = [
            Estimate(
                one, ms, ms, side * 1000, size * (1 if one.precision == "int8" else 4), error=0.0, memory_error=0.0
            )
            for one in variants
        ]
        inside = tuple(one for one in estimates if not limits.over(one))
        found.append(Option(Candidate(width, side), inside, estimates[0], native=True))
    return tuple(found)


Judge = Callable[[int, ExportSettings, Estimate], MeasuredFile]


@pytest.fixture
def choose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[MeasuredFile | None, list[str]]]:
    """Decide within limits, with the files that `judge(side, export settings, estimate)` gives; which were exported."""

    def decide(
        limits: Limits,
        judge: Judge,
        *,
        exhaustive: bool = False,
        widths: Sequence[float] = (0.25,),
        variants: Sequence[Variant] = (_VARIANT,),
    ) -> tuple[MeasuredFile | None, list[str]]:
        settings = FitSettings(TrainingSettings(tmp_path), limits, tmp_path / "fit", exhaustive=exhaustive)
        exported: list[str] = []

        def prove(wanted: ExportSettings, estimates: Sequence[Estimate], *_: object, **__: object) -> tuple[Any, ...]:
            exported.append(f"{wanted.out.name}{' qat' if wanted.qat else ''}")
            assert not wanted.must_be_faster, "the budget says how fast a file has to be"
            side = int(wanted.out.name.split("-")[1])
            return tuple(judge(side, wanted, estimate) for estimate in estimates)

        monkeypatch.setattr(choosing, "prove_and_measure", prove)
        trainings = SimpleNamespace(
            goal=Classification.goal,
            trial=lambda candidate, epochs: Trial(candidate, epochs, candidate.resolution / 200, 0.5, 1.0),
            run_folder=lambda candidate, _: tmp_path / str(candidate),
        )
        journal = Journal(tmp_path / "fit" / "search.json", {}, {})
        options = _options(limits, widths, variants)
        choice = Choice(settings, journal, Nobody(), options, cast("Trainings", trainings), 12, elsewhere=False)
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
        str(wanted.out / "a.tflite"),
        "litert",
        "int8",
        1,
        *numbers,
        estimated=False,
        failures=(),
        over=(),
        proof={"gates": []},
    )
    return replace(plain, over=tuple(over))


def _failed(file: MeasuredFile, gate: str) -> MeasuredFile:
    """A file whose proof ended at a gate."""
    proof = {"gates": [{"name": "size", "passed": True}, {"name": gate, "passed": False}]}
    return replace(file, failures=(f"its {gate} is wrong; try again",), proof=proof)


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
        return _failed(_file(side, wanted, limits), "top-1 agreement")

    found, exported = choose(limits, broken)
    assert found is None
    assert exported == [f"0.25-{side}{how}" for side in (192, 160, 128) for how in ("", " qat")]


def test_what_no_fine_tuning_can_mend_is_not_fine_tuned(choose: Callable[..., Any]) -> None:
    limits = Limits(size_bytes=400_000)
    _, exported = choose(limits, lambda side, wanted, _: _failed(_file(side, wanted, limits), "description"))
    assert exported == ["0.25-192", "0.25-160", "0.25-128"]


def test_eight_bits_that_miss_the_accuracy_of_their_network_are_fine_tuned(choose: Callable[..., Any]) -> None:
    limits = Limits(accuracy=0.92)
    found, exported = choose(
        limits, lambda side, wanted, _: _file(side, wanted, limits, accuracy=0.93 if wanted.qat else 0.88)
    )
    assert found.accuracy == 0.93
    assert exported == ["0.25-192", "0.25-192 qat"]


def test_a_smaller_file_that_rounding_has_cost_is_fine_tuned(choose: Callable[..., Any]) -> None:
    """The float32 file reaches the goal, four times as large as the 8-bit one, which does after fine-tuning."""
    limits = Limits(accuracy=0.92)
    variants = (_VARIANT, Variant("litert", "float32", 1))

    def judge(side: int, wanted: ExportSettings, estimate: Estimate) -> MeasuredFile:
        precision = estimate.variant.precision
        accuracy = 0.93 if wanted.qat or precision == "float32" else 0.88
        file = _file(side, wanted, limits, accuracy=accuracy)
        return replace(file, precision=precision, size_bytes=estimate.file_bytes)

    found, exported = choose(limits, judge, variants=variants)
    assert (found.precision, found.size_bytes) == ("int8", 300_000)
    assert exported == ["0.25-192", "0.25-192 qat"]


def test_the_most_accurate_needs_no_smaller_file(choose: Callable[..., Any]) -> None:
    """Both precisions are inside, and one of them is proven: nothing is gained by fine-tuning the other."""
    limits = Limits(size_bytes=2_000_000)

    def judge(side: int, wanted: ExportSettings, estimate: Estimate) -> MeasuredFile:
        file = replace(_file(side, wanted, limits), precision=estimate.variant.precision)
        return _failed(file, "accuracy") if file.precision == "int8" else file

    found, exported = choose(limits, judge, variants=(_VARIANT, Variant("litert", "float32", 1)))
    assert found.precision == "float32"
    assert exported == ["0.25-192"]


def test_an_exhaustive_search_takes_the_best_of_the_edge(choose: Callable[..., Any]) -> None:
    """0.5-96 and 0.25-192 take the same time; a search would be content with the file of the first."""
    limits = Limits(latency_ms=0.192, reserve=0)

    def judge(side: int, wanted: ExportSettings, _: Estimate) -> MeasuredFile:
        return _file(side, wanted, limits, accuracy=0.9 if side == 96 else 0.8)

    found, exported = choose(limits, judge, widths=(0.25, 0.5), exhaustive=True)
    assert found.file == "files/0.5-96/a.tflite"
    assert exported == ["0.25-192", "0.5-96"]


def test_an_exhaustive_search_for_the_smallest_leaves_out_none(choose: Callable[..., Any]) -> None:
    limits = Limits(accuracy=0.85)
    found, exported = choose(
        limits, lambda side, wanted, _: _file(side, wanted, limits, accuracy=side / 150), exhaustive=True
    )
    assert found.file == "files/0.25-128/a.tflite"
    assert exported == ["0.25-96", "0.25-96 qat", "0.25-128", "0.25-160", "0.25-192"]
