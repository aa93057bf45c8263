"""Parts of a split under the names that people give them, in folders, shards and columns; and what is no split."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from mobilenet.cli.main import main
from mobilenet.datasets import open_photos, photo_reader
from mobilenet.datasets.check.check import check
from mobilenet.datasets.dataset import given_split, open_parts
from mobilenet.datasets.pack import pack
from mobilenet.datasets.sources.split_names import Mixed, Named, mixed_splits, split_of, split_word
from mobilenet.errors import DataError
from mobilenet.model.vocabulary import Vocabulary
from mobilenet.tasks import open_dataset
from mobilenet.tasks.classification import Classification

Tree = Callable[..., Path]


def _png(number: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (number % 256, number // 256, 0)).save(buffer, "PNG")
    return buffer.getvalue()


def _members(*folders: str, each: int = 3) -> dict[str, bytes]:
    """Photos in these folders, each with its own content."""
    names = [f"{folder}/{number}.png" for folder in folders for number in range(each)]
    return {name: _png(number) for number, name in enumerate(names)}


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """`tree("train/a", …)`: three photos in each of these folders."""

    def drawn(*folders: str) -> Path:
        for name, data in _members(*folders).items():
            path = tmp_path / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return tmp_path / "data"

    return drawn


def _tar(path: Path, members: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize(
    ("name", "word", "others"),
    [
        ("TRAIN", "train", ()),
        ("Training", "training", ()),
        ("training_set", "training", ()),
        ("trainset", "train", ()),
        ("TrainData", "train", ()),
        ("train-images", "train", ()),
        ("train2017", "train", ()),
        ("Test Set (1)", "test", ()),
        ("seg_train", "train", ("seg",)),
        ("asl_alphabet_test", "test", ("asl", "alphabet")),
        ("train_cats", "train", ("cats",)),
        ("fold1_val", "val", ("fold", "1")),
        ("PrivateTest", "test", ("private",)),
        ("dev", "dev", ()),
        ("Evaluation", "evaluation", ()),
    ],
)
def test_words_of_parts(name: str, word: str, others: tuple[str, ...]) -> None:
    assert split_word(name) == (word, others)


@pytest.mark.parametrize(
    "name", ["", "cat", "trainer", "contest", "latest", "valley", "train_test", "trainval", "123", "テスト"]
)
def test_names_that_tell_no_part(name: str) -> None:
    assert split_word(name) is None


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("Test", "Train", "Val"), Named("Train", ("Val", "Test"))),
        (("seg_pred", "seg_test", "seg_train"), Named("seg_train", ("seg_test",), ("seg_pred",))),
        (("train", "valid", "validation", "dev"), Named("train", ("validation", "valid", "dev"))),
        (("train2014", "train2017", "val2014"), Named("train2014", ("val2014",), ("train2017",))),
        (("bus", "car", "train"), None),
        (("test", "val"), None),
        (("dogs_train", "cats_test"), None),
        (("cats_test", "cats_train", "dogs_test", "dogs_train"), None),
        (("steam train", "test tube"), None),
    ],
)
def test_which_names_are_a_split(names: tuple[str, ...], found: Named | None) -> None:
    assert split_of(names) == found


@pytest.mark.parametrize(
    ("train", "judging", "split"),
    [
        ("Train", "Val", "Val"),
        ("Training", "Testing", "Testing"),
        ("training_set", "test_set", "test_set"),
        ("seg_train/seg_train", "seg_test/seg_test", "seg_test"),
        ("archive/train", "archive/val", "val"),
        ("archive/archive/TRAIN", "archive/archive/DEV", "DEV"),
        ("train/images", "val/imgs", "val"),
        ("./train", "./dev", "dev"),
    ],
)
def test_parts_are_no_part_of_a_class(tree: Tree, tmp_path: Path, train: str, judging: str, split: str) -> None:
    folders = [f"{part}/{name}" for part in (train, judging) for name in ("cat", "dog")]
    data = tree(*folders)
    for junk in ("__MACOSX/._train", "notes"):
        (data / junk).mkdir(parents=True)
    tar = _tar(tmp_path / "one.tar", _members(*folders))
    for place in (data, tar):
        dataset = open_dataset(place)
        assert dataset.classes == ("cat", "dog")
        assert (len(dataset.train), len(dataset.validation)) == (6, 6)
        assert dataset.split == given_split(place, Classification()) == f"given: {split}/"
        assert (dataset.mixed, dataset.alike) == ((), ())
        read = {part.read(number) for part in (dataset.train, dataset.validation) for number in range(len(part))}
        assert read == set(_members(*folders).values())
        assert len(open_photos(place, Classification(), Vocabulary(("cat", "dog", "owl")))) == 6
    names = {member.file for group in check(tar, Classification()).copies for member in group.photos}
    reader = photo_reader(tar)
    assert {reader(name) for name in names} <= set(_members(*folders).values())


def test_a_test_part_stays_apart_where_there_is_a_validation_part(
    tree: Tree, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tree("Train/a", "Train/b", "Val/a", "Test/a", "Test/b", "extra/a")
    dataset = open_dataset(data)
    assert dataset.split == "given: Val/"
    final = f"for a final evaluation: mobilenet evaluate RUN {data / 'Test'}"
    assert dataset.notes == (
        f"{data / 'Test'} is kept apart: neither trained nor validated on; {final}",
        f"{data}: beside the parts of the split, and not used: extra",
    )
    for name in ("annotations", "empty"):
        (data / name).mkdir()
    (data / "annotations" / "train.csv").touch()
    assert open_dataset(data).notes == dataset.notes
    assert not any("Test" in str(part.root) for part in (dataset.train, dataset.validation))
    other = open_dataset(data, validation=data / "Test")
    assert other.split == f"given: {data / 'Test'}"
    assert main(["check", str(data), "--json"]) == 0
    assert "Test is kept apart" in capsys.readouterr().out


def test_shards_of_parts_by_their_names(tmp_path: Path) -> None:
    for number, names in enumerate(
        (("seg_train-00000-of-00002", "seg_train-00001-of-00002", "seg_test"), ("Training-0", "Dev"))
    ):
        for shard, name in enumerate(names):
            members = {f"{label}/{shard}{n}.png": _png(10 * shard + n) for label in "ab" for n in range(2)}
            _tar(tmp_path / f"{number}" / f"{name}.tar", members)
    first, second = open_dataset(tmp_path / "0"), open_dataset(tmp_path / "1")
    assert (len(first.train), len(first.validation), first.split) == (8, 4, "given: seg_test/")
    assert (len(second.train), len(second.validation), second.split) == (4, 4, "given: dev/")
    assert photo_reader(tmp_path / "0")("seg_test/seg_test.tar/a/20.png") == first.validation.read(0)
    assert photo_reader(first.validation.root)("seg_test.tar/a/20.png") == first.validation.read(0)


def test_a_split_in_a_tar_is_packed_as_one(tmp_path: Path) -> None:
    tar = _tar(tmp_path / "one.tar", _members("x/Training/a", "x/Training/b", "x/Testing/a"))
    assert open_parts(tar, Classification()).split == "given: Testing/"
    packed = pack(tar, Classification(), tmp_path / "out")
    assert packed.shards == ("train-000000.tar", "validation-000000.tar")
    assert len(open_dataset(tmp_path / "out").validation) == 3


def test_a_validation_class_in_a_wrapper_that_training_lacks_is_named(tree: Tree) -> None:
    with pytest.raises(DataError, match=r"val has photos of a class that training lacks: imgs/cow, imgs/dog; its"):
        open_dataset(tree("train/cat", "train/dog", "val/imgs/dog", "val/imgs/cow"))


def test_folders_named_like_parts_but_read_as_classes_are_a_fault(
    tree: Tree, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tree("train_small/a", "train_small/b", "test/a", "test/b")
    (line,) = open_dataset(data).mixed
    assert line == (
        f"{data}: train_small/ and test/ are named like parts of a split but read as classes; if they are a split: "
        f"mobilenet train {data / 'train_small'} --val {data / 'test'}"
    )
    assert line in open_dataset(data).notes
    assert main(["check", str(data)]) == 1
    printed = capsys.readouterr()
    assert printed.out.count(line) == 1
    assert printed.err == "mobilenet: 1 group of folders is named like a split but read as classes\n"
    told = open_dataset(data / "train_small", validation=data / "test")
    assert (told.classes, told.mixed) == (("a", "b"), ())
    below = tmp_path / "below.tar"
    (line,) = open_dataset(_tar(below, _members("cat/train", "cat/test", "dog/train"))).mixed
    assert line.startswith(
        f"{below}: cat/train/ and cat/test/ are named like parts of a split but read as classes; put"
    )


def test_folders_with_the_same_classes_are_worth_knowing(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    data = tree("holdout/cat", "holdout/dog", "main/cat", "main/dog", "main/owl")
    (line,) = open_dataset(data).alike
    assert line == (
        f"{data}: main/ and holdout/ contain the same classes (cat, dog, owl), which become main/cat and so on; if "
        f"they are a split: mobilenet train {data / 'main'} --val {data / 'holdout'}"
    )
    assert main(["check", str(data)]) == 0
    assert "1 group of folders has the same classes" in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    "names",
    [
        ("bus", "car", "train"),
        ("train station", "test tube", "tube"),
        ("Apple/Pink", "Apple/Gala", "Pear/Abate", "Pear/Gala"),
        ("Fruit/Apple", "Fruit/Pear"),
        ("a/b/x", "a/b/y", "c"),
    ],
)
def test_classes_that_are_no_parts(names: tuple[str, ...]) -> None:
    assert mixed_splits(dict.fromkeys(names, 5)) == ()


def test_the_part_to_train_on_is_the_one_called_so_else_the_largest() -> None:
    counts = {"x/a": 2, "x/b": 2, "y/a": 9, "y/b": 1}
    assert mixed_splits(counts) == (Mixed("", ("y", "x"), ("a", "b"), certain=False, apart=True),)
    named = {"rest/a": 9, "rest/b": 9, "train/a": 1, "train/b": 1}
    assert mixed_splits(named)[0].names == ("train", "rest")
    deep = {f"top/{name}": count for name, count in counts.items()}
    assert mixed_splits(deep) == (Mixed("top", ("y", "x"), ("a", "b"), certain=False, apart=True),)


def test_test_photos_without_classes_in_a_folder_of_the_same_name_are_no_validation_photos(tree: Tree) -> None:
    data = tree("abc_train/abc_train/a", "abc_train/abc_train/b", "abc_test/abc_test")
    dataset = open_dataset(data)
    assert (dataset.classes, len(dataset.train) + len(dataset.validation)) == (("a", "b"), 6)
    assert dataset.split.startswith("made")
    inner = data / "abc_test" / "abc_test"
    assert dataset.notes == (f"{inner}: photos in no class folder are not used: 3",)
