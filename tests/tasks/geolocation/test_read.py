"""Photos with places as data: cells, splits, copies, and what cannot be learned."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilenet.datasets.dataset import open_judges
from mobilenet.errors import ConfigError, DataError
from mobilenet.metrics.geodesic import distance_km, distances_km, unit_vectors
from mobilenet.tasks import TASKS, configured, open_dataset, task_of
from mobilenet.tasks.geolocation.targets import PlaceTargets, place_targets

_TASK = TASKS["geolocation"]


def _table(folder: Path, places: list[tuple[float, float]]) -> Path:
    """A photo for each place, all different."""
    for number in range(len(places)):
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03}.png")
    with (folder / "photos.csv").open("w", newline="") as file:
        rows = [(f"{number:03}.png", *place) for number, place in enumerate(places)]
        csv.writer(file).writerows([("photo", "lat", "lng"), *rows])
    return folder / "photos.csv"


def _degrees(targets: object) -> np.ndarray:
    assert isinstance(targets, PlaceTargets)
    return targets.degrees


def test_places_are_recognised(places: Path) -> None:
    assert task_of(places).name == "geolocation"


def test_cells_are_the_vocabulary(places: Path) -> None:
    dataset = open_dataset(places)
    assert dataset.split == "made: 0.1 of each cell by place and by content, seed 0"
    fields = dataset.vocabulary.fields
    assert sum(fields["photos"]) == 120
    assert len(dataset.classes) == len(set(dataset.classes)) == len(fields["centres"]) == len(fields["spreads_km"])
    assert len(dataset.train) + len(dataset.validation) == 120
    targets = dataset.train.targets
    assert isinstance(targets, PlaceTargets)
    apart = distance_km(targets.degrees, np.array(fields["centres"])[targets.numbers])
    assert (apart < 400).all(), "each belongs to a cell that is near"


def test_photos_of_one_place_are_on_one_side(tmp_path: Path) -> None:
    """A hundred spots with three photos within a few metres each; nothing near a training photo is validated on."""
    random = np.random.default_rng(0)
    spots = np.column_stack([random.uniform(-60, 60, 100), random.uniform(-180, 180, 100)])
    spots[:10] = np.column_stack([np.zeros(10), random.uniform(-180, 180, 10)])
    found = np.repeat(spots, 3, axis=0) + random.normal(0, 2e-5, (300, 2))
    data = _table(tmp_path, [(round(a, 6), round(b, 6)) for a, b in found.tolist()])
    for seed in range(3):
        dataset = open_dataset(data, seed=seed, validation_fraction=0.3)
        train, validation = (unit_vectors(_degrees(part.targets)) for part in (dataset.train, dataset.validation))
        assert len(validation) > 50
        assert distances_km(train, validation).min() > 0.035
        lost = 300 - len(train) - len(validation)
        notes = [note for note in dataset.notes if note.startswith("held out, but next to training photos")]
        said = f"held out, but next to training photos and so not validated on: {lost} photos"
        assert notes == ([said] if lost else [])


def test_limits_are_options(places: Path) -> None:
    few = open_dataset(places).vocabulary
    task = configured(_TASK, (("max_photos", "5"), ("min_photos", "2")))
    vocabulary, _, _ = task.read(places, task.source(task.places(places).train), None)
    assert len(vocabulary.names) > len(few.names)
    assert set(vocabulary.fields["photos"]) <= {2, 3, 4, 5}


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("max_photos", "0", "max_photos 0 is out of range; use 1 or more"),
        ("smoothing", "-1", "smoothing -1 is out of range; use 0 to 100"),
        ("smoothing", "nan", "smoothing nan is out of range; use 0 to 100"),
        ("min_photos", "x", "min_photos=x is not a whole number; give a whole number"),
    ],
)
def test_options_that_make_no_sense_are_one_line(name: str, value: str, line: str) -> None:
    with pytest.raises(ConfigError) as error:
        configured(_TASK, ((name, value),))
    assert str(error.value) == line
    with pytest.raises(ConfigError, match="min_photos 6 is above max_photos 5; use less"):
        configured(_TASK, (("max_photos", "5"), ("min_photos", "6")))


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ([(48.0, 2.0)], "the only photo is in one place, so there is nothing to learn; add photos of other places"),
        (
            [(48.0, 2.0)] * 9,
            "all 9 photos are in one place, so there is nothing to learn; add photos of other places",
        ),
        (
            [(48.0, 2.0), (48.1, 2.1)],
            (
                "all 2 photos are in one cell of 1 to 4 photos, so there is nothing to learn; give a smaller "
                "--task-option max_photos=N, or add photos of other places"
            ),
        ),
    ],
)
def test_one_place_is_nothing_to_learn(tmp_path: Path, found: list[tuple[float, float]], words: str) -> None:
    data = _table(tmp_path, found)
    with pytest.raises(DataError) as error:
        open_dataset(data)
    assert str(error.value) == f"{data}: {words}"


def test_cells_without_enough_photos_are_one_line(places: Path) -> None:
    task = configured(_TASK, (("max_photos", "121"), ("min_photos", "121")))
    with pytest.raises(DataError, match="no cell has 121 of 120 photos or more; give a smaller --task-option min_ph"):
        task.read(places, task.source(task.places(places).train), None)


def test_photos_are_evaluated_wherever_they_are(places: Path, tmp_path: Path) -> None:
    vocabulary = open_dataset(places).vocabulary
    data = _table(tmp_path, [(-80.0, 0.0), (47.0, 2.0)])
    targets = open_judges(data, _TASK, vocabulary).photos.targets
    assert _degrees(targets).tolist() == [[-80, 0], [47, 2]]
    assert targets.strata() is not None


def test_copies_contradict_each_other_from_a_kilometre_on() -> None:
    found = place_targets(np.array([[10.0, 179.9999], [10.0, -179.9999], [10.02, 180.0]]), np.zeros(3, np.int64))
    assert not found.contradict(0, found, 1, 0.0)
    assert found.contradict(0, found, 2, 0.0)
