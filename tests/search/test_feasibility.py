"""What is refused before a grid is measured, by figures that are known."""

import pytest

from mobilenet.benchmark.device.grid import GridSettings
from mobilenet.benchmark.device.profile import Variant
from mobilenet.benchmark.device.smallest import Least
from mobilenet.errors import ConfigError, GateError
from mobilenet.images import Preprocessing
from mobilenet.model.card import ModelCard
from mobilenet.search import feasibility
from mobilenet.search.budget import Limits
from mobilenet.search.feasibility import check_smallest, check_widths

_CARD = ModelCard("mobilenet_v1", 0.25, 96, ("a", "b"), Preprocessing(96), task="classification")
_GRID = GridSettings(runtimes=("litert",))
_FLOAT32, _INT8 = Variant("litert", "float32", 1), Variant("litert", "int8", 1)
_SIZES = {_FLOAT32: 900_000, _INT8: 250_000}


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[Variant]:
    """Which variants are measured: float32 takes 1 ms (1.2 at p95) and 4 MB, int8 2 ms (2.4) and 3 MB."""
    seen: list[Variant] = []

    def measure(files: dict[Variant, bytes], _: object) -> dict[Variant, Least]:
        seen.extend(files)
        figures = {_FLOAT32: (1.0, 1.2, 4_000_000), _INT8: (2.0, 2.4, 3_000_000)}
        return {one: Least(*figures[one], len(files[one])) for one in files}

    monkeypatch.setattr(feasibility, "measure_smallest", measure)
    monkeypatch.setattr(feasibility, "smallest_files", lambda *_: {one: bytes(size) for one, size in _SIZES.items()})
    return seen


def _refusal(limits: Limits) -> str:
    with pytest.raises(GateError) as raised:
        check_smallest(limits, _GRID, _CARD, lambda *_: None)
    return str(raised.value)


def test_a_size_is_refused_without_measuring(measured: list[Variant]) -> None:
    said = _refusal(Limits(size_bytes=249_999, latency_ms=5.0))
    assert said == (
        "no candidate fits the budget of 5 ms at p95, a file of 250 kB, 10% of latency in reserve: the smallest, "
        "0.25-96 in int8 on litert with 1 thread, needs a file of 250 kB; try --size 256kB"
    )
    check_smallest(Limits(size_bytes=250_000), _GRID, _CARD, lambda *_: None)
    assert not measured


def test_a_latency_is_refused_by_the_fastest_image_and_the_reserve(measured: list[Variant]) -> None:
    """1 ms in float32 is 1.1 with the reserve; the advice is 1.2 at p95 with the reserve and a twentieth: 1.386."""
    assert _refusal(Limits(latency_ms=1.09)) == (
        "no candidate fits the budget of 1.09 ms at p95, 10% of latency in reserve: the smallest, 0.25-96 in float32 "
        "on litert with 1 thread, needs 1.2 ms at p95; try --latency 1.39ms"
    )
    for limits in (Limits(latency_ms=1.11), Limits(latency_ms=1.01, reserve=0.0)):
        check_smallest(limits, _GRID, _CARD, lambda *_: None)
    assert measured == 3 * [_FLOAT32, _INT8]


def test_a_memory_is_refused_below_the_least(measured: list[Variant]) -> None:
    assert _refusal(Limits(memory_bytes=2.9e6)) == (
        "no candidate fits the budget of 2.9 MB of memory: the smallest, 0.25-96 in int8 on litert with 1 thread, "
        "needs 3 MB of memory; try --memory 3.15MB"
    )
    check_smallest(Limits(memory_bytes=3e6), _GRID, _CARD, lambda *_: None)
    assert measured


def test_limits_that_no_variant_keeps_together_are_refused(measured: list[Variant]) -> None:
    """8 bits are small enough, float32 would be fast enough: it is not even measured."""
    said = _refusal(Limits(latency_ms=1.5, size_bytes=300_000))
    assert "0.25-96 in int8 on litert with 1 thread, needs 2.4 ms at p95; try --latency 2.78ms" in said
    assert measured == [_INT8]
    check_smallest(Limits(latency_ms=2.3, size_bytes=300_000), _GRID, _CARD, lambda *_: None)


def test_an_accuracy_alone_is_never_refused(measured: list[Variant]) -> None:
    check_smallest(Limits(accuracy=1.0), _GRID, _CARD, lambda *_: None)
    assert not measured


def test_weights_that_are_narrower_than_every_candidate_are_refused() -> None:
    check_widths((0.25, 0.5), ())
    check_widths((0.25, 0.5), (0.125, 0.25))
    message = r"^all weights to start from are narrower than any candidate; give --weights of width 0\.25 or more$"
    with pytest.raises(ConfigError, match=message):
        check_widths((0.5, 0.25), (0.125, 0.2))
