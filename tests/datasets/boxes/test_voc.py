"""VOC files as tools really write them, and XML that is made to harm."""

from pathlib import Path

import pytest
from tests.datasets.boxes.writers import read_parts, write_photo

from mobilenet.datasets.sources.boxes.annotation import Box, Fault, Reason
from mobilenet.datasets.sources.boxes.box_set import BoxSet
from mobilenet.datasets.sources.boxes.find import box_places
from mobilenet.datasets.sources.boxes.voc import parse_voc
from mobilenet.errors import DataError


def xml(*objects: str, file: str = "1.png", size: tuple[int, int] | None = (20, 40)) -> str:
    told = "" if size is None else f"<size><width>{size[1]}</width><height>{size[0]}</height></size>"
    return f"<annotation><filename>{file}</filename>{told}{''.join(objects)}</annotation>"


def cat(edges: tuple[object, object, object, object], more: str = "") -> str:
    """An object with its xmin, ymin, xmax and ymax."""
    told = "".join(
        f"<{name}>{edge}</{name}>" for name, edge in zip(("xmin", "ymin", "xmax", "ymax"), edges, strict=True)
    )
    return f"<object><name>cat</name>{more}<bndbox>{told}</bndbox></object>"


def read(folder: Path, **files: str) -> BoxSet:
    """Photos of 20 x 40 pixels, 1.png and so on, beside their XML files."""
    for stem, text in files.items():
        write_photo(folder / f"{stem.strip('_')}.png", (20, 40))
        (folder / f"{stem.strip('_')}.xml").write_text(text, "utf-8")
    return read_parts(folder)[0]


def boxes_of(found: BoxSet, photo: str = "1.png") -> list[list[float]]:
    """In pixels."""
    return found.photos[photo].boxes.tolist()


def test_coordinates_count_from_one_and_include_the_last_pixel(tmp_path: Path) -> None:
    found = read(tmp_path, _1=xml(cat((1, 1, 40, 20)), cat((5.5, 3, 10, 8))))
    assert boxes_of(found) == [[0, 0, 20, 40], [2, 4.5, 8, 10]]


def test_coordinates_count_from_zero_if_one_is_zero(tmp_path: Path) -> None:
    found = read(tmp_path, _1=xml(cat((5, 3, 10, 8))), _2=xml(cat((0, 0, 40, 20))))
    assert boxes_of(found) == [[3, 5, 8, 10]]
    assert found.notes == (f"{tmp_path}: coordinates count from 0, as one in {tmp_path} is below 1",)


def test_corners_in_the_wrong_order_are_put_right(tmp_path: Path) -> None:
    found = read(tmp_path, _1=xml(cat((10, 8, 5, 3))))
    assert boxes_of(found) == [[2, 4, 8, 10]]
    assert [fault.reason for fault in found.faults] == [Reason.SWAPPED]


@pytest.mark.parametrize("size", [None, (0, 0)])
def test_a_size_that_is_not_known_is_that_of_the_photo(size: tuple[int, int] | None, tmp_path: Path) -> None:
    assert boxes_of(read(tmp_path, _1=xml(cat((1, 1, 40, 20)), size=size))) == [[0, 0, 20, 40]]


def test_difficult_objects_are_used_and_counted(tmp_path: Path) -> None:
    objects = [cat((1, 1, 20, 10 + number), more) for number, more in enumerate(("", "<difficult>0</difficult>"))]
    found = read(tmp_path, _1=xml(*objects, cat((2, 2, 9, 9), "<difficult> 1 </difficult>")))
    assert len(found.photos["1.png"]) == 3
    assert found.notes[1] == f"{tmp_path}: objects marked as difficult are used like all others: 1"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<object><name>cat</name></object>", Reason.NO_BOX),
        ("<object><name>cat</name><bndbox></bndbox></object>", Reason.NO_BOX),
        (cat((-1, -1, -1, -1)), Reason.NO_BOX),
        ("<object><name> </name><bndbox><xmin>1</xmin></bndbox></object>", Reason.NO_CLASS),
        (cat((1, 1, "wide", 5)), Reason.NOT_A_NUMBER),
        (cat((1, 1, "", 5)), Reason.NOT_A_NUMBER),
        (cat((7, 7, 7, 9)), Reason.NO_AREA),
        (cat((41, 1, 60, 5)), Reason.OUTSIDE),
    ],
)
def test_objects_without_a_usable_box_are_listed(text: str, reason: Reason, tmp_path: Path) -> None:
    found = read(tmp_path, _1=xml(text, cat((1, 1, 5, 5))))
    assert [(fault.photo, fault.reason) for fault in found.faults] == [("1.png", reason)]
    assert boxes_of(found) == [[0, 0, 5, 5]]


