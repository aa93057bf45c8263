"""benchmarks/imported_detector.py counts boxes that are found again, and reads COCO's boxes."""

import importlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.weights.conftest import TfliteFile
from tests.weights.detectors import detector

from mobilenet.tasks.detection.found import Found


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
