"""COCO files as tools really write them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.datasets.boxes.writers import read_part, read_parts, write_photo

from mobilenet.datasets.reader import NamedPart
from mobilenet.datasets.sources.boxes.annotation import Fault, Reason
from mobilenet.datasets.sources.boxes.box_set import BoxSet
from mobilenet.datasets.sources.boxes.coco import CocoPart, parse_coco
from mobilenet.datasets.sources.boxes.find import box_places
from mobilenet.datasets.sources.boxes.segmentation import box_around
from mobilenet.datasets.sources.boxes.settle import Frame
from mobilenet.errors import DataError

_CAT = {"id": 7, "name": "cat"}


def document(*rows: dict[str, Any], file: str = "1.png", **image: Any) -> dict[str, Any]:
    images = [{"id": 5, "file_name": file, "height": 20, "width": 40} | image]
    annotations = [{"image_id": 5, "category_id": 7} | row for row in rows]
    return {"images": images, "annotations": annotations, "categories": [_CAT]}


def read(folder: Path, *documents: dict[str, Any], photo: str = "1.png", orientation: int = 1) -> BoxSet:
    write_photo(folder / photo, (20, 40), orientation)
    files = [folder / f"{number}.json" for number in range(len(documents))]
    for file, each in zip(files, documents, strict=True):
        file.write_text(json.dumps(each), "utf-8")
    return CocoPart(folder, tuple(files)).read()


def boxes_of(found: BoxSet, photo: str = "1.png") -> list[list[float]]:
    """In pixels of the photo of 20 x 40."""
    return found.photos[photo].boxes.tolist()


@pytest.mark.parametrize("box", [[-1, -1, -1, -1], [0, 0, -1, -1], [], None, [1, 2, 3], {}, [None] * 4])
def test_no_box_is_listed(box: object, tmp_path: Path) -> None:
    found = read(tmp_path, document({"bbox": box}, {"bbox": [0, 0, 10, 10]}))
    assert found.faults == (Fault("1.png", Reason.NO_BOX, "annotations[0]"),)
    assert boxes_of(found) == [[0, 0, 10, 10]]


@pytest.mark.parametrize("box", [[0, 0, "wide", 5], [float("nan"), 0, 5, 5], [0, 0, float("inf"), 5], [True, 0, 5, 5]])
def test_a_coordinate_that_is_no_number_is_listed(box: list[object], tmp_path: Path) -> None:
    assert [fault.reason for fault in read(tmp_path, document({"bbox": box})).faults] == [Reason.NOT_A_NUMBER]


def test_numbers_may_be_text_and_ids_may_be_text_or_fractions(tmp_path: Path) -> None:
    rows = [
        {"image_id": "5", "bbox": ["1", "2", "3", "4"]},
        {"image_id": 5.0, "category_id": "7", "bbox": [0, 0, 9, 9]},
    ]
    assert boxes_of(read(tmp_path, document(*rows))) == [[0, 0, 9, 9], [2, 1, 6, 4]]


@pytest.mark.parametrize(
    ("outline", "box"),
    [
        ([[1, 2, 9, 2, 9, 12.5]], [2, 1, 12.5, 9]),
        ([[1, 2, 3, 4, 2, 6], [30, 1, 31, 1, 30, 9]], [1, 1, 9, 31]),
        ({"size": [20, 40], "counts": [45, 5, 15, 10, 725]}, [5, 2, 15, 4]),
        ({"size": [20, 40], "counts": [15, 10]}, [0, 0, 20, 2]),
    ],
)
def test_a_box_is_made_around_an_outline_where_there_is_none(outline: object, box: list[float], tmp_path: Path) -> None:
    found = read(tmp_path, document({"segmentation": outline}, {"segmentation": outline, "bbox": [0, 0, 5, 5]}))
    assert boxes_of(found) == sorted([box, [0, 0, 5, 5]])
    assert found.notes == (f"{tmp_path / '0.json'}: boxes made from segmentations: 1",)


def compressed(counts: list[int]) -> str:
    """As rleToString of the COCO API, written from its description: 5 bits a letter, the sign in the last one."""
    text = ""
    for place, count in enumerate(counts):
        value, more = count - (counts[place - 2] if place > 2 else 0), True
        while more:
            bits, value = value & 31, value >> 5
            more = value != (-1 if bits & 16 else 0)
            text += chr(48 + bits + 32 * more)
    return text


def test_a_compressed_mask_has_the_box_of_its_pixels() -> None:
    generator = np.random.default_rng(0)
    for _ in range(100):
        mask = np.zeros((23, 31), bool)
        top, left = generator.integers(0, 20), generator.integers(0, 25)
        mask[top : top + 5, left : left + 7] = generator.random(mask[top : top + 5, left : left + 7].shape) < 0.3
        if not mask.any():
            continue
        flat = np.concatenate([[False], mask.ravel(order="F"), [False]])
        edges = np.flatnonzero(flat[1:] != flat[:-1])
        counts = np.diff([0, *edges, mask.size]).tolist()
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        box = (rows[0], columns[0], rows[-1] + 1, columns[-1] + 1)
        assert box_around({"size": [23, 31], "counts": counts}) == box
        assert box_around({"size": [23, 31], "counts": compressed(counts)}) == box


@pytest.mark.parametrize(
    "outline",
    [
        [],
        [[]],
        [[1, 2, 3]],
        [["a", "b"]],
        {},
        "text",
        {"size": [9, 9], "counts": [1, -2]},
        {"size": [2, 2], "counts": [1, 99]},
        {"size": [0, 0], "counts": "12"},
        {"size": [9, 9], "counts": "~~~~"},
        {"size": [9, 9], "counts": [1.5, 2]},
    ],
)
def test_a_damaged_outline_has_no_box(outline: object) -> None:
    assert box_around(outline) is None


def test_crowds_are_kept_as_such(tmp_path: Path) -> None:
    rows = [{"bbox": [0, 0, 5, 5 + number], "iscrowd": value} for number, value in enumerate((0, 1, True, None))]
    found = read(tmp_path, document(*rows, {"bbox": [0, 0, 9, 9]}))
    assert found.photos["1.png"].crowd.tolist() == [False, True, True, False, False]
    assert found.counts.crowd == 2


def test_what_refers_to_nothing_is_listed(tmp_path: Path) -> None:
    rows = [{"image_id": 99, "bbox": [0, 0, 5, 5]}, {"category_id": 1, "bbox": [0, 0, 5, 5]}]
    found = read(tmp_path, document(*rows))
    assert found.faults == (
        Fault("0.json", Reason.NO_PHOTO, "annotations[0] of photo 99"),
        Fault("1.png", Reason.NO_CLASS, "annotations[1]"),
    )


def test_without_categories_classes_are_called_by_their_numbers(tmp_path: Path) -> None:
    said = document({"bbox": [0, 0, 5, 5]}, {"bbox": [0, 0, 6, 6], "category_id": 12})
    del said["categories"]
    assert read(tmp_path, said).names == ("7", "12")


def test_several_files_add_up(tmp_path: Path) -> None:
    other = document({"bbox": [1, 1, 4, 4], "category_id": 2})
    other["categories"] = [{"id": 2, "name": "owl"}]
    found = read(tmp_path, document({"bbox": [0, 0, 5, 5]}), other)
    assert (found.photos["1.png"].labels, found.names) == (("cat", "owl"), ("cat", "owl"))


@pytest.mark.parametrize(
    "name",
    [
        "a/b/1.png",
        "./a/b/1.png",
        "../a/b/1.png",
        "A\\B\\1.PNG",
        "C:\\photos\\a\\b\\1.png",
        "/other/place/b/1.png",
        "1.png",
        "1",
    ],
)
def test_names_of_other_places_are_found(name: str, tmp_path: Path) -> None:
    write_photo(tmp_path / "a" / "c" / "2.png", (20, 40))
    found = read(tmp_path, document({"bbox": [0, 0, 5, 5]}, file=name), photo="a/b/1.png")
    assert list(found.photos) == ["a/b/1.png"]


def test_an_absolute_name_may_be_outside(tmp_path: Path) -> None:
    there = write_photo(tmp_path / "elsewhere" / "1.png", (20, 40))
    found = read(tmp_path / "data", document({"bbox": [0, 0, 5, 5]}, file=str(there)), photo="other.png")
    assert boxes_of(found, str(there)) == [[0, 0, 5, 5]]


def test_a_name_that_several_photos_have_is_not_guessed(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write_photo(tmp_path / folder / "2.png", (20, 40))
    said = document({"bbox": [0, 0, 5, 5]})
    said["images"].append({"id": 6, "file_name": "2.png"})
    found = read(tmp_path, said)
    assert found.faults == (Fault("2.png", Reason.NO_PHOTO),)
    assert list(found.photos) == ["1.png"]


def test_a_turned_photo_is_told(tmp_path: Path) -> None:
    found = read(tmp_path, document({"bbox": [0, 0, 10, 5]}), orientation=6)
    assert found.frames == {"1.png": Frame.TURNED}
    assert found.photos["1.png"].boxes.tolist() == [[0, 15, 10, 20]]
    assert list(found.lines())[1] == (
        "photos whose boxes are in the photo as stored, before it is turned by its EXIF orientation: 1 (1.png)"
    )


def test_none_of_the_photos_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none of its 1 photos is in .*, the first being '9.png'; give the folder"):
        read(tmp_path, document(file="9.png"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "a.json is not JSON, or is damaged: Expecting property name .* at line 1, column 2; copy it again"),
        ("[" * 100_000, "a.json is not JSON, or is damaged: maximum recursion depth"),
        ("\xff", "a.json is not JSON, or is damaged"),
        ('{"images": ' + "9" * 5000 + "}", "a.json is not JSON, or is damaged"),
        ("[{}]", "a.json is a list, as results of a detector are"),
        ("3", "a.json is JSON, but not a data set"),
        ('{"images": []}', "a.json has no list 'annotations', as COCO's data sets have; it has: 'images'"),
        ('{"images": [], "annotations": [], "categories": 1}', "a.json has no list 'categories'"),
    ],
)
def test_a_damaged_file_is_one_line(text: str, told: str) -> None:
    with pytest.raises(DataError, match=told) as caught:
        parse_coco(text.encode("latin-1"), Path("a.json"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("files", "train", "judging"),
    [
        (("annotations/instances_train2017", "annotations/instances_val2017", "annotations/captions_val2017"),
         "annotations/instances_train2017", ["annotations/instances_val2017"]),
        (("train/_annotations.coco", "valid/_annotations.coco", "test/_annotations.coco"),
         "train/_annotations.coco", ["valid/_annotations.coco", "test/_annotations.coco"]),
        (("train", "test"), "train", ["test"]),
    ],
)  # fmt: skip
def test_parts_by_the_names_of_files_and_folders(
    files: tuple[str, ...], train: str, judging: list[str], tmp_path: Path
) -> None:
    for file in files:
        path = tmp_path / f"{file}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(document()), "utf-8")
    (tmp_path / "package.json").write_text('{"name": "images"}', "utf-8")
    places = box_places(tmp_path)
    assert places is not None
    assert places.train == NamedPart(tmp_path, f"{train}.json")
    assert places.judging == tuple(NamedPart(tmp_path, f"{name}.json") for name in judging)


def test_each_part_finds_its_own_photos(tmp_path: Path) -> None:
    for part in ("train", "val"):
        write_photo(tmp_path / "images" / f"{part}2017" / "1.png", (20, 40))
        path = tmp_path / "annotations" / f"instances_{part}2017.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(document({"bbox": [0, 0, 5, 5]})), "utf-8")
    found = read_parts(tmp_path)
    assert [list(part.photos) for part in found] == [["images/train2017/1.png"], ["images/val2017/1.png"]]


def test_a_file_alone_finds_photos_beside_its_folder(tmp_path: Path) -> None:
    write_photo(tmp_path / "images" / "1.png", (20, 40))
    (tmp_path / "annotations").mkdir()
    file = tmp_path / "annotations" / "boxes.json"
    file.write_text(json.dumps(document({"bbox": [0, 0, 5, 5]})), "utf-8")
    assert [list(part.photos) for part in read_parts(file)] == [["images/1.png"]]


def test_a_photo_of_another_part_is_not_taken_for_a_missing_one(tmp_path: Path) -> None:
    said = document({"bbox": [0, 0, 5, 5]}, file="train/1.png")
    said["images"].append({"id": 6, "file_name": "train/2.png"})
    write_photo(tmp_path / "val" / "2.png", (20, 40))
    found = read(tmp_path, said, photo="train/1.png")
    assert list(found.photos) == ["train/1.png"]
    assert found.faults == (Fault("train/2.png", Reason.NO_PHOTO),)


def test_many_photos_of_one_name_are_told_apart(tmp_path: Path) -> None:
    # If each were compared with all the others, this would take minutes.
    images = [{"id": number, "file_name": f"{number}/same.png"} for number in range(20_000)]
    for number in range(0, 20_000, 200):
        write_photo(tmp_path / str(number) / "same.png", (2, 2))
    (tmp_path / "0.json").write_text(json.dumps({"images": images, "annotations": [], "categories": []}), "utf-8")
    found = CocoPart(tmp_path, (tmp_path / "0.json",)).read()
    assert (len(found.photos), len(found.faults)) == (100, 19_900)


def test_classes_are_in_the_order_of_their_ids_and_groups_are_none(tmp_path: Path) -> None:
    said = document({"bbox": [0, 0, 5, 5], "category_id": 9})
    said["categories"] = [
        {"id": 9, "name": "owl", "supercategory": "birds"},
        {"id": 0, "name": "birds", "supercategory": "none"},
        {"id": 3, "name": "cat", "supercategory": "cat"},
    ]
    found = read(tmp_path, said)
    assert found.names == ("cat", "owl")
    assert found.notes[0].endswith("0.json: categories that only group others are not classes: birds")
    said["annotations"][0]["category_id"] = 0
    (tmp_path / "0.json").write_text(json.dumps(said), "utf-8")
    assert read_parts(tmp_path)[0].names == ("birds", "cat", "owl")


def test_a_file_cannot_pass_for_the_outline_of_an_object(tmp_path: Path) -> None:
    found = read(tmp_path, document({"segmentation": [], "('box', 'around', 'segmentation')": "x", "box": [1]}))
    assert [fault.reason for fault in found.faults] == [Reason.NO_BOX]


def test_a_file_beside_a_data_set_of_another_format_is_read_as_what_it_is(tmp_path: Path) -> None:
    found = read(tmp_path, document({"bbox": [0, 0, 5, 5]}))
    (tmp_path / "data.yaml").write_text("train: .\nnames: [x]\n", "utf-8")
    (alone,) = read_parts(tmp_path / "0.json")
    assert boxes_of(alone) == boxes_of(found)


def test_names_of_any_length_and_with_line_breaks_are_one_line(tmp_path: Path) -> None:
    said = document({"bbox": [0, 0, 5, 5]}, {"bbox": [0, 0, 5, 5], "category_id": 1})
    said["images"] += [
        {"id": 6, "file_name": "a\nb.png"},
        {"id": 8, "file_name": "x" * 10**6},
        {"id": 9, "file_name": "\ud800"},
    ]
    said["categories"].append({"id": 1, "name": "x" * 10**6})
    found = read(tmp_path, said)
    assert len(found.photos["1.png"]) == 1
    assert len(found.faults) == 5
    assert all(len(line.splitlines()) == 1 and len(line) < 300 for line in found.doubtful())


def test_photos_that_another_file_may_tell_of_are_not_called_unused(tmp_path: Path) -> None:
    for number in range(5):
        write_photo(tmp_path / f"{number}.png", (20, 40))
    for part, numbers in (("train", (0, 1)), ("val", (2,))):
        images = [{"id": number, "file_name": f"{number}.png"} for number in numbers]
        (tmp_path / f"{part}.json").write_text(json.dumps({**document(), "images": images}), "utf-8")
    train, val = read_parts(tmp_path)
    assert (set(train.photos), set(val.photos)) == ({"0.png", "1.png"}, {"2.png"})
    assert (train.notes, val.notes) == ((), ())
    assert read_part(tmp_path).notes == (f"{tmp_path}: photos that the 2 files do not list are not used: 2",)
    (tmp_path / "val.json").unlink()
    (alone,) = read_parts(tmp_path)
    assert alone.notes == (f"{tmp_path}: photos that train.json does not list are not used: 3",)
