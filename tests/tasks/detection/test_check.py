"""`mobilenet check` on boxes: copies whose boxes differ, and photos drawn with what is wrong with their boxes."""

import io
import json
import re
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilenet.datasets.cache.load import load
from mobilenet.datasets.check.check import check, quick_check
from mobilenet.datasets.check.contradictions import Labels
from mobilenet.datasets.check.findings import Check
from mobilenet.images.overlay import PALETTE
from mobilenet.model.vocabulary import Vocabulary
from mobilenet.report.check_page import write_check_page
from mobilenet.tasks import open_dataset
from mobilenet.tasks.detection.targets import BoxTargets
from mobilenet.tasks.detection.task import Detection

_NAMES = Vocabulary(("cat", "owl", "dog"))
_CAT = (0, 0.2, 0.2, 0.6, 0.6)
"""A label, and top, left, bottom, right in shares."""

_GREEN, _ORANGE = PALETTE[3], PALETTE[5]


def _targets(*photos: tuple[tuple[float, ...], ...], crowd: bool = False) -> BoxTargets:
    rows = np.array([row for photo in photos for row in photo], np.float32).reshape(-1, 5)
    starts = np.cumsum([0, *map(len, photos)]).astype(np.int64)
    sizes = np.full((len(photos), 2), 100, np.int32)
    return BoxTargets(rows[:, 1:], rows[:, 0].astype(np.int64), np.full(len(rows), crowd), sizes, starts)


@pytest.mark.parametrize(
    ("other", "conflict"),
    [
        ((_CAT,), False),
        # Nine tenths of the height, so an overlap of 0.9.
        (((0, 0.2, 0.2, 0.56, 0.6),), False),
        # Moved by a quarter of its width: an overlap of 3 / 5. By a half: 1 / 3.
        (((0, 0.2, 0.3, 0.6, 0.7),), False),
        (((0, 0.2, 0.4, 0.6, 0.8),), True),
        (((1, 0.2, 0.2, 0.6, 0.6),), True),
        ((_CAT, _CAT), True),
        ((_CAT, (1, 0.7, 0.7, 0.9, 0.9)), True),
        ((), True),
    ],
)
def test_boxes_of_one_picture_may_differ_a_little(other: tuple[tuple[float, ...], ...], *, conflict: bool) -> None:
    labels = Labels((_targets((_CAT,)), _targets((), other)), _NAMES)
    assert labels.contradict([0, 2]) is conflict
    assert labels.contradict([2, 0]) is conflict
    assert not Labels((_targets((), ()),), _NAMES).contradict([0, 1])


def test_a_cropped_copy_has_its_boxes_elsewhere_and_larger() -> None:
    rows = np.array([(0, 0.2, 0.2, 0.3, 0.3), (1, 0.5, 0.6, 0.7, 0.8)])
    cropped = np.concatenate([rows[:, :1], (rows[:, 1:] - 0.1) / 0.8], 1)
    shuffled = np.concatenate([cropped[:, :1], cropped[:, 1:] * 0.5], 1)
    labels = Labels((_targets(*(tuple(map(tuple, each)) for each in (rows, cropped, shuffled))),), _NAMES)
    assert labels.contradict([0, 1])
    assert not labels.contradict([0, 1], 0.25)
    assert labels.contradict([0, 2], 0.25)


def test_things_in_a_crowd_may_be_told_apart_or_not() -> None:
    crowd, one = _targets((_CAT,), crowd=True), _targets((_CAT, (0, 0.7, 0.7, 0.9, 0.9)), ((1, 0.2, 0.2, 0.6, 0.6),))
    labels = Labels((crowd, one), _NAMES)
    assert not labels.contradict([0, 1])
    assert labels.contradict([0, 2])


