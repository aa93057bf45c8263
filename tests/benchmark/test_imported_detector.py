"""The benchmarks of detectors: boxes that are found again, COCO's boxes, photos per second."""

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.datasets.boxes.writers import NAMES, Truth, coco_json
from tests.weights.conftest import TfliteFile
from tests.weights.detectors import detector

from mobilenet.images.augment import whole_photos
from mobilenet.tasks.detection.priors import prior_boxes
from mobilenet.tasks.detection.targets import Found
from mobilenet.tasks.detection.task import Detection


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    return importlib.import_module("imported_detector")


def _found(*boxes: tuple[int, float, float]) -> Found:
    """Of class, score and the left side of boxes of 0.4 x 0.4."""
    corners = np.array([[0.1, left, 0.5, left + 0.4] for _, _, left in boxes], np.float32).reshape(-1, 4)
    return Found(
        corners, np.array([box[0] for box in boxes], np.int64), np.array([box[1] for box in boxes], np.float32)
    )


def test_a_box_is_found_once_with_its_class_at_an_overlap_of_nine_tenths(measured: ModuleType) -> None:
    theirs = [_found((0, 0.9, 0.1), (0, 0.8, 0.1), (1, 0.5, 0.3), (1, 0.2, 0.6)), _found((2, 0.4, 0.0))]
    # Shifted by 0.02, 19 of 21 parts are common (0.905); by 0.03, 37 of 43 (0.86).
    assert measured.matched(theirs, [_found((0, 0.1, 0.12)), _found((2, 0.9, 0.03))]) == (1, 4)
    assert measured.matched(theirs, [_found((0, 0.1, 0.1), (0, 0.1, 0.12), (0, 0.9, 0.3)), _found()]) == (2, 4)
    assert measured.matched(theirs, theirs) == (4, 4)


def _coco(folder: Path) -> dict[str, Any]:
    (folder / "images").mkdir(parents=True)
    Image.new("RGB", (200, 100), "red").save(folder / "images" / "b.jpg")
    Image.new("RGB", (50, 50), "blue").save(folder / "images" / "a.jpg")
    document = {
        "images": [
            {"id": 7, "file_name": "b.jpg", "width": 200, "height": 100},
            {"id": 3, "file_name": "x/a.jpg", "width": 50, "height": 50},
        ],
        "categories": [{"id": 90, "name": "class 2"}, {"id": 4, "name": "class 0"}],
        "annotations": [
            {"image_id": 7, "category_id": 90, "bbox": [20, 10, 80, 40], "iscrowd": 1},
            {"image_id": 3, "category_id": 4, "bbox": [5, 5, 20, 20]},
        ],
    }
    (folder / "instances.json").write_text(json.dumps(document))
    return document


def test_truth_is_by_photo_in_pixels(measured: ModuleType, tmp_path: Path) -> None:
    names = ("class 0", "class 1", "class 2")
    boxes, sizes = measured.truth(_coco(tmp_path), ["a.jpg", "b.jpg"], names)
    assert boxes.photos.tolist() == [0, 1]
    assert boxes.boxes.tolist() == [[5, 5, 25, 25], [10, 20, 50, 100]]
    assert (boxes.labels.tolist(), boxes.crowd.tolist()) == ([0, 2], [False, True])
    assert sizes.tolist() == [[50, 50], [100, 200]]
    # The box of the first photo as it is, in shares of 50 pixels; the crowd of the second does not count.
    exact = Found(np.array([[0.1, 0.1, 0.5, 0.5]], np.float32), np.zeros(1, np.int64), np.ones(1, np.float32))
    assert measured.average_precision([exact, _found()], boxes, sizes, 3) == pytest.approx(1)


def test_a_float_detector_is_found_again(measured: ModuleType, tmp_path: Path) -> None:
    _coco(tmp_path / "coco")
    # Nothing is suppressed in the file; a low overlap would leave it fewer boxes than ours.
    file: Any = detector(TfliteFile(), nms_iou_threshold=0.6)
    (tmp_path / "model.tflite").write_bytes(file.pack())
    figures = measured.measure(tmp_path / "model.tflite", tmp_path / "coco")
    assert figures["photos"] == 2
    assert figures["boxes"] > 4
    assert figures["found"]["litert"] == figures["found"]["litert_plain"] == 1
    assert figures["found"]["litert_raw"] == figures["found"]["imported"] >= 0.5
    assert figures["ap"].keys() == figures["found"].keys()


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    for name in ("training", "detection_training"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module("detection_training")


def _boxes(folder: Path, count: int = 18) -> Path:
    """Photos with a white square each, every third of them another class."""
    folder.mkdir()
    truths = {}
    for number in range(count):
        image = Image.new("RGB", (60, 60))
        image.paste((255, 255, 255), (10, 5 + number, 40, 35 + number))
        image.save(folder / f"{number:02}.jpg")
        truths[f"{number:02}.jpg"] = Truth((60, 60), ((NAMES[number % 3 == 0], (5 + number, 10, 35 + number, 40)),))
    (folder / "boxes.json").write_text(coco_json(truths))
    return folder


def test_each_side_counts_the_photos_that_it_trains_on(training: ModuleType, tmp_path: Path) -> None:
    data = _boxes(tmp_path / "photos")
    photos = len(training.open_dataset(data, "detection").train)
    stock = training.timed(training.stock(data, 0.25, 96, 99, workers=0), 2)
    ours = training.timed(training.ours(data, 0.25, 96, 99, tmp_path / "cache"), 2)
    assert [row[0] for row in stock] == [photos] * 2
    batch = max(min(photos, 8), photos // 8)
    assert [row[0] for row in ours] == [photos // batch * batch] * 2


def test_the_stock_loss_is_ours_with_its_options(training: ModuleType, tmp_path: Path) -> None:
    """Photo by photo with plain operators, and batch by batch: the same matches, hard negatives and distances."""
    data = _boxes(tmp_path / "photos")
    dataset, settings = training.open_dataset(data, "detection"), training.settings_of(data, 0.25, 96)
    card = training._card(dataset, settings)
    task = Detection(score_loss="hard-negatives", box_loss="smooth-l1")
    objective, priors = task.objective(card, settings), torch.tensor(prior_boxes(card))
    random = torch.Generator().manual_seed(0)
    outputs = {output.name: torch.randn((6, *output.shape), generator=random) for output in card.outputs}
    targets, indices = dataset.train.targets, np.arange(6)
    arrays = objective.batch(targets, indices, whole_photos(6))
    found = objective(outputs, {name: torch.from_numpy(array) for name, array in arrays.items()})[0]
    batch = [
        (torch.from_numpy(targets.boxes[at]), torch.from_numpy(targets.labels[at]))
        for at in map(targets.photo, indices)
    ]
    assert float(training.stock_loss(outputs, batch, priors)) == pytest.approx(float(found), rel=0.02)


def test_the_summary_divides_the_right_way(training: ModuleType) -> None:
    runs = {"stock": [[(10, 2.0, None), (10, 1.0, None)]], "ours": [[(10, 1.0, None), (10, 0.25, None)]]}
    found = training.summary(runs)
    assert (found["against_stock"], found["against_stock_first_epoch"]) == (4, 2)
    assert found["images_per_second"] == {"stock": 10, "ours": 40}
