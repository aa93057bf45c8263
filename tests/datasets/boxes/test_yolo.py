"""Data sets in the layouts of YOLO's tools, and data.yaml that is damaged or made to harm."""

import os
from pathlib import Path

import pytest
from tests.datasets.boxes.writers import read_parts, write_photo

from mobilenet.datasets.sources.boxes.annotation import Fault, Reason
from mobilenet.datasets.sources.boxes.data_yaml import read_data_yaml
from mobilenet.datasets.sources.boxes.find import box_places
from mobilenet.datasets.sources.boxes.settle import Frame
from mobilenet.datasets.sources.boxes.yolo import parse_labels
from mobilenet.errors import DataError

_LINE = "1 0.5 0.5 0.2 0.4\n"


def layout(root: Path, *photos: str, labels: str = _LINE) -> Path:
    """Photos, each with its label file as the tools place it."""
    for photo in photos:
        path = write_photo(root / photo, (20, 40))
        folder = Path(*("labels" if part == "images" else part for part in path.parent.parts))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{path.stem}.txt").write_text(labels, "utf-8")
    return root


def _yaml(root: Path, text: str) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    (root / "data.yaml").write_text(text, "utf-8")
    return root


@pytest.mark.parametrize(
    "entries",
    [
        "train: images/train\nval: images/val\n",
        "path: .\ntrain: images/train\nval: images/val\n",
        "path: ../datasets/elsewhere\ntrain: images/train\nval: images/val\n",
        "train: ../images/train\nvalid: ../images/val\n",
        "train: /content/data/images/train\nval: C:\\data\\images\\val\n",
        "train: [images/train]\nvalidation:\n- images/val\n",
        "train: train.txt\nval: ./val.txt\ntest:\n",
        "train: {root}/images/train\nval: {root}/images/val\ntest: # none\n",
    ],
)
@pytest.mark.parametrize("given", ["", "data.yaml"])
def test_entries_of_the_parts(entries: str, given: str, tmp_path: Path) -> None:
    layout(tmp_path, "images/train/1.png", "images/train/more/2.PNG", "images/val/1.png")
    (tmp_path / "train.txt").write_text("./images/train/1.png\r\n\nimages\\train\\more\\2.PNG\r\n", "utf-8")
    (tmp_path / "val.txt").write_text("/content/data/images/val/1.png\n", "utf-8")
    _yaml(tmp_path, entries.replace("{root}", str(tmp_path)) + "names: [cat, owl]\n")
    found = read_parts(tmp_path / given)
    assert [sorted(each.photos) for each in found] == [
        ["images/train/1.png", "images/train/more/2.PNG"],
        ["images/val/1.png"],
    ]
    for each in found:
        assert each.names == ("cat", "owl")
        for boxes in each.photos.values():
            assert boxes.labels == ("owl",)
            assert boxes.boxes.tolist() == [[6, 16, 14, 24]]


@pytest.mark.parametrize(
    "photos",
    [
        ("images/train/1.png", "images/val/2.png"),
        ("train/images/1.png", "valid/images/2.png"),
        ("train/1.png", "test/2.png"),
    ],
)
def test_parts_without_data_yaml(photos: tuple[str, str], tmp_path: Path) -> None:
    found = read_parts(layout(tmp_path, *photos))
    assert [list(each.photos) for each in found] == [[photos[0]], [photos[1]]]
    assert found[0].names == ("1",)
    assert found[0].notes[0].endswith("no file names the classes, so they are called by their numbers")


@pytest.mark.parametrize("name", ["classes.txt", "labels/classes.txt", "obj.names"])
def test_names_may_be_in_a_file_of_their_own(name: str, tmp_path: Path) -> None:
    layout(tmp_path, "images/1.png")
    (tmp_path / name).write_text("cat\nsnowy owl\n\n", "utf-8")
    (found,) = read_parts(tmp_path)
    assert found.names == ("cat", "snowy owl")
    assert found.notes == ()


