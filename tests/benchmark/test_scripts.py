"""The scripts in benchmarks/ that take hours: what they read, write and say, without the hours."""

import importlib
import json
import re
import threading
from argparse import Namespace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

_SCRIPTS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def paper(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(_SCRIPTS))
    return importlib.import_module("paper")


@pytest.fixture
def search(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(_SCRIPTS))
    return importlib.import_module("fit")


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(_SCRIPTS))
    return importlib.import_module("batch_size")


def _record(network: str, seed: int, top1: float, **more: Any) -> dict[str, Any]:
    costs = {"mult_adds": 3_400_000, "params": 250_000}
    return {"network": network, "seed": seed, "epochs": 48, "top1": top1, "loss": 1.0, "photos": 100, **costs, **more}


_OLD = {
    "records": [_record("mobilenet_v1-0.25-64", 0, 0.76), _record("mobilenet_v1-0.25-64", 1, 0.78)],
    "machine": {"processor": "old"},
    "versions": {"torch": "1"},
    "epochs": 48,
}


def test_a_record_keeps_the_machine_it_was_trained_on(
    paper: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Documents that say it once for all are read, and said of each record from then on."""
    (tmp_path / "paper.json").write_text(json.dumps(_OLD))
    new = _record("mobilenet_v1-0.5-64", 0, 0.8, machine={"processor": "new"}, versions={"torch": "2"})
    monkeypatch.setattr(paper, "missing", lambda *_: [(paper.ENTRIES[0], 0)])
    monkeypatch.setattr(paper, "trained", lambda *_: new)
    records = paper.measure(Namespace(out=tmp_path / "paper", jobs=1, epochs=48))
    assert [(one["machine"]["processor"], one["versions"]["torch"]) for one in records] == [
        ("old", "1"),
        ("old", "1"),
        ("new", "2"),
    ]
    assert json.loads((tmp_path / "paper.json").read_text()) == {"records": records}
    assert paper.read(tmp_path / "paper.json") == records
    assert paper.read(tmp_path / "none.json") == []


def test_what_is_recorded_is_not_missing(paper: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "paper.json").write_text(json.dumps(_OLD))
    options = Namespace(epochs=48, seeds=2, tables=[6])
    found = [(entry.key, seed) for entry, seed in paper.missing(options, paper.read(tmp_path / "paper.json"))]
    wide = [f"mobilenet_v1-{width}-64" for width in ("0.5", "0.75", "1")]
    assert found == [(key, seed) for seed in (0, 1) for key in wide]


def test_tables_have_the_costs_of_the_records(paper: ModuleType) -> None:
    """3.4 million mult-adds are those of more classes than 10, with which it has 3.3."""
    lines = paper.tables(_OLD["records"], 48).splitlines()
    assert "| width 0.25 | 3.4 | 0.25 | 77.0 ± 1.4 | 2 | 50.6 at 224 |" in lines
    assert "| width 0.5 | 12.2 | 0.82 | not measured | 0 | 63.7 at 224 |" in lines
    assert "| 1.0-64 | 46.4 | 3.22 | not measured | 0 | – |" in lines


def test_the_document_in_docs_is_read_and_drawn(paper: ModuleType, tmp_path: Path) -> None:
    """Each network that is measured has a dot in both panels; of one seed there is no spread."""
    records = paper.read(_SCRIPTS.parent / "docs" / "paper.json")
    assert all(record["machine"]["processor"] and record["versions"]["torch"] for record in records)
    found = paper.dots(records, 48)
    paper.plot(found, tmp_path / "paper.svg")
    text = (tmp_path / "paper.svg").read_text("utf-8")
    for dot in found:
        assert len(re.findall(rf">{re.escape(dot.name)}<", text)) >= 2
    spreads = sum(len(dot.top1) > 1 for dot in found)
    assert text.count('id="LineCollection_') == 2 * spreads


def test_a_training_that_fails_ends_the_others_that_wait(
    paper: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one behind it may have begun; what is done is on the disk."""
    begun: list[int] = []
    never = threading.Event()

    def train(_: object, entry: Any, seed: int) -> dict[str, Any]:
        begun.append(seed)
        if len(begun) == 2:
            raise KeyboardInterrupt
        if len(begun) > 2:
            never.wait(1)
        return {"network": entry.key, "seed": seed, "epochs": 1, "top1": 0.5, "mult_adds": 1}

    monkeypatch.setattr(paper, "trained", train)
    options = Namespace(out=tmp_path / "paper", jobs=1, seeds=3, tables=[6], epochs=1)
    with pytest.raises(KeyboardInterrupt):
        paper.measure(options)
    assert len(begun) <= 3
    assert len(paper.read(tmp_path / "paper.json")) == 1


def test_names_stand_away_from_the_nearest_dot_at_their_height(paper: ModuleType) -> None:
    stands_right = importlib.import_module("paper_plot").stands_right
    places = [(100.0, 86.4), (185.0, 86.3), (200.0, 80.0), (100.0, 70.0), (100.0, 70.0)]
    assert [stands_right(number, places) for number in range(5)] == [False, True, True, False, True]


class _Search:
    """`mobilenet fit` in a few words: exit code and stdout of one run after the other."""

    def __init__(self, *ends: tuple[int, str]) -> None:
        self.ends = list(ends)

    def __call__(self, words: list[str]) -> int:
        code, text = self.ends.pop(0)
        assert words[0] == "fit"
        print(text)
        return code


def _found(accuracy: float, goal: float | None = None, size: int = 260_000) -> str:
    file = {"precision": "int8", "runtime": "litert", "accuracy": accuracy, "p95_ms": 0.5}
    chosen = {**file, "size_bytes": size, "peak_bytes": 9_000_000}
    winner = {"width_multiplier": 0.25, "resolution": 224}
    ends = {"limits": {"accuracy": goal}, "winner": winner, "chosen": chosen}
    return json.dumps({**ends, "seconds": 30, "training_seconds": 20})


_NOTHING = json.dumps({"winner": None, "chosen": None, "seconds": 30, "training_seconds": 0})


@pytest.mark.parametrize(
    ("ends", "lines"),
    [
        (
            [(0, _found(0.80)), (0, _found(0.82))],
            ["search    : 0.25-224 in int8", "exhaustive: 0.25-224 in int8", "regret 2.00 points"],
        ),
        (
            [(0, _found(0.82, 0.8, 862_000)), (0, _found(0.80, 0.8))],
            ["search    : 0.25-224 in int8", "exhaustive: 0.25-224 in int8", "regret 602,000 bytes"],
        ),
        (
            [(1, _NOTHING), (0, _found(0.82))],
            ["search    : no file fits the budget", "exhaustive: 0.25-224 in int8"],
        ),
        ([(1, ""), (1, "")], ["search    : no file fits the budget", "exhaustive: no file fits the budget"]),
    ],
)
def test_a_search_that_finds_nothing_is_a_line(
    ends: list[tuple[int, str]],
    lines: list[str],
    search: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(search, "mobilenet", _Search(*ends))
    monkeypatch.setattr(search.sys, "argv", ["fit.py", str(tmp_path), "photos", "--latency", "1ms"])
    search.main()
    said = capsys.readouterr().out.splitlines()
    assert len(said) == len(lines)
    assert all(line.startswith(start) for line, start in zip(said, lines, strict=True))


def test_a_search_that_cannot_begin_ends_the_script(
    search: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "mobilenet", _Search((2, "")))
    monkeypatch.setattr(search.sys, "argv", ["fit.py", str(tmp_path), "photos"])
    with pytest.raises(SystemExit) as caught:
        search.main()
    assert caught.value.code == 2


def _batch_options(out: Path, **changes: Any) -> Namespace:
    network = {"width": 0.25, "resolution": 64, "epochs": 1, "seed": 0, "weights": None}
    runs = {"optimizers": ["adamw"], "batches": [32, 512], "powers": [1.0, 0.5]}
    return Namespace(data=Path("photos"), out=out, **{**network, **runs, **changes})


def test_rates_of_a_batch_go_by_powers_of_it(batches: ModuleType) -> None:
    """0.006 for 32, also where the photos are too few for batches of 32."""
    settings = batches.TrainingSettings(Path("photos"), batch_size=512)
    found = batches.rates(settings, [1.0, 0.5, 0.0], 4096)
    assert [found[f"power {power}"] for power in ("1", "0.5", "0")] == pytest.approx([0.096, 0.024, 0.006])
    small = batches.rates(batches.TrainingSettings(Path("photos"), batch_size=8), [0.5], 80)
    assert small["power 0.5"] == pytest.approx(0.003)


def test_rates_are_measured_once_and_a_run_that_diverges_is_a_cell(
    batches: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[tuple[int, float]] = []

    def train(settings: Any, folder: Path) -> Namespace:
        tried.append((settings.batch_size, settings.learning_rate))
        if settings.learning_rate > 0.05:
            raise batches.ConfigError("the loss became nan in epoch 1 at learning rate 0.096; try less")
        return Namespace(evaluation=Namespace(figures={"top1": 0.5, "loss": 1.5, "ece": 0.1}))

    monkeypatch.setattr(batches, "train", train)
    options = _batch_options(tmp_path / "batches.json")
    records = batches.measure(options, 4096)
    assert [batch for batch, _ in tried] == [32, 512, 512]
    assert batches.measure(options, 4096) == records
    assert len(tried) == 3
    assert json.loads(options.out.read_text()) == records
    lines = batches.table(options, 4096, records).splitlines()
    assert lines[0] == "| optimiser | batch | power 1 | power 0.5 | default |"
    assert lines[2] == "| adamw | 32 | 50.0 (0.006) | 50.0 (0.006) | 50.0 (0.006) |"
    assert lines[3].startswith("| adamw | 512 | diverged (0.096) | 50.0 (0.024) | ")


def test_a_batch_of_more_than_an_eighth_of_the_photos_is_refused(batches: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(batches.ConfigError, match="4000 training photos are too few for batches of 512; use --batches"):
        list(batches.planned(_batch_options(tmp_path / "batches.json"), 4000))
