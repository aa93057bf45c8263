import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilenet.datasets import Photos, find_photos, open_photos
from mobilenet.errors import ConfigError, DataError
from mobilenet.model.vocabulary import Vocabulary
from mobilenet.tasks import open_dataset
from mobilenet.tasks.classification import Classification

_REAL = Path(__file__).parents[3] / "shared" / "data"


def _photo(path: Path, value: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (value % 256, value // 256, 0)).save(path, "PNG")


def _tree(root: Path, *files: str) -> Path:
    """Photos at `files` below `root`, each with its own content."""
    for number, file in enumerate(files):
        _photo(root / file, number)
    return root


def _labelled(photos: Photos, classes: tuple[str, ...]) -> dict[str, str]:
    return {file: classes[label] for file, label in zip(photos.files, photos.targets.numbers, strict=True)}


def test_a_given_split_of_nested_classes(tmp_path: Path) -> None:
    data = _tree(tmp_path, "train/b/2.png", "train/b/1.PNG", "train/a/x/1.jpeg", "train/a/1.Png", "val/a/x/9.png")
    dataset = open_dataset(data)
    assert dataset.classes == ("a", "a/x", "b")
    assert _labelled(dataset.train, dataset.classes) == {
        "a/1.Png": "a",
        "a/x/1.jpeg": "a/x",
        "b/1.PNG": "b",
        "b/2.png": "b",
    }
    assert dataset.train.files == ("a/1.Png", "a/x/1.jpeg", "b/1.PNG", "b/2.png")
    assert dataset.train.targets.numbers.dtype == np.int64
    assert _labelled(dataset.validation, dataset.classes) == {"a/x/9.png": "a/x"}
    assert dataset.validation.path(0) == tmp_path / "val" / "a" / "x" / "9.png"
    assert (dataset.split, dataset.notes, dataset.root) == ("given: val/", (), tmp_path)


@pytest.mark.parametrize("name", ["validation", "valid", "val", "test"])
def test_names_of_the_validation_folder(tmp_path: Path, name: str) -> None:
    assert open_dataset(_tree(tmp_path, "train/a/1.png", "train/b/1.png", f"{name}/a/2.png")).split == f"given: {name}/"


def test_validation_goes_before_test_and_a_test_folder_without_classes_is_not_a_split(tmp_path: Path) -> None:
    both = _tree(tmp_path / "both", "train/a/1.png", "train/b/1.png", "val/a/2.png", "test/a/3.png")
    assert open_dataset(both).split == "given: val/"
    flat = _tree(tmp_path / "flat", "train/a/1.png", "train/a/2.png", "train/b/1.png", "test/3.png", "test/4.png")
    dataset = open_dataset(flat)
    assert dataset.split == "made: 0.1 of each class by content, seed 0"
    assert dataset.classes == ("a", "b")


def test_a_class_called_train_is_a_class(tmp_path: Path) -> None:
    data = _tree(tmp_path, *(f"{name}/{number}.png" for name in ("bus", "train", "car") for number in range(3)))
    assert open_dataset(data).classes == ("bus", "car", "train")


def test_a_parent_of_all_classes_is_dropped_and_validation_may_lack_classes(tmp_path: Path) -> None:
    data = _tree(tmp_path, "train/Fruit/Apple/Pink/1.png", "train/Fruit/Pear/1.png", "val/Fruit/Apple/Pink/2.png")
    dataset = open_dataset(data)
    assert dataset.classes == ("Apple/Pink", "Pear")
    assert _labelled(dataset.validation, dataset.classes) == {"Fruit/Apple/Pink/2.png": "Apple/Pink"}
    deep = _tree(tmp_path / "deep", "p/q/x/1.png", "p/q/x/2.png", "p/q/y/1.png")
    assert open_dataset(deep).classes == ("x", "y")
    own = _tree(tmp_path / "own", "p/1.png", "p/x/1.png", "p/x/2.png")
    assert open_dataset(own).classes == ("p", "p/x")


def test_a_validation_class_that_training_lacks_is_named(tmp_path: Path) -> None:
    data = _tree(tmp_path, "train/a/1.png", "train/b/1.png", "val/a/1.png", "val/cat/1.png")
    with pytest.raises(DataError, match=r"val has photos of a class that training lacks: cat; its classes are a, b$"):
        open_dataset(data)


def test_validation_from_elsewhere(tmp_path: Path) -> None:
    data = _tree(tmp_path / "data", "a/1.png", "b/1.png")
    other = _tree(tmp_path / "other", "b/7.png")
    dataset = open_dataset(data, validation=other)
    assert _labelled(dataset.validation, dataset.classes) == {"b/7.png": "b"}
    assert (len(dataset.train), dataset.split) == (2, f"given: {other}")
    table = tmp_path / "v.csv"
    table.write_text("file_name,label\ndata/a/1.png,a\n")
    assert open_dataset(data, validation=table).validation.files == ("data/a/1.png",)


def test_unicode_spaces_and_hidden_files(tmp_path: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "Äpfel")
    data = _tree(
        tmp_path, f"train/{decomposed}/1.png", "train/Äpfel/ein Apfel.png", "train/日本 語/1.png", "val/Äpfel/3.png"
    )
    for name in (".DS_Store", "._1.png", ".hidden.png", "notes.txt", "Thumbs.db"):
        (data / "train" / "Äpfel" / name).write_bytes(b"x")
    _photo(data / "train" / ".cache" / "1.png", 9)
    dataset = open_dataset(data)
    assert dataset.classes == ("Äpfel", "日本 語")
    assert all(unicodedata.is_normalized("NFC", name) for name in dataset.classes)
    assert len(dataset.train) == 3
    assert all(dataset.train.path(index).is_file() for index in range(3))


def test_links_are_followed_once(tmp_path: Path) -> None:
    data = _tree(tmp_path / "data", "b/1.png", "c/1.png")
    outside = _tree(tmp_path / "outside", "1.png", "deep/2.png")
    (data / "a").symlink_to(outside)
    (data / "again").symlink_to(data / "b")
    (data / "b" / "up").symlink_to(data)
    (outside / "loop").symlink_to(outside)
    (data / "c" / "link.png").symlink_to(outside / "1.png")
    (data / "c" / "broken.png").symlink_to("nowhere.png")
    os.mkfifo(data / "c" / "pipe.png")
    (data / "c" / "self.png").symlink_to("self.png")
    (data / "c" / "circle").symlink_to("circle")
    listed = ("a/1.png", "a/deep/2.png", "b/1.png")
    assert find_photos(data) == (*listed, *(f"c/{name}.png" for name in ("1", "broken", "link", "pipe", "self")))


def test_many_links_to_each_other_take_no_time(tmp_path: Path) -> None:
    names = [f"folder{number:02}" for number in range(30)]
    _tree(tmp_path, *(f"{name}/1.png" for name in names))
    for name in names:
        for other in names:
            (tmp_path / name / f"to-{other}").symlink_to(tmp_path / other)
    assert find_photos(tmp_path) == tuple(f"{name}/1.png" for name in names)


def test_empty_folders_and_loose_photos_are_mentioned(tmp_path: Path) -> None:
    data = _tree(tmp_path, "train/a/1.png", "train/b/1.png", "val/a/2.png", "train/loose.png")
    (data / "train" / "empty").mkdir()
    (data / "train" / "only text").mkdir()
    (data / "train" / "only text" / "readme.txt").write_text("x")
    dataset = open_dataset(data)
    assert dataset.classes == ("a", "b")
    assert [note.partition(": ")[2] for note in dataset.notes] == [
        "1 file is not read: 1 .txt",
        "folders without photos are not classes: empty, only text",
        "photos in no class folder are not used: 1",
    ]


def _copies(root: Path, classes: int, each: int) -> Path:
    for number in range(classes * each):
        _photo(root / f"class{number % classes}" / f"{number}.png", number)
    return root


def test_a_made_split_is_stratified_and_seeded(tmp_path: Path) -> None:
    data = _copies(tmp_path / "data", classes=3, each=20)
    dataset = open_dataset(data, validation_fraction=0.2, seed=5)
    assert np.bincount(dataset.validation.targets.numbers).tolist() == [4, 4, 4]
    assert np.bincount(dataset.train.targets.numbers).tolist() == [16, 16, 16]
    assert not set(dataset.train.files) & set(dataset.validation.files)
    assert dataset.split == "made: 0.2 of each class by content, seed 5"
    assert open_dataset(data, validation_fraction=0.2, seed=5).validation.files == dataset.validation.files
    assert open_dataset(data, validation_fraction=0.2, seed=6).validation.files != dataset.validation.files


def test_a_made_split_follows_the_content_not_the_name(tmp_path: Path) -> None:
    data = _copies(tmp_path / "data", classes=2, each=20)
    before = {path.read_bytes() for path in map(open_dataset(data).validation.path, range(4))}
    for path in sorted(data.rglob("*.png")):
        path.rename(path.with_name(f"renamed-{path.name}"))
    after = {path.read_bytes() for path in map(open_dataset(data).validation.path, range(4))}
    assert before == after


def test_copies_never_straddle_the_split_and_single_photos_are_learnt_from(tmp_path: Path) -> None:
    for number in range(30):
        for copy in range(3):
            _photo(tmp_path / "many" / f"{number}-{copy}.png", number)
    _photo(tmp_path / "single" / "1.png", 500)
    for number in range(5):
        for name in ("contrary", "many"):
            _photo(tmp_path / name / f"same{number}.png", 600 + number)
    _photo(tmp_path / "contrary" / "own.png", 700)
    dataset = open_dataset(tmp_path, validation_fraction=0.3)
    contents = [
        {path.read_bytes() for path in map(part.path, range(len(part)))} for part in (dataset.train, dataset.validation)
    ]
    assert not contents[0] & contents[1]
    assert {dataset.classes[label] for label in dataset.validation.targets.numbers} == {"many"}
    assert len(dataset.validation) == 27
    assert set(dataset.classes) == {dataset.classes[label] for label in dataset.train.targets.numbers}


def test_csv(tmp_path: Path) -> None:
    _tree(tmp_path, "img/1.png", "img/2, two.png", "img/3.png")
    table = tmp_path / "photos.csv"
    table.write_bytes(
        '\ufefflabel,note,file_name\r\ncat,,img/3.png\r\n dog ,x,"img/2, two.png"\r\ncat,,img/1.png\r\n'.encode()
    )
    dataset = open_dataset(table, validation_fraction=0.5)
    assert dataset.classes == ("cat", "dog")
    assert _labelled(dataset.train, dataset.classes) | _labelled(dataset.validation, dataset.classes) == {
        "img/1.png": "cat",
        "img/2, two.png": "dog",
        "img/3.png": "cat",
    }
    assert dataset.train.path(0).is_file()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no column file_name; it has: none"),
        (
            "file_name,size,age\n1.png,2,3\n",
            "has no column label; it has: file_name, size, age; rename that of the labels",
        ),
        ("weight;label\n2;b\n", "has no column file_name; it has: weight, label; rename that of the file names"),
        ("file_name,label\n\n,b\n", "line 3: file_name is empty"),
        ("file_name,label\n1.png\n", "line 2: label is empty"),
        (
            "file_name,label\ngone.png,b\nlost.png,b\n",
            "line 2: gone.png does not exist in .*, nor does the other file; file names must be relative to the folder",
        ),
        ("file_name,label\n1.png,a\n1.png,b\n", "line 3: 1.png is labelled b, but a on line 2"),
        ("file_name,label\n1.png,a\n1.png,a\n", "has only one class, a"),
        ('file_name,label\n"1.png,a\n', "is not a CSV file in UTF-8"),
        ("file_name,label\n", "photos.csv contains no rows; add them below its header"),
        ("file_name,red,round\n\n , \n", "photos.csv contains no rows; add them below its header"),
        ("first,second,same\n", "photos.csv contains no rows; add them below its header"),
        ("file_name,label\n\0,\0\n", "photos.csv"),
    ],
)
def test_a_csv_that_cannot_be_used(tmp_path: Path, text: str, message: str) -> None:
    _photo(tmp_path / "1.png", 1)
    (tmp_path / "photos.csv").write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        open_dataset(tmp_path / "photos.csv")
    assert "\n" not in str(caught.value)