def test_photos_without_labels_are_background(tmp_path: Path) -> None:
    layout(tmp_path, "images/1.png", "images/2.png", labels="")
    layout(tmp_path, "images/3.png")
    write_photo(tmp_path / "images" / "4.png", (20, 40))
    (tmp_path / "labels" / "5.txt").write_text(_LINE, "utf-8")
    (found,) = read_parts(_yaml(tmp_path, "train: images\nnames: {0: cat, 1: owl}\n"))
    assert (found.counts.photos, found.counts.background) == (4, 3)
    assert found.notes == (
        f"{tmp_path / 'images'}: photos without a label file are background: 1",
        f"{tmp_path / 'images'}: label files without a photo are not used: 1",
    )


def test_labels_that_are_nowhere_are_an_error(tmp_path: Path) -> None:
    write_photo(tmp_path / "images" / "1.png", (20, 40))
    with pytest.raises(
        DataError, match=r"none of its 1 photos has a text file of labels; for images/1.jpg it is labels/1"
    ):
        read_parts(_yaml(tmp_path, "train: images\nnames: [cat]\n"))


@pytest.mark.parametrize(
    ("line", "corners"),
    [
        ("1 0.5 0.5 0.2 0.4", [0.3, 0.4, 0.7, 0.6]),
        ("\t1.0  5e-1 .5 0.2 0.4 \r", [0.3, 0.4, 0.7, 0.6]),
        ("1 0.5 0.5 0.2 0.4 0.87", [0.3, 0.4, 0.7, 0.6]),
        ("1 0.1 0.2 0.5 0.2 0.3 0.9", [0.2, 0.1, 0.9, 0.5]),
        ("1 0.1 0.2 0.5 0.2 0.5 0.8 0.1 0.8", [0.2, 0.1, 0.8, 0.5]),
    ],
)
def test_lines_with_a_box(line: str, corners: list[float]) -> None:
    (box,) = parse_labels(line.encode(), ("cat", "owl")).annotation.boxes
    assert box.label == "owl"
    assert [round(edge, 9) for edge in box.corners] == corners


def test_keypoints_behind_a_box_are_not_an_outline() -> None:
    line = "0 0.5 0.5 0.2 0.4 " + "0.1 0.2 2 " * 17
    (box,) = parse_labels(line.encode(), ("person",), keypoints=True).annotation.boxes
    assert [round(edge, 9) for edge in box.corners] == [0.3, 0.4, 0.7, 0.6]


def test_outlines_and_confidences_are_counted(tmp_path: Path) -> None:
    layout(tmp_path, "images/1.png", labels="0 .1 .1 .5 .1 .5 .6\n0 .5 .5 .1 .1 .9\n")
    (found,) = read_parts(_yaml(tmp_path, "train: images\nnames: [cat]\n"))
    assert found.notes == (
        f"{tmp_path / 'images'}: boxes made from outlines: 1",
        f"{tmp_path / 'images'}: lines whose sixth value, a confidence, is not used: 1",
    )


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("2 0.5 0.5 0.2 0.4", Reason.NO_CLASS),
        ("-1 0.5 0.5 0.2 0.4", Reason.NO_CLASS),
        ("0.5 0.5 0.5 0.2 0.4", Reason.NO_CLASS),
        ("cat 0.5 0.5 0.2 0.4", Reason.NO_CLASS),
        ("nan 0.5 0.5 0.2 0.4", Reason.NO_CLASS),
        ("1", Reason.NO_BOX),
        ("1 0.5 0.5 0.2", Reason.NO_BOX),
        ("1 0.5 0.5 0.2 0.4 0.1 0.2 0.3", Reason.NO_BOX),
        ("1 0.5 nan 0.2 0.4", Reason.NOT_A_NUMBER),
        ("1 0.5 x 0.2 0.4", Reason.NOT_A_NUMBER),
        ("1 0.1 0.1 0.2 inf 0.3 0.3", Reason.NOT_A_NUMBER),
        ("1 0.5 0.5 0 0.4", Reason.NO_AREA),
        ("1 120 80 20 40", Reason.OUTSIDE),
        ("1 0.1 0.5 0.4 0.4", Reason.CLIPPED),
        (_LINE.strip(), Reason.REPEATED),
    ],
)
def test_lines_with_faults_are_listed(line: str, reason: Reason, tmp_path: Path) -> None:
    layout(tmp_path, "images/1.png", labels=f"{_LINE}{line}\n")
    (found,) = read_parts(_yaml(tmp_path, "train: images\nnames: [cat, owl]\n"))
    assert [(fault.photo, fault.reason) for fault in found.faults] == [("images/1.png", reason)]
    assert len(found.photos["images/1.png"]) == 1 + (reason is Reason.CLIPPED)


