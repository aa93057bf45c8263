"""Data sets of other people, in their own files."""

from pathlib import Path

import pytest
from tests.datasets.boxes.writers import read_parts

from mobilenet.datasets.sources.boxes.annotation import Reason
from mobilenet.datasets.sources.boxes.box_set import BoxCounts
from mobilenet.datasets.sources.boxes.find import box_places

_DATA = Path(__file__).parents[4] / "shared" / "data"
_NO_AREA = {Reason.NO_AREA: 1}

# Photos, background, boxes, crowds and what is dropped of each part.
_COUNTS = {
    "cards": [BoxCounts(296, 0, 527, 0)],
    "bccd": [
        BoxCounts(205, 0, 2804, 0, _NO_AREA),
        BoxCounts(87, 0, 1137, 0, _NO_AREA),
        BoxCounts(72, 0, 945, 0),
    ],
    "dice": [BoxCounts(200, 0, 1487, 0), BoxCounts(50, 0, 308, 0)],
    "coco": [BoxCounts(104, 2, 1041, 13)],
}
_CLASSES = {"cards": 6, "bccd": 3, "dice": 6, "coco": 80}


@pytest.mark.parametrize("name", _COUNTS)
def test_what_is_used_of_a_data_set(name: str) -> None:
    if not (_DATA / name).is_dir():
        pytest.skip(f"the photos of {name}, ../shared/data/{name}, are not here")
    found = read_parts(_DATA / name)
    assert [each.counts for each in found] == _COUNTS[name]
    assert [len(each.names) for each in found] == [_CLASSES[name]] * len(found)
    assert not any(each.frames for each in found)


@pytest.mark.parametrize("name", ["clothing", "earth", "fruit", "geotagged"])
def test_photos_without_boxes_are_another_data_set(name: str) -> None:
    if not (_DATA / name).is_dir():
        pytest.skip(f"the photos of {name}, ../shared/data/{name}, are not here")
    assert box_places(_DATA / name) is None
