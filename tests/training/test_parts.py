"""The parts of training, each against numbers worked out by hand."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from mobilenet.errors import ConfigError, MobilenetError, SpecError
from mobilenet.nn.network import TableNetwork
from mobilenet.nn.schedule import learning_rate_factor
from mobilenet.runs.metrics_log import read_metrics
from mobilenet.spec import mobilenet_v1
from mobilenet.training.optim.average import WeightAverage
from mobilenet.training.optim.optimizer import PaperRMSprop, parameter_groups
from mobilenet.training.recipe import make_plan
from mobilenet.training.sampler import epoch_order, sample_numbers, steps_per_epoch
from mobilenet.training.settings import Optimizer, TrainingSettings
from mobilenet.training.system.processes import Processes, torchrun_place
from mobilenet.training.tracking.tracker import Tracker


@given(st.integers(1, 300), st.integers(0, 1000), st.integers(0, 50))
def test_an_epoch_shows_each_photo_once(photos: int, seed: int, epoch: int) -> None:
    order = epoch_order(photos, seed, epoch)
    assert sorted(order.tolist()) == list(range(photos))


def test_the_order_changes_with_the_epoch_and_with_the_seed() -> None:
    first = epoch_order(100, 0, 0)
    assert not np.array_equal(first, epoch_order(100, 0, 1))
    assert not np.array_equal(first, epoch_order(100, 1, 0))
    assert np.array_equal(first, epoch_order(100, 0, 0))


@given(st.lists(st.integers(1, 40), min_size=2, max_size=6), st.integers(0, 9))
def test_a_balanced_epoch_shows_each_class_equally_often(counts: list[int], epoch: int) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    order = epoch_order(len(labels), 0, epoch, labels)
    shown = np.bincount(labels[order], minlength=len(counts))
    assert len(order) == len(labels)
    assert shown.max() - shown.min() <= 1


@given(st.lists(st.integers(0, 9), min_size=10, max_size=10))
def test_a_photo_that_comes_again_is_another_sample(photos: list[int]) -> None:
    samples = sample_numbers(np.array(photos))
    assert (samples % 10).tolist() == photos
    assert len(set(samples.tolist())) == 10


def test_samples_are_numbered_by_photo_and_repeat() -> None:
    assert sample_numbers(np.array([2, 0, 2, 2])).tolist() == [2, 0, 6, 10]


@given(st.integers(1, 64), st.integers(1, 8))
def test_processes_share_a_batch_without_gap_or_overlap(size: int, count: int) -> None:
    batch = np.arange(size) * 7
    shares = [Processes(rank, count).share(batch) for rank in range(count)]
    assert sorted(np.concatenate(shares).tolist()) == batch.tolist()
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_process_alone_writes() -> None:
    assert torchrun_place() == Processes(0, 1)
    assert [Processes(rank, 2).writes for rank in (0, 1)] == [True, False]


def test_the_rest_of_an_epoch_is_skipped() -> None:
    assert steps_per_epoch(130, 64) == 2


@pytest.mark.parametrize(
    ("progress", "factor"),
    [(0.05, 0.5), (0.1, 1.0), (0.55, 0.5), (0.325, 0.5 + math.sqrt(0.5) / 2), (1.0, 0.0), (1.3, 0.0)],
)
def test_the_rate_rises_then_falls_as_a_cosine(progress: float, factor: float) -> None:
    assert learning_rate_factor(progress, 0.1) == pytest.approx(factor, abs=1e-12)


def test_depthwise_filters_norms_and_biases_do_not_decay() -> None:
    network = TableNetwork(mobilenet_v1(0.25, 32, 4))
    decayed, kept = parameter_groups(network, 0.1)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    assert decayed["weight_decay"] == 0.1
    assert kept["weight_decay"] == 0.0
    inside = {names[id(parameter)] for parameter in decayed["params"]}
    want = {f"block{n}.pointwise.conv.weight" for n in range(1, 14)} | {"stem.conv.weight", "classifier.weight"}
    assert inside == want
    assert len(decayed["params"]) + len(kept["params"]) == len(names)


def test_rmsprop_is_the_papers() -> None:
    parameter = nn.Parameter(torch.tensor([1.0]))
    optimizer = PaperRMSprop([parameter], 0.1, alpha=0.9, momentum=0.5, epsilon=1.0)
    square, velocity, value = 1.0, 0.0, 1.0
    for gradient in (2.0, -1.0, 0.5):
        parameter.grad = torch.tensor([gradient])
        optimizer.step()
        square = 0.9 * square + 0.1 * gradient**2
        velocity = 0.5 * velocity + 0.1 * gradient / math.sqrt(square + 1.0)
        value -= velocity
        assert parameter.item() == pytest.approx(value)


def test_the_average_starts_short_and_grows() -> None:
    network = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        network.weight.fill_(0.0)
    average = WeightAverage(network, 0.25)
    values = []
    for target in (1.0, 2.0, 3.0):
        with torch.no_grad():
            network.weight.fill_(target)
        average.update()
        values.append(average.network.weight.item())
    # Decays 2/11, 3/12 and then 0.25.
    first = 1 * 9 / 11
    second = first * 0.25 + 2 * 0.75
    assert values == pytest.approx([first, second, second * 0.25 + 3 * 0.75])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "epochs 0 is out of range"),
        ({"minutes": -1}, "minutes -1 is out of range"),
        ({"batch_size": 1}, "batch size 1"),
        ({"learning_rate": float("nan")}, "learning rate nan"),
        ({"seed": -1}, "seed -1 is out of range"),
        ({"seed": 2**64}, "out of range"),
        ({"optimizer": "adam"}, "unknown optimiser 'adam'; use one of sgd, rmsprop, adamw"),
        ({"precision": "float16"}, "unknown precision"),
        ({"resolution": 100}, "use 96 or 128"),
        ({"width_multiplier": 0}, "width multiplier 0"),
        ({"architecture": "vgg16"}, "'vgg16' cannot be trained; use one of mobilenet_v1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(MobilenetError, match=message) as raised:
        TrainingSettings(Path("x"), **change)  # type: ignore[arg-type]
    assert isinstance(raised.value, ConfigError | SpecError)


def test_settings_survive_json() -> None:
    settings = TrainingSettings(Path("x"), Path("y"), epochs=3, optimizer="adamw", label_smoothing=0.0)
    assert TrainingSettings.from_json(settings.to_json()) == settings
    with pytest.raises(ConfigError, match="start a new run"):
        TrainingSettings.from_json({**settings.to_json(), "colour": 1})


_RATES = {
    "random": {
        "adamw": (0.003, 0.006, 0.012, 0.024, 0.048),
        "rmsprop": (0.0025, 0.01, 0.04, 0.16, 0.16),
        "sgd": (0.025, 0.05, 0.2, 0.2, 0.2),
    },
    "fine-tuning": {
        "adamw": (0.00025, 0.0005, 0.001, 0.002, 0.004),
        "rmsprop": (0.00075, 0.003, 0.012, 0.02, 0.02),
        "sgd": (0.01, 0.02, 0.04, 0.04, 0.04),
    },
}
"""For batches of 8, 32, 128, 512 and 2,048: a quarter, 1, 4, 16 and 64 times 32, whose roots are 1/2, 1, 2, 4 and 8."""


@pytest.mark.parametrize("optimizer", ["adamw", "rmsprop", "sgd"])
@pytest.mark.parametrize("recipe", ["random", "fine-tuning"])
def test_the_rate_suits_the_batch(recipe: str, optimizer: Optimizer) -> None:
    weights = None if recipe == "random" else "other.tflite"
    settings = TrainingSettings(Path("x"), weights=weights, optimizer=optimizer)
    plans = [make_plan(replace(settings, batch_size=size), 16_384) for size in (8, 32, 128, 512, 2048)]
    rates = tuple(plan.learning_rate for plan in plans)
    assert rates == pytest.approx(_RATES[recipe][optimizer])
    assert rates[1] == _RATES[recipe][optimizer][1], "bit for bit at the default batch"
    few = make_plan(settings, 64)
    assert (few.batch_size, few.learning_rate) == (8, rates[0]), "batches are an eighth of few photos"
    doubled = make_plan(settings, 16_384, rate=2.0).learning_rate
    assert doubled == rates[1] * (1 if weights is None else 2), "a task's own rate is one of fine-tuning"
    assert make_plan(replace(settings, learning_rate=0.7, batch_size=512), 16_384).learning_rate == 0.7


def test_crops_are_what_the_settings_the_task_and_the_recipe_say_in_this_order() -> None:
    """Training crops show things on average as large as whole photos do: 2 / (1 + √smallest) times magnified."""
    fine = TrainingSettings(Path("x"), weights="other.tflite", resolution=224)

    def plan(smallest_crop: float, **augmentation: object) -> tuple[float, int]:
        of_task = {"crop_area": (smallest_crop, 1.0)} if smallest_crop else {}
        made = make_plan(replace(fine, augmentation=augmentation), 500, of_task)
        return made.augmentation.crop_area[0], made.training_resolution

    assert plan(0) == (0.25, 160)
    assert plan(0.75) == plan(0.75, flip=False) == (0.75, 224)
    assert plan(0.75, crop_area=(0.3, 1.0)) == (0.3, 160)
    assert plan(0, crop_area=(0.01, 1.0)) == (0.01, 128)
    scratch = replace(fine, weights=None)
    assert make_plan(scratch, 500).augmentation.crop_area == (0.5, 1.0)
    assert make_plan(scratch, 500, {"crop_area": (0.75, 1.0)}).training_resolution == 224
    with pytest.raises(ConfigError, match="unknown augmentation crop_areas; there are aliasing, "):
        replace(fine, augmentation={"crop_areas": 1})


def test_metrics_after_the_last_checkpoint_are_dropped(tmp_path: Path) -> None:
    with Tracker(tmp_path) as tracker:
        for epoch in (1, 2, 3):
            tracker.log({"epoch": epoch, "top1": epoch / 10, "seconds": {"step": 1.0}})
    kept = tracker.lines[:2]
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 4, "to')
    with Tracker(tmp_path, kept) as again:
        again.log({"epoch": 3, "top1": 0.9, "seconds": {"step": 2.0}})
    assert [(line["epoch"], line["top1"]) for line in read_metrics(tmp_path / "metrics.jsonl").lines] == [
        (1, 0.1),
        (2, 0.2),
        (3, 0.9),
    ]
