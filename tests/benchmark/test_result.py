"""Figures as JSON and back, and what is said about them."""

import json
import os
from dataclasses import replace

import pytest

from mobilenet.benchmark import Benchmark, Contender, Timing
from mobilenet.errors import DataError


def test_a_benchmark_comes_back_from_its_json(benchmark: Benchmark, timing: Timing) -> None:
    odd = replace(timing, contender=Contender(os.fsdecode(b"caf\xe9.tflite"), "litert", 2), drift=-0.25)
    unknown = replace(benchmark.environment, governor=None, clocks_mhz=None, temperatures_c=None, load=None)
    for original in (benchmark, replace(benchmark, environment=unknown, timings=(timing, odd), photo="cat.jpg")):
        assert original.to_json().isascii()
        assert Benchmark.from_json(original.to_json()) == original


@pytest.mark.parametrize("text", ["", "[1]", "3", "{}", '{"format": 1}', '{"format": 1, "timings": [{}]}'])
def test_what_is_no_benchmark_is_refused(text: str) -> None:
    with pytest.raises(DataError, match=r"not a benchmark: .*; run mobilenet benchmark --json again"):
        Benchmark.from_json(text)


def test_another_format_and_an_unknown_field_are_refused(benchmark: Benchmark) -> None:
    document = json.loads(benchmark.to_json())
    with pytest.raises(DataError, match="format 2, this version reads 1; measure again"):
        Benchmark.from_json(json.dumps({**document, "format": 2}))
    with pytest.raises(DataError, match="colour"):
        Benchmark.from_json(json.dumps({**document, "colour": "red"}))


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_a_figure_that_is_no_number_is_refused(benchmark: Benchmark, constant: str) -> None:
    text = benchmark.to_json().replace('"p95_ms": 1.95', f'"p95_ms": {constant}')
    with pytest.raises(DataError, match=f"not a benchmark: it contains {constant}; run mobilenet benchmark"):
        Benchmark.from_json(text)


def test_nothing_is_said_of_figures_that_can_be_trusted(benchmark: Benchmark) -> None:
    assert benchmark.notes() == ()


def test_what_a_reader_should_know_is_one_line_each(benchmark: Benchmark, timing: Timing) -> None:
    hot = replace(timing, drift=0.2, opening_p50_ms=1.0, steady_p50_ms=1.2)
    hotter = replace(timing, contender=Contender("b.onnx", "torch", 8), drift=0.3, steady_p50_ms=1.95)
    few = replace(timing, calls=99, idles=False, waited=0.5)
    notes = replace(benchmark, timings=(hot, hotter, few)).notes()
    assert [note.split(":")[0] for note in notes] == [
        "b.onnx on torch with 8 threads became 30 % slower while it was measured (1.5 ms, then 1.95 ms)",
        "a.tflite on litert with 1 thread waited 50 % of its time for a core",
        "b.onnx on torch with 8 threads has more threads than the device has cores (4)",
        "a.tflite on litert with 1 thread kept a core busy while others had their turn and may have slowed them",
        "a.tflite on litert with 1 thread was called only 99 times",
    ]


def test_a_faster_end_is_called_faster(benchmark: Benchmark, timing: Timing) -> None:
    (note,) = replace(benchmark, timings=(replace(timing, drift=-0.1),)).notes()
    assert "became 10 % faster" in note
