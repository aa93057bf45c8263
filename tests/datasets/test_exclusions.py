import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobilenet.datasets import Exclusions, open_photos, read_exclusions
from mobilenet.datasets.exclusions import prefix_below, write_exclusions
from mobilenet.errors import DataError
from mobilenet.model.vocabulary import Vocabulary
from mobilenet.tasks import open_dataset
from mobilenet.tasks.classification import Classification

_NAMES = st.lists(st.binary(min_size=1, max_size=12).filter(lambda name: b"\0" not in name), unique=True)


@given(_NAMES, st.text())
def test_any_name_comes_back(tmp_path_factory: pytest.TempPathFactory, names: list[bytes], reason: str) -> None:
    """File names are bytes; Python shows those that are no UTF-8 as lone surrogates."""
    decoded = [os.fsdecode(name) for name in names]
    path = tmp_path_factory.mktemp("list") / "out.txt"
    write_exclusions(path, [(name, reason) for name in decoded])
    assert read_exclusions(path).names == frozenset(decoded)


def test_a_list_is_plain_where_names_are(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    write_exclusions(path, [("a/ä b.jpg", "truncated\nfile"), ("a/two\nlines.jpg", "x"), ("#1.jpg", "y")])
    lines = path.read_text("utf-8").splitlines()[1:]
    assert lines == ["# truncated file", "a/ä b.jpg", "# x", '"a/two\\nlines.jpg"', "# y", '"#1.jpg"']


def test_a_list_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_bytes(b"\r\n  a/1.jpg \r\n# a/2.jpg\r\n\r\nb/caf\xe9.jpg")
    assert read_exclusions(path).names == {"a/1.jpg", "b/caf\udce9.jpg"}
    assert read_exclusions(None).names == frozenset()


@pytest.mark.parametrize(
    ("text", "message"),
    [('a\n"b', r"line 2 begins with a quote but is not a JSON string"), ('"a" b', "line 1 begins with a quote")],
)
def test_a_list_that_cannot_be_read(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "out.txt"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_exclusions(path)


def test_a_list_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read the list .*gone\.txt: no such file or directory"):
        read_exclusions(tmp_path / "gone.txt")


def test_names_are_below_the_data(tmp_path: Path) -> None:
    assert prefix_below(tmp_path, tmp_path) == ""
    assert prefix_below(tmp_path, tmp_path / "train") == "train/"
    assert prefix_below(tmp_path / "a", tmp_path / "b") == f"{tmp_path}/b/"


def _tree(root: Path, *files: str) -> Path:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(file.encode())
    return root


def test_a_data_set_without_them(tmp_path: Path) -> None:
    data = _tree(tmp_path / "d", "train/a/1.jpg", "train/a/2.jpg", "train/b/1.jpg", "val/a/1.jpg", "val/b/2.jpg")
    dataset = open_dataset(data, exclude=Exclusions(frozenset({"train/a/1.jpg", "val/b/2.jpg", "x"}), Path("list")))
    assert dataset.train.files == ("a/2.jpg", "b/1.jpg")
    assert dataset.validation.files == ("a/1.jpg",)
    assert dataset.notes == ("excluded by list: 2 photos; 1 names not found",)
    elsewhere = _tree(tmp_path / "e", "a/7.jpg", "b/8.jpg")
    names = frozenset({f"{tmp_path}/e/a/7.jpg"})
    assert open_dataset(data, validation=elsewhere, exclude=Exclusions(names)).validation.files == ("b/8.jpg",)
    flat = _tree(tmp_path / "f", *(f"{label}/{number}.jpg" for label in "ab" for number in range(9)))
    made = open_dataset(flat, exclude=Exclusions(frozenset({"a/3.jpg"})))
    assert len(made.train) + len(made.validation) == 17
    assert "a/3.jpg" not in made.train.files + made.validation.files


def test_a_list_for_other_data_is_refused(tmp_path: Path) -> None:
    data = _tree(tmp_path, "a/1.jpg", "a/2.jpg", "b/1.jpg")
    with pytest.raises(DataError, match="none of the 1 photos excluded by list are in"):
        open_dataset(data, exclude=Exclusions(frozenset({"c/1.jpg"}), Path("list")))


def test_photos_to_evaluate_on_without_them(tmp_path: Path) -> None:
    data = _tree(tmp_path, "train/a/1.jpg", "val/a/1.jpg", "val/b/2.jpg")
    exclude = Exclusions(frozenset({"val/a/1.jpg", "train/a/1.jpg"}))
    assert open_photos(data, Classification(), Vocabulary(("a", "b")), exclude=exclude).files == ("b/2.jpg",)
    assert open_photos(data / "val", Classification(), Vocabulary(("a", "b")), exclude=exclude, base=data).files == (
        "b/2.jpg",
    )
    with pytest.raises(DataError, match="contains no photos"):
        open_photos(
            data,
            Classification(),
            Vocabulary(("a", "b")),
            exclude=Exclusions(frozenset({"val/a/1.jpg", "val/b/2.jpg"})),
        )
