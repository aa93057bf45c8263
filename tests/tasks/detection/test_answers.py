"""What is said of a photo's boxes, and the files that they are written to, as others read them."""

import contextlib
import io
import json
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pycocotools.coco import COCO

from mobilenet.images import Preprocessing
from mobilenet.images.overlay import PALETTE
from mobilenet.model.card import ModelCard
from mobilenet.tasks.detection.answers import Detected, detected, drawn, least_score
from mobilenet.tasks.detection.targets import Found
from mobilenet.tasks.detection.writers import WRITERS

NAMES = ("ace", "Größe", "queen")
CARD = ModelCard("mobilenet_v1", 0.25, 32, NAMES, Preprocessing(32), task="detection")


def _found(*rows: tuple[tuple[float, ...], int, float]) -> Found:
    boxes, labels, scores = zip(*rows, strict=True) if rows else ((), (), ())
    return Found(np.array(boxes, np.float32).reshape(-1, 4), np.array(labels, np.int64), np.array(scores, np.float32))


@pytest.fixture
def answers() -> list[Detected]:
    """Of a photo of 200 x 400 pixels (height, width), and one without boxes."""
    rows = (((0.25, 0.5, 0.75, 0.625), 1, 0.96875), ((0.0, 0.0, 1.0, 1.0), 0, 0.5), ((0.0, 0.0, 0.5, 0.5), 2, 0.49))
    return detected([_found(*rows), _found()], NAMES, np.array([[200, 400], [30, 20]]), 0.5)


def test_boxes_are_in_pixels_of_the_photo_best_first(answers: list[Detected]) -> None:
    assert answers[0].to_json() == {
        "height": 200,
        "width": 400,
        "least_score": 0.5,
        "boxes": [
            {"label": "Größe", "score": 0.96875, "top": 50.0, "left": 200.0, "bottom": 150.0, "right": 250.0},
            {"label": "ace", "score": 0.5, "top": 0.0, "left": 0.0, "bottom": 200.0, "right": 400.0},
        ],
    }
    json.dumps([answer.to_json() for answer in answers], allow_nan=False)


def test_lines_say_what_is_where(answers: list[Detected]) -> None:
    assert list(answers[0].lines()) == [
        " 96.9 %  Größe at x 200…250, y 50…150",
        " 50.0 %  ace at x 0…400, y 0…200",
    ]
    assert list(answers[1].lines()) == ["nothing with a score of 50 % or more"]


def test_the_least_score_is_the_users_else_the_models() -> None:
    assert [least_score({"threshold": 0.25}, asked) for asked in (None, 0.0, 0.75)] == [0.25, 0.0, 0.75]
    assert least_score({}, None) == 0.5


def test_boxes_are_drawn_where_they_are(answers: list[Detected]) -> None:
    """The photo is enlarged to twice its size."""
    picture = drawn(np.zeros((200, 400, 3), np.uint8), answers[0])
    assert picture.shape == (400, 800, 3)
    colour = (picture == PALETTE[1]).all(-1)
    for row, column in ((200, 400), (200, 500), (100, 450), (300, 450)):
        assert colour[row - 2 : row + 3, column - 2 : column + 3].any()
    assert not colour[150:250, 420:480].any()
    assert not drawn(np.zeros((30, 20, 3), np.uint8), answers[1]).any()