def test_parts_of_an_object_are_not_objects(tmp_path: Path) -> None:
    head = cat((2, 2, 3, 3)).replace("object>", "part>")
    assert boxes_of(read(tmp_path, _1=xml(cat((1, 1, 5, 5), head)))) == [[0, 0, 5, 5]]


def test_endings_may_be_in_any_case_and_the_name_of_another_computer(tmp_path: Path) -> None:
    write_photo(tmp_path / "JPEGImages" / "IMG_1.PNG", (20, 40))
    write_photo(tmp_path / "JPEGImages" / "IMG_2.png", (20, 40))
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Annotations" / "img_1.XML").write_text(xml(cat((1, 1, 5, 5)), file="C:\\a\\x.png"), "utf-8")
    (tmp_path / "Annotations" / "other.xml").write_text(xml(cat((1, 1, 5, 5)), file="D:\\img_2.jpg.png"), "utf-8")
    (tmp_path / "Annotations" / "third.xml").write_text(xml(cat((1, 1, 5, 5)), file="C:\\a\\IMG_2.PNG"), "utf-8")
    found = read(tmp_path)
    assert list(found.photos) == ["JPEGImages/IMG_1.PNG", "JPEGImages/IMG_2.png"]
    assert found.faults == (Fault("other.xml", Reason.NO_PHOTO, "D:\\img_2.jpg.png"),)


def test_a_damaged_file_is_listed_and_the_others_are_used(tmp_path: Path) -> None:
    found = read(tmp_path, _1=xml(cat((1, 1, 5, 5))), _2=xml(cat((1, 1, 5, 5)))[:-3])
    assert list(found.photos) == ["1.png"]
    told = f"{tmp_path / '2.xml'} is not XML, or is damaged: unclosed token: line 1, column "
    assert [(fault.photo, fault.reason) for fault in found.faults] == [("2.xml", Reason.DAMAGED)]
    assert found.faults[0].detail.startswith(told)
    assert list(found.lines())[-1] == "not used: annotation that cannot be read: 1"
    assert next(found.doubtful()).startswith(f"2.xml: annotation that cannot be read ({told}")


def test_photos_without_a_file_are_counted(tmp_path: Path) -> None:
    write_photo(tmp_path / "9.png", (20, 40))
    found = read(tmp_path, _1=xml())
    assert (found.counts.photos, found.counts.background) == (1, 1)
    assert found.notes == (f"{tmp_path}: photos without an annotation are not used: 1",)


def test_image_sets_are_the_parts(tmp_path: Path) -> None:
    for number in range(1, 6):
        write_photo(tmp_path / "JPEGImages" / f"{number}.png", (20, 40))
        (tmp_path / "Annotations").mkdir(exist_ok=True)
        (tmp_path / "Annotations" / f"{number}.xml").write_text(xml(cat((1, 1, 5, 5))), "utf-8")
    lists = tmp_path / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    for name, lines in {
        "train": "1\n2\n",
        "val": "3\n9\n",
        "trainval": "1\n2\n3\n",
        "test": "4.png\n\n",
        "cat_train": "1  1\n",
    }.items():
        (lists / f"{name}.txt").write_text(lines, "utf-8")
    found = read_parts(tmp_path)
    assert [[Path(photo).stem for photo in each.photos] for each in found] == [["1", "2"], ["3"], ["4"]]
    assert found[1].faults == (Fault("9", Reason.NO_ANNOTATION),)