def test_a_photo_whose_labels_cannot_be_read_is_not_background(tmp_path: Path) -> None:
    layout(tmp_path, "images/1.png", "images/2.png")
    (tmp_path / "labels" / "2.txt").unlink()
    os.mkfifo(tmp_path / "labels" / "2.txt")
    (found,) = read_parts(_yaml(tmp_path, "train: images\nnames: [cat, owl]\n"))
    assert list(found.photos) == ["images/1.png"]
    assert found.faults == (
        Fault("images/2.png", Reason.DAMAGED, f"{tmp_path / 'labels' / '2.txt'}: not a regular file"),
    )


def test_photos_of_a_list_that_are_missing_are_listed(tmp_path: Path) -> None:
    layout(tmp_path, "images/1.png")
    (tmp_path / "train.txt").write_text("images/1.png\nimages/2.png\n", "utf-8")
    (found,) = read_parts(_yaml(tmp_path, "train: train.txt\nnames: [cat, owl]\n"))
    assert found.faults == (Fault("images/2.png", Reason.NO_PHOTO, "train.txt"),)


def test_a_missing_test_part_is_a_note_and_a_missing_training_part_an_error(tmp_path: Path) -> None:
    layout(tmp_path, "images/1.png")
    parts = box_places(_yaml(tmp_path, "train: images\ntest: ../test/photos\nnames: [cat, owl]\n"))
    assert parts is not None
    assert parts.judging == ()
    assert parts.notes == (f"{tmp_path / 'data.yaml'}: test is '../test/photos', which is not there, and is not used",)
    with pytest.raises(DataError, match=r"data\.yaml: train is 'photos', which is not there; write it relative to"):
        box_places(_yaml(tmp_path, "train: photos\nnames: [cat]\n"))
    with pytest.raises(DataError, match=r"data\.yaml has no entry train: the folder of the training photos"):
        box_places(_yaml(tmp_path, "train:\nnames: [cat]\n") / "data.yaml")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("names: [no, 010, 1.50, ~cat]", ("no", "010", "1.50", "~cat")),
        ("names: {0: cat, 2: 'yes'}", ("cat", "1", "yes")),
        ("names:\n  1: owl\n  0: cat\n", ("cat", "owl")),
        ("names: !!python/object/apply:os.getcwd [cat]", ("cat",)),
        ("nc: 3", None),
        ("names: []", None),
        ("names:", None),
    ],
)
def test_names_are_what_is_written(text: str, names: tuple[str, ...] | None, tmp_path: Path) -> None:
    assert read_data_yaml(_yaml(tmp_path, f"train: .\n{text}\n") / "data.yaml").names == names


_BOMB = "a: &a [x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(24)
)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (_BOMB, "has aliases (*name), which a list of classes does not need"),
        ("names: [cat\ntrain: x", "is not YAML, or is damaged at line 2, column 6"),
        ("a: " + "[" * 50_000, "has more than 16 levels; it is not a list of classes"),
        ("- " * 50_000, "has more than 16 levels"),
        ("just text", "does not say where train and val are"),
        ("names: cat", "names is neither a list nor numbers with names"),
        ("names: {cat: 0}", "names is neither a list nor numbers with names"),
        ("names: [[cat]]", "the name of class 0 is not a name"),
        ("names: {999999999: cat}", "the name of class 100000 is not a name"),
        ("train: {a: b}", "train, val and test must be a folder, a list of folders, or a .txt file each"),
        ("path: [a]", "path is not the name of a folder"),
        ("a: " + "x" * 300_000, "bytes is more than the limit of 262,144"),
        ("a: \0", "is not YAML, or is damaged"),
    ],
)  # fmt: skip
def test_harmful_and_damaged_yaml_is_one_line(text: str, told: str, tmp_path: Path) -> None:
    file = _yaml(tmp_path, text) / "data.yaml"
    with pytest.raises(DataError) as caught:
        read_data_yaml(file)
    assert str(caught.value).startswith(str(file))
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_folders_of_classes_are_no_boxes(tmp_path: Path) -> None:
    for name in ("cat/1", "owl/2"):
        write_photo(tmp_path / f"{name}.png", (20, 40))
        (tmp_path / f"{name}.txt").write_text("a picture of an animal\n", "utf-8")
    (tmp_path / "settings.yaml").write_text("a: b", "utf-8")
    (tmp_path / "list.json").write_text("[1, 2]", "utf-8")
    assert box_places(tmp_path) is None
    assert box_places(tmp_path / "cat" / "1.png") is None
    assert box_places(tmp_path / "missing") is None