def _photo(path: Path, pixels: NDArray[np.uint8]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    grey = np.full((200, 400, 3), 99, np.uint8)
    return [_photo(tmp_path / "in" / "a" / "17.png", grey), _photo(tmp_path / "in" / "4.jpg", grey[:30, :20])]


def _written(kind: str, place: Path, photos: list[Path], answers: list[Detected], names: tuple[str, ...]) -> None:
    writer = WRITERS[kind](place, CARD)
    for name, photo, answer in zip(names, photos, answers, strict=True):
        writer.add(PurePosixPath(name), photo, answer)
    writer.finish()


def test_drawn_photos_lie_as_the_photos_do(tmp_path: Path, photos: list[Path], answers: list[Detected]) -> None:
    _written("drawn", tmp_path / "out", photos, answers, ("a/17.png", "4.jpg"))
    files = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*"))
    assert files == ["4.jpg", "a/17.jpg"]
    with Image.open(tmp_path / "out" / "a" / "17.jpg") as picture:
        pixels = np.asarray(picture)
    wanted = drawn(np.full((200, 400, 3), 99, np.uint8), answers[0])
    assert np.abs(pixels.astype(int) - wanted).mean() < 3
    with Image.open(tmp_path / "out" / "4.jpg") as picture:
        assert np.abs(np.asarray(picture).astype(int) - 99).max() < 3


def test_cocos_file_is_read_by_pycocotools(tmp_path: Path, photos: list[Path], answers: list[Detected]) -> None:
    _written("coco", tmp_path / "found.json", photos, answers, ("a/17.png", "4.jpg"))
    with contextlib.redirect_stdout(io.StringIO()):
        read = COCO(str(tmp_path / "found.json"))
        results = read.loadRes(list(read.anns.values()))
    assert {key: (image["file_name"], image["height"], image["width"]) for key, image in read.imgs.items()} == {
        17: ("a/17.png", 200, 400),
        4: ("4.jpg", 30, 20),
    }
    assert [(category["id"], category["name"]) for category in read.loadCats(read.getCatIds())] == [
        (1, "ace"),
        (2, "Größe"),
        (3, "queen"),
    ]
    rows = [
        (row["image_id"], row["category_id"], row["bbox"], row["area"], row["score"]) for row in results.anns.values()
    ]
    assert rows == [(17, 2, [200, 50, 50, 100], 5000, 0.96875), (17, 1, [0, 0, 400, 200], 80000, 0.5)]
    assert results.getAnnIds(imgIds=[4]) == []


@pytest.mark.parametrize(
    ("names", "ids"),
    [
        (("000012.jpg", "3.jpg"), [12, 3]),
        (("12.jpg", "b/012.jpg"), [1, 2]),
        (("12.jpg", "b.jpg"), [1, 2]),
        (("12.jpg", "9" * 16 + ".jpg"), [1, 2]),
        (("12.jpg", "²3.jpg"), [1, 2]),
    ],
)
def test_photos_have_the_numbers_of_their_names_if_all_do(
    tmp_path: Path, photos: list[Path], answers: list[Detected], names: tuple[str, ...], ids: list[int]
) -> None:
    _written("coco", tmp_path / "found.json", photos, answers, names)
    assert [image["id"] for image in json.loads((tmp_path / "found.json").read_text())["images"]] == ids


def test_yolos_files_have_a_line_per_box(tmp_path: Path, photos: list[Path], answers: list[Detected]) -> None:
    _written("yolo", tmp_path / "out", photos, answers, ("a/17.png", "4.jpg"))
    lines = (tmp_path / "out" / "labels" / "a" / "17.txt").read_text().splitlines()
    numbers = [[float(word) for word in line.split()] for line in lines]
    assert numbers == [[1, 0.5625, 0.5, 0.125, 0.5], [0, 0.5, 0.5, 1, 1]]
    assert (tmp_path / "out" / "labels" / "4.txt").read_text() == ""
    assert (tmp_path / "out" / "data.yaml").read_text("utf-8") == 'names: ["ace", "Größe", "queen"]\nnc: 3\n'


def test_other_answers_are_refused(tmp_path: Path) -> None:
    class Other:
        def to_json(self) -> dict[str, object]:
            return {}

        def lines(self) -> list[str]:
            return []

        def drawn(self, pixels: NDArray[np.uint8], /) -> NDArray[np.uint8]:
            return pixels

        def parts(self) -> tuple[str, ...]:
            return ()

    for kind in WRITERS:
        writer = WRITERS[kind](tmp_path / kind, replace(CARD, labels=()))
        with pytest.raises(TypeError, match="the answer is Other, not boxes"):
            writer.add(PurePosixPath("a.jpg"), _photo(tmp_path / "a.jpg", np.zeros((2, 2, 3), np.uint8)), Other())
