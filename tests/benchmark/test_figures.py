"""The scripts in benchmarks/ print what is true of contenders whose speed, or of photos whose content, is known."""

import importlib
import json
import re
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.benchmark.clock import Clock

from mobilenet.spec import mobilenet_v1
from mobilenet.tasks import open_dataset
from mobilenet.training.recipe import make_plan
from mobilenet.training.settings import TrainingSettings

_SCRIPTS = Path(__file__).parents[2] / "benchmarks"

_OF_SEARCHES = {"fit", "paper", "paper_plot", "batch_size"}
"""Tested in test_scripts.py too."""
_OF_SPEED = {"training", "layers", "padding", "predict_overhead", "litert_converter", "c_speed"}
_OF_ACCURACY = {"few_shot", "linear_baseline", "taught_attributes"}
_OF_VECTORS = {"retrieval", "vector_search"}
"""Tested in test_vectors.py."""
_OF_DETECTORS = {"imported_detector", "detection_training"}
"""Tested in test_imported_detector.py."""
_OF_PLACES = {"earth_views", "earth_baseline"}
"""Tested in test_earth.py."""
_WITHOUT_FIGURES = {"convert_with_tensorflow", "convert_natural_earth"}
"""Convert files: the first in an environment of its own, the second is tested in ../geography/test_land.py."""


def _script(monkeypatch: pytest.MonkeyPatch, name: str) -> ModuleType:
    monkeypatch.syspath_prepend(str(_SCRIPTS))
    # Another module may have the same short name.
    monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module(name)


