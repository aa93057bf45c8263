"""CSV files as spreadsheets and other tools write them: each means the same as the plain one."""

import shutil
import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from mobilenet.cli.main import main
from mobilenet.datasets import given_split, read_exclusions
from mobilenet.datasets.check.check import check
from mobilenet.datasets.dataset import open_judges
from mobilenet.errors import DataError
from mobilenet.model.vocabulary import Vocabulary
from mobilenet.tasks import open_dataset
from mobilenet.tasks.classification import Classification

_FILES = {f"img/{name}{number}.jpg": name for name in ("cat", "dog") for number in range(4)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "img").mkdir()
    for number, file in enumerate(_FILES):
        Image.new("RGB", (16, 12), (30 * number, 9, 9)).save(tmp_path / file)
    return tmp_path


def _found(path: Path) -> dict[str, str]:
    dataset = open_dataset(path)
    return {
        file: dataset.classes[label]
        for part in (dataset.train, dataset.validation)
        for file, label in zip(part.files, part.targets.numbers, strict=True)
    }


def _lines(separator: str = ",", header: str = "file_name,label") -> str:
    rows = [header, *(f"{file},{label}" for file, label in _FILES.items())]
    return "\n".join(rows).replace(",", separator) + "\n"


_PLAIN = _lines()