def test_folders_of_photos_and_files_are_the_parts(tmp_path: Path) -> None:
    for part in ("train", "test"):
        write_photo(tmp_path / part / "1.png", (20, 40))
        (tmp_path / part / "1.xml").write_text(xml(cat((1, 1, 5, 5))), "utf-8")
    (tmp_path / "test" / "2.xml").write_text(xml(cat((1, 1, 5, 5)), file="2.png"), "utf-8")
    write_photo(tmp_path / "train" / "2.png", (20, 40))
    train, judging = read_parts(tmp_path)
    assert list(train.photos) == ["train/1.png"]
    assert list(judging.photos) == ["test/1.png"]
    assert judging.faults == (Fault("2.xml", Reason.NO_PHOTO, "2.png"),)


def test_all_parts_count_from_where_one_of_them_does(tmp_path: Path) -> None:
    for part, left in (("train", 3), ("test", 0)):
        write_photo(tmp_path / part / f"{part}.png", (20, 40))
        (tmp_path / part / f"{part}.xml").write_text(xml(cat((left, 2, 20, 10))), "utf-8")
    found = [next(iter(part.photos.values())).boxes.tolist() for part in read_parts(tmp_path)]
    assert found == [[[2, 3, 10, 20]], [[2, 0, 10, 20]]]


def test_photos_of_one_name_are_told_apart_by_the_folder_of_their_part(tmp_path: Path) -> None:
    for part in ("train", "val"):
        write_photo(tmp_path / "images" / part / "1.png", (20, 40))
        (tmp_path / "annotations" / part).mkdir(parents=True)
        (tmp_path / "annotations" / part / "1.xml").write_text(xml(cat((1, 1, 20, 10))), "utf-8")
    assert [list(part.photos) for part in read_parts(tmp_path)] == [["images/train/1.png"], ["images/val/1.png"]]


def test_other_xml_files_are_no_boxes(tmp_path: Path) -> None:
    write_photo(tmp_path / "cat" / "1.png", (20, 40))
    (tmp_path / "cat" / "1.xml").write_text("<metadata><camera>x</camera></metadata>", "utf-8")
    assert box_places(tmp_path) is None


_BOMB = "<!DOCTYPE a [<!ENTITY x0 'ha'>{}]><annotation><filename>&x40;</filename></annotation>".format(
    "".join(f"<!ENTITY x{n + 1} '&x{n};&x{n};'>" for n in range(40))
)
"""A terabyte of laughter."""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (_BOMB, "declares a document type, which annotations do not need; remove <!DOCTYPE ...>"),
        ("<!DOCTYPE a SYSTEM 'file:///etc/hostname'><annotation/>", "declares a document type"),
        ("<!DOCTYPE a [<!ENTITY x SYSTEM '/etc/hostname'>]><annotation>&x;</annotation>", "declares a document type"),
        ("<annotation>&x;</annotation>", "is not XML, or is damaged: undefined entity: line 1, column 12"),
        ("<a>" * 100_000, "is not XML, or is damaged: no element found: line 1, column"),
        ("<a>" * 100_000 + "</a>" * 100_000, "is not an annotation as in VOC: its element is <a>"),
        ("<?xml version='1.0' encoding='no-such'?><a/>", "its encoding is not known; save it as UTF-8"),
        ("", "is not XML, or is damaged: no element found"),
        ("\0" * 1000, "is not XML, or is damaged"),
        ("<a></b>", "is not XML, or is damaged: mismatched tag: line 1, column"),
        ("<kml></kml>", "is not an annotation as in VOC: its element is <kml>"),
    ],
)  # fmt: skip
def test_harmful_and_damaged_files_are_one_line(text: str, told: str) -> None:
    with pytest.raises(DataError, match=r"^a\.xml") as caught:
        parse_voc(text.encode(), Path("a.xml"))
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_elements_are_read_whatever_their_case_and_encoding() -> None:
    text = (
        "<?xml version='1.0' encoding='iso-8859-1'?><Annotation><Object><NAME> H\xe4hne </NAME><BndBox><Xmin>1</Xmin>"
    )
    data = (text + "<yMin>2</yMin><xmax>3</xmax><ymax>4</ymax></BndBox></Object></Annotation>").encode("latin-1")
    assert parse_voc(data, Path("a.xml")).annotation.boxes == (Box("Hähne", (2, 1, 4, 3)),)