def test_every_script_has_its_test() -> None:
    names = {path.stem for path in _SCRIPTS.glob("*.py")}
    assert (
        names == _OF_SEARCHES | _OF_SPEED | _OF_ACCURACY | _OF_VECTORS | _OF_DETECTORS | _OF_PLACES | _WITHOUT_FIGURES
    )


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Red and blue photos: 20 of each to train on, 5 of each to validate."""
    root = tmp_path_factory.mktemp("photos")
    for part, count in (("train", 20), ("validation", 5)):
        for colour in ("blue", "red"):
            (root / part / colour).mkdir(parents=True)
            for number in range(count):
                image = Image.new("RGB", (40, 40), colour)
                image.putpixel((number, len(part)), (9, 200, 9))
                image.save(root / part / colour / f"{number:02}.jpg", quality=95)
    return root


def _rows(first: float, later: float, share: float | None = None) -> list[tuple[int, float, float | None]]:
    """Three epochs of 600 photos at that many photos per second."""
    return [(600, 600 / speed, share) for speed in (first, later, later)]


def test_training_ratios_are_ours_to_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    training = _script(monkeypatch, "training")
    speeds = {
        "stock": (10.0, 20.0),
        "tuned-float32": (30.0, 60.0),
        "tuned-bfloat16": (30.0, 80.0),
        "ours": (25.0, 160.0),
    }
    asked: list[tuple[Any, ...]] = []

    def run(side: str, *arguments: object) -> list[tuple[int, float, float | None]]:
        asked.append((side, *arguments))
        return _rows(*speeds[side], 0.25 if side == "ours" else None)

    monkeypatch.setattr(training, "run_side", run)
    found = training.compare(Path("photos"), 0.25, 128, 600, rounds=2)
    assert found["images_per_second"] == {side: later for side, (_, later) in speeds.items()}
    assert found["images_per_second_first_epoch"] == {side: first for side, (first, _) in speeds.items()}
    assert (found["against_stock"], found["against_tuned"]) == (8.0, 2.0)
    assert (found["against_stock_first_epoch"], found["input_share"]) == (2.5, 0.25)
    assert asked == [(side, Path("photos"), 0.25, 128, 64, 3, 600) for _ in range(2) for side in speeds]


def test_an_epoch_of_training_is_timed_from_its_start_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    training, clock = _script(monkeypatch, "training"), Clock()
    work = clock.taking(4.0, 2.0)

    def epoch(number: int) -> Any:
        work()
        return training.Epoch(100, 0.1 * number)

    rows = training.timed(epoch, 3, clock)
    assert rows == [(100, 4.0, 0.0), (100, 2.0, 0.1), (100, 2.0, 0.2)]
    assert [training.speed(row) for row in rows] == [25.0, 50.0, 50.0]


def test_the_limit_of_training_is_that_of_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    training = _script(monkeypatch, "training")
    # 568,740,352 mult-adds (paper: 569 million), each two operations, three times for forward and backward.
    assert training.limit(mobilenet_v1(1.0, 224), "float32", 2) == pytest.approx(2 * 266e9 / (6 * 568_740_352))


@pytest.mark.parametrize("side", ["stock", "tuned", "ours"])
def test_an_epoch_of_training_has_the_photos_of_its_own_steps(
    side: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 40 photos in batches of 16, 32 are trained on in every epoch, not 32, 64, 96; ours takes smaller batches."""
    training = _script(monkeypatch, "training")
    monkeypatch.setattr(training, "keep_freed_memory", lambda: None)
    monkeypatch.setattr(training, "pick_precision", lambda *_: torch.float32)
    monkeypatch.setenv("MOBILENET_CACHE", str(tmp_path / "own"))
    size = (photos, 0.125, 32, 16)
    train_epoch = {
        "stock": lambda: training.stock(*size, 40, workers=0),
        "tuned": lambda: training.tuned(*size, 40, half=False),
        "ours": lambda: training.ours(*size, 3, 40, tmp_path / "cache"),
    }[side]()
    epochs = [train_epoch(number) for number in range(3)]
    settings = TrainingSettings(photos, batch_size=16)
    batch = make_plan(settings, 40).batch_size if side == "ours" else 16
    assert [epoch.photos for epoch in epochs] == [40 // batch * batch] * 3
    if side == "ours":
        assert all(0 < epoch.input_share < 1 for epoch in epochs)


def test_milliseconds_are_medians_without_the_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    layers, clock = _script(monkeypatch, "layers"), Clock()
    # One call in five is disturbed.
    fast = clock.taking(9.0, 9.0, 0.003, 0.003, 0.5, 0.003, 0.003)
    slow = clock.taking(9.0, 9.0, 0.012)
    assert layers.milliseconds(fast, slow, repeat=5, clock=clock) == pytest.approx([3.0, 12.0])


def test_a_disturbed_warm_up_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    layers, clock = _script(monkeypatch, "layers"), Clock()
    assert layers.milliseconds(clock.taking(9.0, 9.0, 0.004), repeat=1, clock=clock) == pytest.approx([4.0])


def test_the_cost_of_padding_is_relative_to_symmetric_padding(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = _script(monkeypatch, "layers")
    assert layers.padding_cost(11.0, 10.0) == "TensorFlow's padding 11.0 ms, symmetric 10.0 ms, +10.0%"
    padding, clock = _script(monkeypatch, "padding"), Clock()
    assert padding.ratio(clock.taking(0.033), clock.taking(0.030), clock) == pytest.approx(1.1)
    cold = clock.taking(*[5.0] * 4, 0.02)
    assert padding.ratio(cold, clock.taking(0.04), clock) == pytest.approx(0.5)


def test_the_overhead_of_predict_is_what_it_adds_in_microseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    script, clock = _script(monkeypatch, "predict_overhead"), Clock()
    # The first call of a round is not timed.
    calls = {"engine": clock.taking(1.0, 200e-6), "predict": clock.taking(1.0, 210e-6)}
    found = script.latencies_us(calls, clock.now_ns)
    assert found == pytest.approx({"engine": 200.0, "predict": 210.0}, rel=1e-4)
    line = script.overhead({"engine": 200.0, "predict": 210.0})
    assert line.split() == ["engine", "200.0", "µs,", "predict", "210.0", "µs:", "+10.0", "µs,", "+5.0", "%"]


class _Engine:
    """Takes `seconds`, of which it computes half the time."""

    def __init__(self, wall: Clock, cpu: Clock, seconds: float) -> None:
        self._wall, self._cpu, self._seconds = wall, cpu, seconds

    def invoke(self) -> None:
        self._wall.now_s += self._seconds
        self._cpu.now_s += self._seconds / 2


def test_files_of_both_converters_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    script, wall, cpu = _script(monkeypatch, "litert_converter"), Clock(), Clock()
    order: list[str] = []

    class Opened(script.Side):  # type: ignore[name-defined, misc]
        def open(self) -> None:
            # Opening takes time, which must not be counted.
            wall.now_s += 100
            self.engine = _Engine(wall, cpu, 0.001 if self.data == b"ours" else 0.004)

        def run(self) -> None:
            order.append(self.data.decode())
            super().run()

    sides = tuple(Opened(data, 8, wall, cpu) for data in (b"ours", b"theirs"))
    script.compare(sides, 1.0, wall)
    assert order[:4] == ["ours", "theirs", "theirs", "ours"]
    assert order.count("ours") == order.count("theirs") == pytest.approx(2 * 10 * 10, abs=20)
    assert sides[0].wall_ms == pytest.approx([1.0] * len(sides[0].wall_ms))
    assert sides[1].cpu_ms == pytest.approx([2.0] * len(sides[1].cpu_ms))
    assert re.sub(" +", " ", script.described("1.0-224 int8", sides)) == (
        "1.0-224 int8 4 B against 6 B; wall p50 1.000 ms against 4.000 ms, ratio 0.250; "
        "cpu p50 0.500 ms against 2.000 ms, ratio 0.250 (target 1.02)"
    )


def test_c_files_and_litert_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    script, clock = _script(monkeypatch, "c_speed"), Clock()
    order: list[str] = []

    def side(name: str, took_s: float) -> Callable[[], None]:
        def run() -> None:
            order.append(name)
            clock.now_s += took_s

        return run

    found = script.compare(side("c", 0.001), side("litert", 0.004), 0.4, clock)
    assert found == pytest.approx((1.0, 4.0))
    assert "".join(name[0] for name in order[2:]).startswith("c" * 10 + "l" * 20 + "c" * 10)
    assert re.sub(" +", " ", script.described("0.25-128 int8", *found, 0.3)) == (
        "0.25-128 int8 C 1.000 ms, LiteRT 4.000 ms, ratio 0.250 (target 0.3)"
    )


def test_few_photos_are_as_many_of_each_class(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = _script(monkeypatch, "few_shot")
    dataset = open_dataset(photos)
    one, again, other = (
        script.drawn(dataset, 7, seed, tmp_path / name) for seed, name in ((0, "a"), (0, "b"), (1, "c"))
    )
    names = [sorted(path.relative_to(root).as_posix() for path in root.rglob("*.jpg")) for root in (one, again, other)]
    assert names[0] == names[1] != names[2]
    for folder, count in (("train/red", 7), ("train/blue", 7), ("validation/red", 5), ("validation/blue", 5)):
        assert len(list((one / folder).iterdir())) == count
        for link in (one / folder).iterdir():
            assert link.resolve().parent == (photos / folder).resolve()
    assert len(list((script.drawn(dataset, 99, 0, tmp_path / "d") / "train" / "red").iterdir())) == 20


def test_records_of_few_photos_have_their_accuracy_and_seconds(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script, clock = _script(monkeypatch, "few_shot"), Clock()
    work, trained = clock.taking(3.0, 60.0), []
    judged: list[int] = []

    def train(settings: Any, _: Path) -> Namespace:
        work()
        trained.append((settings.weights, settings.freeze))
        judged.append(len(list((settings.data / "validation").glob("*/*"))))
        return Namespace(evaluation=Namespace(figures={"top1": 0.5}))

    monkeypatch.setattr(script, "train", train)
    records = script.measure(photos, "w.tflite", [5], 1, tmp_path / "few.json", clock=clock)
    assert [(record["way"], record["s"], record["top1"]) for record in records] == [
        ("classifier alone", 3.0, 0.5),
        ("fine-tuning", 60.0, 0.5),
        ("random weights", 60.0, 0.5),
    ]
    assert trained == [("w.tflite", "backbone"), ("w.tflite", "none"), (None, "none")]
    assert script.measure(photos, "w.tflite", [5], 1, tmp_path / "few.json", clock=clock) == records
    assert len(trained) == 3
    apart = {"validation": photos / "validation", "clock": clock}
    assert len(script.measure(photos / "train", "w.tflite", [5], 1, tmp_path / "apart.json", **apart)) == 3
    assert judged == [10] * 6


def test_a_table_of_few_photos_has_means_and_standard_deviations(monkeypatch: pytest.MonkeyPatch) -> None:
    script = _script(monkeypatch, "few_shot")
    records = [
        {"per_class": 20, "seed": seed, "way": "fine-tuning", "top1": top1} for seed, top1 in enumerate((0.5, 0.7, 0.6))
    ]
    records.append({"per_class": 5, "seed": 0, "way": "random weights", "top1": 0.25})
    assert script.table(records).splitlines()[2:] == [
        "| 5 | 25.0% | not measured | not measured |",
        "| 20 | not measured | not measured | 60.0% ± 10.0% |",
    ]


def test_a_linear_classifier_tells_red_from_blue(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = _script(monkeypatch, "linear_baseline")
    images, labels = script.pixels(photos / "train", 4)
    assert images.shape == (40, 48)
    assert labels.tolist() == [0] * 20 + [1] * 20
    # Blue comes first.
    assert images[:20, 2::3].min() > 200 > 100 > images[:20, 0::3].max()
    found = script.measure(photos, 4)
    assert (found["validation_top1"], found["train_top1"]) == (1.0, 1.0)
    swapped = tmp_path / "swapped"
    swapped.mkdir()
    (swapped / "train").symlink_to(photos / "train")
    (swapped / "validation").mkdir()
    for name, other in (("red", "blue"), ("blue", "red")):
        (swapped / "validation" / name).symlink_to(photos / "validation" / other)
    assert script.measure(swapped, 4)["validation_top1"] == 0.0


def test_linear_accuracy_is_the_share_of_right_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    script = _script(monkeypatch, "linear_baseline")
    # One feature: class 1 above 0.5 by weight 2 and bias -1 against class 0.
    weights = torch.tensor([[0.0, 2.0], [0.0, -1.0]])
    images, labels = torch.tensor([[0.0], [0.4], [0.6], [1.0]]), torch.tensor([0, 1, 1, 1])
    assert script.accuracy(weights, images, labels) == 0.75


def test_a_run_of_a_batch_size_has_its_seconds_and_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    script, clock = _script(monkeypatch, "batch_size"), Clock()
    work = clock.taking(90.0)

    def train(*_: object) -> Namespace:
        work()
        return Namespace(evaluation=Namespace(figures={"top1": 0.5, "loss": 1.5, "ece": 0.1}))

    monkeypatch.setattr(script, "train", train)
    monkeypatch.setattr(script, "describe_machine", lambda _: {})
    settings = script.TrainingSettings(Path("photos"), width_multiplier=0.25, resolution=64, batch_size=128)
    record = script.trained(settings, clock)
    assert (record["seconds"], record["top1"], record["loss"], record["batch"]) == (90.0, 0.5, 1.5, 128)
    assert record["network"] == "0.25-64"


def test_the_figures_of_a_search_are_those_of_its_document(monkeypatch: pytest.MonkeyPatch) -> None:
    script = _script(monkeypatch, "fit")
    file = {"precision": "int8", "runtime": "litert", "accuracy": 0.8125, "p95_ms": 0.5}
    chosen = {**file, "size_bytes": 260_000, "peak_bytes": 9_000_000}
    document = {
        "limits": {"accuracy": None},
        "winner": {"width_multiplier": 0.25, "resolution": 224},
        "chosen": chosen,
        "seconds": 30,
        "training_seconds": 20,
    }
    assert script.line("search", json.loads(json.dumps(document))) == (
        "search: 0.25-224 in int8 on litert: top-1 81.2%, 0.5 ms at p95, 260,000 bytes, 9.0 MB; 30 s, "
        "1.50 times the training of its winner"
    )
    better = {**document, "chosen": {**chosen, "accuracy": 0.8375}}
    assert script.regret(document, better) == "regret 2.50 points"


def test_the_spread_of_the_paper_is_over_its_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    script = _script(monkeypatch, "paper")
    entry = script.ENTRIES[0]
    costs = {"mult_adds": 12_340_000, "params": 1_230_000}
    records = [
        {"network": entry.key, "seed": seed, "epochs": epochs, "top1": top1, **costs}
        for seed, epochs, top1 in ((0, 48, 0.5), (1, 48, 0.6), (2, 48, 0.7), (0, 9, 0.0))
    ]
    (row,) = (row for row in script.rows(records, 48, entry.table) if row.startswith(f"| {entry.name} |"))
    assert row.startswith(f"| {entry.name} | 12.3 | 1.23 | 60.0 ± 10.0 | 3 |")
    (dot,) = script.dots(records, 48)
    assert dot.top1 == pytest.approx((50.0, 60.0, 70.0))
    assert np.isclose(dot.mult_adds, 12_340_000)


def test_a_third_of_the_attributes_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are photos without labels, for the taught student alone."""
    script = _script(monkeypatch, "taught_attributes")
    lines = ["file_name,split,red,dark"]
    for number in range(12):
        Image.new("RGB", (16, 16), (20 * number, 0, number)).save(tmp_path / f"{number}.png")
        lines.append(f"{number}.png,{'train' if number < 9 else 'val'},{number % 2},{'' if number % 3 else 1}")
    (tmp_path / "table.csv").write_text("\n".join(lines))
    dataset = open_dataset(tmp_path / "table.csv", "attributes")
    (tmp_path / "work").mkdir()
    table, pool = script.thirds(dataset, 0, tmp_path / "work")
    third = open_dataset(table, "attributes")
    names = {path.resolve().name for path in pool.iterdir()}
    assert (len(third.train), len(names), len(third.validation)) == (3, 6, 3)
    assert not names & {third.train.path(number).name for number in range(3)}
    known = dict(zip(dataset.train.files, dataset.train.targets.lines(dataset.vocabulary), strict=True))
    for number, said in enumerate(third.train.targets.lines(third.vocabulary)):
        assert said == known[third.train.path(number).name]
    asked = []

    def train(settings: Any, out: Path) -> Namespace:
        asked.append((settings.data, settings.width_multiplier, settings.weight_decay, settings.teacher))
        return Namespace(evaluation=Namespace(figures={"mean_ap": 0.1 * len(asked)}))

    monkeypatch.setattr(script, "train", train)
    settings = {
        "teacher": TrainingSettings(tmp_path, width_multiplier=1.0),
        "student": TrainingSettings(tmp_path, width_multiplier=0.25),
    }
    found = script.measure(table, pool, settings, 2.0, tmp_path)
    assert found == pytest.approx({"teacher": 0.1, "labels alone": 0.2, "taught": 0.3})
    taught = asked.pop()[3]
    assert asked == [(table, 1.0, None, None), (table, 0.25, None, None)]
    assert (taught.model, taught.unlabelled, taught.temperature) == (tmp_path / "teacher", (pool,), 2.0)