def test_a_csv_in_another_encoding(tmp_path: Path) -> None:
    (tmp_path / "photos.csv").write_bytes("file_name,label\nä.png,b\n".encode("latin-1"))
    with pytest.raises(DataError, match="is not a CSV file in UTF-8"):
        open_dataset(tmp_path / "photos.csv")


def test_data_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="gone does not exist"):
        open_dataset(tmp_path / "gone")
    (tmp_path / "a.zip").write_bytes(b"x")
    with pytest.raises(DataError, match=r"a\.zip is not a folder, a \.csv or \.tsv file"):
        open_dataset(tmp_path / "a.zip")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty contains no photos; put the photos of each class in a folder of its"):
        open_dataset(tmp_path / "empty")
    with pytest.raises(DataError, match="only one class, cat; put the photos of each class in a folder of its own"):
        open_dataset(_tree(tmp_path / "one", "cat/1.png", "cat/2.png"))
    with pytest.raises(DataError, match="photos in no class folder are not used: 2; put the photos of each class"):
        open_dataset(_tree(tmp_path / "loose", "1.png", "2.png"))
    with pytest.raises(DataError, match="no class with two different photos"):
        open_dataset(_tree(tmp_path / "few", "a/1.png", "b/1.png"))
    with pytest.raises(ConfigError, match=r"validation fraction 1\.5 is not between 0 and 1"):
        open_dataset(tmp_path / "few", validation_fraction=1.5)
    with pytest.raises(DataError, match="nowhere does not exist"):
        open_dataset(tmp_path / "few", validation=tmp_path / "nowhere")
    with pytest.raises(DataError, match="contains no photos; their names must end in"):
        find_photos(tmp_path / "empty")