def test_several_yaml_files_are_an_error(tmp_path: Path) -> None:
    layout(tmp_path, "images/1.png")
    for name in ("a.yaml", "b.yml"):
        (tmp_path / name).write_text("train: images\n", "utf-8")
    with pytest.raises(DataError, match=r"has several YAML files of data sets: a\.yaml, b\.yml; give one"):
        box_places(tmp_path)


def test_data_yaml_may_be_in_a_folder_below(tmp_path: Path) -> None:
    layout(tmp_path / "wrapper", "images/1.png")
    _yaml(tmp_path / "wrapper", "train: images\nnames: [cat, owl]\n")
    (found,) = read_parts(tmp_path)
    assert (found.names, list(found.photos)) == (("cat", "owl"), ["images/1.png"])


def test_other_yaml_files_with_a_training_part_are_no_data_sets(tmp_path: Path) -> None:
    write_photo(tmp_path / "cat" / "1.png", (20, 40))
    (tmp_path / "settings.yaml").write_text("train:\n  rate: 0.1\nnames: run\n", "utf-8")
    (tmp_path / "more.yaml").write_text("train: 0.1\n", "utf-8")
    assert box_places(tmp_path) is None


def test_a_list_of_photos_is_a_part(tmp_path: Path) -> None:
    layout(tmp_path, "images/1.png", "images/2.png")
    (tmp_path / "some.txt").write_text("images/2.png\n", "utf-8")
    (found,) = read_parts(tmp_path / "some.txt")
    assert list(found.photos) == ["images/2.png"]
    (tmp_path / "notes.txt").write_text("images are in a folder\n", "utf-8")
    assert box_places(tmp_path / "notes.txt") is None


@pytest.mark.parametrize("orientation", [1, 6])
def test_fractions_are_of_the_photo_as_people_see_it(orientation: int, tmp_path: Path) -> None:
    layout(tmp_path, "images/1.png", labels="0 0.5 0.5 0.5 0.25\n")
    write_photo(tmp_path / "images" / "1.png", (20, 40), orientation)
    (found,) = read_parts(tmp_path)
    height, width = (20, 40) if orientation == 1 else (40, 20)
    corners = [height * 0.375, width / 4, height * 0.625, width * 0.75]
    assert found.photos["images/1.png"].boxes.tolist() == [corners]
    assert found.frames == ({} if orientation == 1 else {"images/1.png": Frame.EITHER})


@pytest.mark.parametrize("entry", ["x" * 5000, "/" * 3000 + "a", "a/" * 100 + "a", "\\ud800", "\\0"])
def test_entries_that_no_folder_can_be_called_are_not_there(entry: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="which is not there") as caught:
        box_places(_yaml(tmp_path, f'train: "{entry}"\nnames: [cat]\n'))
    assert len(str(caught.value)) < 500 + len(str(tmp_path))


def test_pipes_hold_nothing_up(tmp_path: Path) -> None:
    layout(tmp_path, "images/1.png", "images/2.png")
    for name in ("a.yaml", "data.yaml", "a.json", "a.xml", "a.txt", "labels/2.txt", "images/3.png"):
        (tmp_path / name).unlink(missing_ok=True)
        os.mkfifo(tmp_path / name)
    (found,) = read_parts(tmp_path)
    assert [fault.photo for fault in found.faults] == ["images/2.png", "images/3.png"]
    assert len(found.photos["images/1.png"]) == 1