def test_labels_are_said_in_few_words_and_drawn() -> None:
    owl = (1, 0.1, 0.1, 0.3, 0.3)
    labels = Labels((_targets((_CAT, owl, _CAT), ()),), _NAMES)
    assert [labels.words(0), labels.words(1)] == ["2 cat, owl", "none"]
    assert [mark.text for mark in labels.marks(0)] == ["cat", "owl", "cat"]
    assert labels.marks(0)[1].box == pytest.approx(owl[1:])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten sound photos; copies with other boxes, and with nearly the same; one with every kind of wrong box; one that
    its EXIF orientation turns, and one of another shape than its annotation says."""
    folder = tmp_path_factory.mktemp("doubts")
    photos, boxes = list[dict[str, object]](), list[dict[str, object]]()

    def add(
        name: str, seed: int, found: list[list[float]], *, size: tuple[int, int] | None = (80, 60), **saved: object
    ) -> None:
        exif = Image.Exif()
        exif[0x0112] = saved.pop("orientation", 1)
        pixels = np.random.default_rng(seed).integers(0, 90, (6, 8, 3), np.uint8)
        image = Image.fromarray(pixels).resize((80, 60), Image.Resampling.BICUBIC)
        image.save(folder / name, exif=exif, **saved)
        sides = {} if size is None else {"width": size[0], "height": size[1]}
        photos.append({"id": len(photos), "file_name": name, **sides})
        boxes.extend(
            {"id": len(boxes) + number, "image_id": len(photos) - 1, "category_id": 1 + number % 2, "bbox": box}
            for number, box in enumerate(found)
        )

    for number in range(10):
        add(f"{number}.png", number, [[10, 10, 20, 30], [40, 20, 30, 30]])
    add("near.png", 0, [[11, 11, 20, 30], [40, 21, 29, 30]])
    add("other.png", 1, [[50, 10, 20, 30], [4, 20, 30, 30]])
    add("bad.png", 20, [[20, 20, 30, 20], [70, 30, 30, 20], [200, 10, 5, 5], [5, 5, 0, 20], [60, 50, -20, -20]])
    add("turned.jpg", 21, [[10, 10, 20, 30]], size=None, orientation=6, quality=95)
    add("shape.png", 22, [[10, 10, 60, 30]], size=(100, 50))
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "owl"}]
    (folder / "boxes.json").write_text(json.dumps({"images": photos, "annotations": boxes, "categories": categories}))
    return folder


@pytest.fixture(scope="module")
def found(data: Path) -> Check:
    return check(data, Detection(), workers=1)


def test_only_other_boxes_are_a_conflict(found: Check) -> None:
    pairs = {tuple(sorted(photo.file for photo in copies.photos)): copies.conflict for copies in found.copies}
    assert pairs == {("0.png", "near.png"): False, ("1.png", "other.png"): True}
    assert "1 picture has different boxes" in found.faults()
    reasons = dict(found.excluded())
    assert reasons["other.png"] == reasons["1.png"] == "same picture, with different boxes"
    assert set(found.marks) == {"0.png", "near.png", "1.png", "other.png"}
    assert not {"marks", "drawn", "contradiction"} & found.to_json().keys()


def test_training_says_so_too(data: Path) -> None:
    dataset, task = open_dataset(data), Detection()
    training, validation = (load(photos, 32) for photos in (dataset.train, dataset.validation))
    said = quick_check(dataset.vocabulary, training, validation, task.vocabulary_noun, task.contradiction)
    assert said is not None
    assert "pictures with different boxes: 1" in said


def test_photos_are_drawn_with_what_is_wrong(found: Check) -> None:
    drawn = {each.photo: each for each in found.drawn}
    assert set(drawn) == {"bad.png", "turned.jpg", "shape.png"}
    bad = drawn["bad.png"]
    for reason in ("box beyond the edge", "box outside the photo", "box without area", "corners in the wrong order"):
        assert reason in bad.title
    [(_, marks)] = bad.views
    colours = [mark.colour for mark in marks]
    assert (colours.count(_ORANGE), colours.count(_GREEN)) == (4, 3)
    assert (30 / 60, 70 / 80, 50 / 60, 100 / 80) in [mark.box for mark in marks]


def test_doubtful_boxes_are_drawn_both_ways(found: Check) -> None:
    turned, shape = (next(each for each in found.drawn if each.photo == name) for name in ("turned.jpg", "shape.png"))
    # As people see it, 60 across and 80 down: left 10, top 10, 20 across, 30 down. As stored, 80 across and 60 down,
    # turned to the right: what was the left is the top, and what was the bottom is the left.
    (_, [seen]), (_, [stored]) = turned.views
    assert seen.box == pytest.approx((10 / 80, 10 / 60, 40 / 80, 30 / 60))
    assert stored.box == pytest.approx((10 / 60, 1 - 40 / 80, 30 / 60, 1 - 10 / 80))
    # In a picture of 100 by 50 that was squeezed into 80 by 60, or in pixels of the photo.
    (_, [squeezed]), (_, [plain]) = shape.views
    assert squeezed.box == pytest.approx((10 / 50, 10 / 100, 40 / 50, 70 / 100), abs=1e-3)
    assert plain.box == pytest.approx((10 / 60, 10 / 80, 40 / 60, 70 / 80), abs=1e-3)


def test_the_page_shows_them(found: Check, tmp_path: Path) -> None:
    write_check_page(found, tmp_path / "check.html")
    text = (tmp_path / "check.html").read_text("utf-8")
    assert "<h2>Different boxes" in text
    assert "<h2>Labels to look at" in text
    assert "as used | the other way" in text
    section = text[text.index('<section id="drawn">') : text.index('<section id="classes">')]
    pictures = [
        np.asarray(Image.open(io.BytesIO(b64decode(coded)))).astype(int)
        for coded in re.findall(r"base64,([^\"]+)", section)
    ]
    assert len(pictures) == 3
    # Photos have no pixel brighter than 90 before marks are drawn on them.
    assert all((np.abs(picture - _GREEN).max(2) < 40).sum() > 300 for picture in pictures)
    assert [(np.abs(picture - _ORANGE).max(2) < 40).sum() > 300 for picture in pictures] == [True, False, False]
    assert (
        sorted(picture.shape[1] for picture in pictures)[0] <= 480 < sorted(picture.shape[1] for picture in pictures)[1]
    )
    groups = text[text.index('<section id="conflicts">') : text.index('<section id="drawn">')]
    assert "cat, owl" in groups