def test_an_unreadable_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = _tree(tmp_path, "a/1.png", "b/1.png")
    scandir = os.scandir

    def locked(path: str) -> object:
        if str(path).endswith("/b"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", locked)
    with pytest.raises(DataError, match=r"cannot read .*/b: permission denied; check its permissions$"):
        open_dataset(data)


def test_open_photos_labels_by_the_classes_of_a_model(tmp_path: Path) -> None:
    data = _tree(tmp_path, "val/Fruit/Apple/Pink/1.png", "val/Fruit/Pear/1.png", "plain/Pear/1.png")
    classes = ("Apple/Pink", "Banana", "Pear")
    assert open_photos(data / "val", Classification(), Vocabulary(classes)).targets.numbers.tolist() == [0, 2]
    assert open_photos(data / "plain", Classification(), Vocabulary(classes)).targets.numbers.tolist() == [2]
    with pytest.raises(
        DataError, match="photos of a class that the model lacks: Fruit/Apple/Pink, Fruit/Pear; its classes"
    ):
        open_photos(data / "val", Classification(), Vocabulary(("Banana", "Pear")))
    _tree(tmp_path / "split", "train/Pear/1.png", "train/Banana/1.png", "val/Pear/1.png")
    assert (
        open_photos(tmp_path / "split", Classification(), Vocabulary(classes)).path(0)
        == tmp_path / "split" / "val" / "Pear" / "1.png"
    )
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="none contains no photos"):
        open_photos(tmp_path / "none", Classification(), Vocabulary(classes))


@pytest.mark.skipif(not _REAL.is_dir(), reason="the folder of real photos, ../shared/data, is not here")
def test_real_data() -> None:
    clothing = open_dataset(_REAL / "clothing")
    assert (len(clothing.classes), len(clothing.train), len(clothing.validation)) == (10, 3068, 341)
    fruit = open_dataset(_REAL / "fruit")
    assert (len(fruit.train), len(fruit.validation)) == (1142, 111)
    assert "Apple/Pink-Lady" in fruit.classes
    assert "Banana" in fruit.classes