@pytest.mark.parametrize(
    "text",
    [
        *(_lines(separator) for separator in (";", "\t", "|", ", ", " ;  ")),
        _PLAIN.replace("\n", "\r\n"),
        _PLAIN.replace("\n", "\r"),
        _PLAIN.replace("img/", "img\\"),
        _PLAIN.replace("img/", ".\\IMG\\"),
        _PLAIN.replace(".jpg", ".JPG"),
        _PLAIN.replace(".jpg", ""),
        _PLAIN.replace("\n", "\n\n").replace("label\n", "label\n,\n") + " , \n\n",
        "\n\n" + _PLAIN,
        "# made by hand\n" + _PLAIN,
        "#" + _PLAIN,
        "sep=,\r\n" + _PLAIN,
        '"sep=;"\n' + _lines(";"),
        _PLAIN.replace("file_name,label\n", ""),
        "\n".join(f'"{line.replace(",", chr(34) + "," + chr(34))}"' for line in _PLAIN.splitlines()),
        "number," + _PLAIN.replace("\n", "\n1,").removesuffix("1,"),
        *(_lines(header=header) for header in ("File_Name,Label", "FileName,LABEL", "filepaths,labels", "image,class")),
        *(_lines(header=header) for header in ("Image Path,category", "path,Class Name", "image_id,breed")),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_dialects(folder: Path, text: str, encoding: str) -> None:
    (folder / "photos.csv").write_text(text, encoding=encoding, newline="")
    assert _found(folder / "photos.csv") == (
        _FILES if ".\\IMG" not in text else {f"./{k}": v for k, v in _FILES.items()}
    )


def test_a_file_of_tabs_is_a_table_by_its_name(folder: Path) -> None:
    (folder / "photos.TSV").write_text(_lines("\t"))
    assert _found(folder / "photos.TSV") == _FILES
    (folder / "list").write_text("img/cat0.jpg\n")
    assert len(open_dataset(folder / "photos.TSV", exclude=read_exclusions(folder / "list")).train) == 5


@pytest.mark.parametrize(
    ("header", "note"),
    [
        ("file_name,label", ()),
        ("Filename,LABEL", ()),
        ("id,breed", ("the file names are in column id, the labels in column breed",)),
    ],
)
def test_columns_of_other_names_are_named(folder: Path, header: str, note: tuple[str, ...]) -> None:
    (folder / "photos.csv").write_text(_lines(header=header))
    assert [line.partition(": ")[2] for line in open_dataset(folder / "photos.csv").notes] == list(note)


def test_the_plain_columns_go_before_others(folder: Path) -> None:
    text = _lines(header="path,class").replace("path,class", "path,class,label,file_name")
    rows = [f"{line},{label},{file}" for line, (file, label) in zip(text.splitlines()[1:], _FILES.items(), strict=True)]
    swapped = [row.replace("img/", "other/", 1).replace(",cat", ",x", 1).replace(",dog", ",x", 1) for row in rows]
    (folder / "photos.csv").write_text("\n".join([text.splitlines()[0], *swapped]))
    assert _found(folder / "photos.csv") == _FILES


def test_a_missing_file_is_left_out_by_name(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "photos.csv").write_text(_PLAIN + "img/gone.jpg,cat\n")
    found = check(folder / "photos.csv", Classification())
    assert [(item.photo.file, item.reason) for item in found.broken] == [
        ("img/gone.jpg", "cannot be read: no such file or directory")
    ]
    assert main(["check", str(folder / "photos.csv"), "--write-exclusions", str(folder / "list")]) == 1
    assert "1 file cannot be read" in capsys.readouterr().err
    assert read_exclusions(folder / "list").names == {"img/gone.jpg"}


def test_rows_without_a_name_or_a_label_are_left_out_by_line(folder: Path) -> None:
    (folder / "photos.csv").write_text(_PLAIN + "\n,cat\nimg/cat0.jpg,\nimg/cat1.jpg\n")
    dataset = open_dataset(folder / "photos.csv")
    lines = "line 11: file_name is empty, line 12: label is empty, line 13: label is empty"
    assert dataset.notes == (f"{folder / 'photos.csv'}: rows left out: {lines}",)
    assert _found(folder / "photos.csv") == _FILES


def test_a_name_that_fits_two_files_is_missing(folder: Path) -> None:
    shutil.copy(folder / "img" / "cat0.jpg", folder / "img" / "CAT0.jpg")
    (folder / "photos.csv").write_text(_PLAIN.replace("cat0.jpg", "cAt0.jpg"))
    assert "img/cAt0.jpg" in _found(folder / "photos.csv")
    (folder / "photos.csv").write_text(_PLAIN.replace("cat1.jpg", "cAt1.jpg"))
    assert "img/cat1.jpg" in _found(folder / "photos.csv")


def test_one_photo_under_two_spellings_and_labels_is_refused(folder: Path) -> None:
    (folder / "photos.csv").write_text(_PLAIN + "img\\cat0.JPG,dog\n")
    with pytest.raises(DataError, match=r"line 10: img/cat0.jpg is labelled dog, but cat on line 2"):
        open_dataset(folder / "photos.csv")


def test_decomposed_names_are_found(folder: Path) -> None:
    name = unicodedata.normalize("NFC", "Äpfel.jpg")
    (folder / "img" / "cat0.jpg").rename(folder / "img" / name)
    (folder / "photos.csv").write_text(_PLAIN.replace("cat0.jpg", unicodedata.normalize("NFD", name)))
    assert f"img/{name}" in _found(folder / "photos.csv")


def _split(values: tuple[str, ...], header: str = "split") -> str:
    rows = [f"{file},{label},{values[n % len(values)]}" for n, (file, label) in enumerate(_FILES.items())]
    return "\n".join([f"file_name,label,{header}", *rows])


@pytest.mark.parametrize(
    ("header", "values", "judge"),
    [
        ("split", ("train", "train", "val", "train"), "val"),
        ("Split", ("TRAIN", "Train", "Val", " train "), "Val"),
        ("data set", ("train", "test", "valid", "train"), "valid"),
        ("Usage", ("Training", "Training", "PrivateTest", "PublicTest"), "PublicTest"),
        ("subset", ("training_set", "training_set", "test_set", ""), "test_set"),
    ],
)
def test_a_column_of_the_split_is_honoured(folder: Path, header: str, values: tuple[str, ...], judge: str) -> None:
    path = folder / "photos.csv"
    path.write_text(_split(values, header))
    dataset = open_dataset(path)
    assert dataset.split == given_split(path, Classification()) == f"given: {judge} in photos.csv"
    by_value = {value: {file for n, file in enumerate(_FILES) if values[n % 4] == value} for value in values}
    judged = next(by_value[value] for value in values if value == judge)
    assert set(dataset.validation.files) == judged
    assert set(dataset.train.files) == set().union(
        *(by_value[v] for v in values if v.strip().casefold()[:5] == "train")
    )
    judges = open_judges(path, Classification(), Vocabulary(("cat", "dog")))
    assert (set(judges.photos.files), judges.split) == (judged, dataset.split)


def test_what_the_split_leaves_out_is_said(folder: Path) -> None:
    path = folder / "photos.csv"
    path.write_text(_split(("train", "val", "test", "")))
    assert open_dataset(path).notes == (
        f"{path}: rows without a split are not used: 2",
        f"{path / 'test'} is kept apart: neither trained nor validated on",
    )


@pytest.mark.parametrize(
    ("values", "shown"), [(("0", "1"), "0, 1"), (("test", "val"), "test, val"), (("train", "?"), "?, train")]
)
def test_a_column_that_tells_no_split_is_named(folder: Path, values: tuple[str, ...], shown: str) -> None:
    path = folder / "photos.csv"
    path.write_text(_split(values))
    dataset = open_dataset(path)
    assert dataset.split.startswith("made")
    assert dataset.notes == (
        f"{path}: the column split is not used: its values ({shown}) do not name training and validation photos",
    )


def test_one_file_of_training_rows_has_no_split(folder: Path) -> None:
    (folder / "photos.csv").write_text(_split(("train",)))
    assert _found(folder / "photos.csv") == _FILES
    assert open_dataset(folder / "photos.csv").notes == ()
