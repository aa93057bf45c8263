"""Attributes in tables and shards: recognised, read, split and refused."""

import io
import json
import re
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mobilenet.cli.main import main
from mobilenet.datasets.cache.load import load
from mobilenet.datasets.check.check import check, quick_check
from mobilenet.datasets.pack import pack
from mobilenet.datasets.split import split_by_labels
from mobilenet.errors import DataError
from mobilenet.model.vocabulary import Vocabulary
from mobilenet.tasks import open_dataset, task_of

Table = Callable[..., Path]


def _photo(number: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(number).integers(0, 255, (8, 8, 3), np.uint8)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def table(tmp_path: Path) -> Table:
    """Writes a CSV file, and beside it the photos that its rows name first."""

    def write(header: str, *rows: str, folder: str = "") -> Path:
        (tmp_path / folder).mkdir(exist_ok=True)
        for number, row in enumerate(rows):
            (tmp_path / folder / row.split(",")[0]).write_bytes(_photo(number))
        (tmp_path / "table.csv").write_text("\n".join([header, *rows]) + "\n")
        return tmp_path / "table.csv"

    return write


def _said(data: Path, task: str | None = None) -> dict[str, str]:
    dataset = open_dataset(data, task)
    found = {}
    for photos in (dataset.train, dataset.validation):
        found.update(zip(photos.files, photos.targets.lines(dataset.vocabulary), strict=True))
    return found


def _shards(path: Path, said: list[dict[str, object]]) -> Path:
    """A shard with a photo and its JSON for each of `said`."""
    with tarfile.open(path, "w") as tar:
        for number, about in enumerate(said):
            for ending, data in (("png", _photo(number)), ("json", json.dumps(about).encode())):
                member = tarfile.TarInfo(f"{number:03d}.{ending}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return path


def test_columns_of_known_and_unknown_values(table: Table) -> None:
    data = table("file,red,round", "a.png,1,0", "b.png,,1", "c.png,0,?", "d.png,-1,1", "e.png,1.0,0", "f.png,0,0.0")
    assert task_of(data).name == "attributes"
    assert _said(data) == {
        "a.png": "red",
        "b.png": "?red;round",
        "c.png": "?round",
        "d.png": "?red;round",
        "e.png": "red",
        "f.png": "-",
    }


def test_labels_of_several_names(table: Table) -> None:
    data = table("file,label", "a.png,red;round", "b.png,red", "c.png,", "d.png,-", "e.png,round", "f.png,large;red")
    assert task_of(data).name == "attributes"
    found = _said(data)
    assert open_dataset(data).classes == ("large", "red", "round")
    assert found["a.png"] == "red;round"
    assert found["c.png"] == "?"
    assert found["d.png"] == "-"


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        ("file,label", ("a.png,0", "b.png,1", "c.png,0", "d.png,1")),
        ("file,label", ("a.png,cat", "b.png,dog", "c.png,cat", "d.png,dog")),
        ("file,label,checked", ("a.png,cat,1", "b.png,dog,0", "c.png,cat,1", "d.png,dog,1")),
    ],
)
def test_classes_stay_classes(table: Table, header: str, rows: tuple[str, ...]) -> None:
    assert task_of(table(header, *rows)).name == "classification"


def test_one_attribute_alone(table: Table) -> None:
    data = table("file,smiling", *(f"{number}.png,{number % 2}" for number in range(8)))
    assert task_of(data).name == "attributes"
    assert open_dataset(data).classes == ("smiling",)


def test_photos_in_a_folder_below(table: Table) -> None:
    data = table("file,red,round", "a.png,1,0", "b.png,0,1", "c.png,1,1", "d.png,0,0", folder="photos")
    dataset = open_dataset(data)
    assert sorted((*dataset.train.files, *dataset.validation.files))[0] == "photos/a.png"
    assert f"{data}: its file names are relative to photos/" in dataset.notes


def test_a_column_of_which_nothing_is_known_is_left_out(table: Table) -> None:
    data = table("file,red,round", "a.png,1,", "b.png,0,", "c.png,1,", "d.png,0,")
    dataset = open_dataset(data)
    assert dataset.classes == ("red",)
    assert dataset.doubtful == (f"{data}: nothing is known of: 'round'",)


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        ("file,red,round", ("a.png,1,0", "b.png,0,1", "c.png,1,2"), "line 4: round is '2'; use 1, 0, or nothing"),
        ("file,red,round", ("a.png,1,0", "a.png,0,0", "b.png,0,1"), "line 3: a.png has another red than on line 2"),
        ("file,red,red", ("a.png,1,0", "b.png,0,1"), "has two columns 'red'; rename or remove one"),
        ("file,red,?round", ("a.png,1,0", "b.png,0,1"), "the name '\\?round' among its columns contains ; or begins"),
        ("file,label", ("a.png,red;-x", "b.png,red"), "the name '-x' among its attributes contains ; or begins with"),
        ("file,red,round", ("a.png,,", "b.png,,"), "no value of any attribute is known for the training photos"),
        ("file,red,round", ("a.png,1,1", "b.png,1,1"), "every attribute is the same on all training photos"),
        (
            "file,size,weight",
            ("a.png,,3", "b.png,5,4"),
            "has no column of attributes: size is '5'; write 1, 0, or nothing where it is unknown$",
        ),
        ("file,caption", ("a.png,a cat",), "has no column of attributes: caption is 'a cat'; write 1, 0"),
        ("file,red,round", (), "contains no rows; add them below its header"),
    ],
)
def test_tables_that_cannot_be_used(table: Table, header: str, rows: tuple[str, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_dataset(table(header, *rows), "attributes")


@pytest.mark.parametrize("words", [("yes", "no"), ("Y", "N"), ("T", "f"), ("on", "OFF"), ("x", ""), ("+", "-")])
@pytest.mark.parametrize("task", [None, "attributes"])
def test_values_in_words_are_refused_by_name(table: Table, words: tuple[str, str], task: str | None) -> None:
    yes, no = words
    data = table("file,round,red", *(f"{number}.png,{number % 2},{no if number < 2 else yes}" for number in range(6)))
    first = f"line 4: red is '{yes}'" if no == "" else f"line 2: red is '{no}'"
    with pytest.raises(DataError, match=re.escape(f"{first}; use 1, 0, or nothing where it is unknown")):
        open_dataset(data, task)


def test_all_columns_in_words(table: Table) -> None:
    data = table("file,round,red,note", "a.png,yes,no,sharp", "b.png,no,yes,dark", "c.png,yes,,")
    with pytest.raises(DataError, match=r"line 2: round is 'yes'; use 1, 0, or nothing where it is unknown"):
        open_dataset(data)


@pytest.mark.parametrize(
    ("header", "rows", "classes"),
    [
        ("file,smiling", ("a.png,yes", "b.png,no", "c.png,yes", "d.png,no"), ("no", "yes")),
        ("file,label,checked", ("a.png,0,yes", "b.png,1,no", "c.png,0,yes", "d.png,1,yes"), ("0", "1")),
        ("file,label,checked", ("a.png,yes,1", "b.png,no,0", "c.png,yes,0", "d.png,no,1"), ("no", "yes")),
    ],
)
def test_words_may_be_classes(table: Table, header: str, rows: tuple[str, ...], classes: tuple[str, ...]) -> None:
    data = table(header, *rows)
    assert task_of(data).name == "classification"
    assert open_dataset(data).classes == classes


def test_a_folder_says_nothing_of_attributes(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "a.png").write_bytes(_photo(0))
    with pytest.raises(DataError, match="says nothing of attributes; give a CSV file"):
        open_dataset(tmp_path, "attributes")


def test_rows_of_one_photo_add_up(table: Table) -> None:
    data = table("file,red,round", "a.png,1,", "a.png,,0", "b.png,0,1", "c.png,1,1", "d.png,0,0")
    assert _said(data)["a.png"] == "red"


@pytest.mark.parametrize(
    "about",
    [
        lambda red, large: {"red": red, "large": large},
        lambda red, large: {"attributes": {"red": red, "large": large}},
        lambda red, large: {"label": [name for name, there in (("red", red), ("large", large)) if there]},
        lambda red, large: {"label": ";".join(n for n, there in (("red", red), ("large", large)) if there) or "-"},
    ],
)
def test_shards_with_json(tmp_path: Path, about: Callable[[int, int], dict[str, object]]) -> None:
    said = [{"file": f"{number}.png", **about(number % 2, number % 3 == 0)} for number in range(12)]
    data = _shards(tmp_path / "photos.tar", said)
    assert task_of(data).name == "attributes"
    found = _said(data)
    assert len(found) == 12
    assert set(found["3.png"].split(";")) == {"red", "large"}
    assert found["2.png"] == "-"


def test_words_in_shards_are_refused_by_name(tmp_path: Path) -> None:
    for name, about in (("a.tar", {"red": "yes", "large": "no"}), ("b.tar", {"attributes": {"red": "yes"}})):
        data = _shards(tmp_path / name, [about] * 4)
        with pytest.raises(DataError, match=r"000\.png says 'yes' of red; use 1, 0, or null where it is unknown"):
            open_dataset(data)
    classes = _shards(tmp_path / "c.tar", [{"label": "ab"[number % 2], "flash": "yes"} for number in range(6)])
    assert open_dataset(classes).classes == ("a", "b")


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({"attributes": {"": 1, "red": 0}}, "the name '' among its attributes is empty; rename it"),
        ({"attributes": {" ": 1, "red": 0}}, "the name '' among its attributes is empty; rename it"),
        ({"attributes": {"?x": 1, "red": 0}}, "the name '?x' among its attributes contains ; or begins with ? or -"),
        ({"?x": 1, "red": 0}, "the name '?x' among its attributes contains ; or begins with ? or -; rename it"),
        ({"attributes": {"a;b": 1, "red": 0}}, "the name 'a;b' among its attributes contains ; or begins"),
        ({"attributes": {"red": 1, " red": 0}}, "000.png has two attributes 'red'; rename or remove one"),
        ({"label": ["red", "a;b"]}, "the name 'a;b' among its attributes contains ; or begins"),
        ({"label": ["red", "-x"]}, "the name '-x' among its attributes contains ; or begins"),
        ({"label": ["red", None]}, "000.png has null in its list of attributes; give their names alone"),
        ({"label": ["red", ""]}, '000.png has "" in its list of attributes; give their names alone'),
        ({"label": ["red", True]}, "000.png has true in its list of attributes; give their names alone"),
        ({"label": ["red", {"round": 1}]}, '000.png has {"round": 1} in its list of attributes; give their names'),
    ],
)
def test_names_in_shards_are_checked_like_those_of_columns(
    tmp_path: Path, about: dict[str, object], message: str
) -> None:
    data = _shards(tmp_path / "photos.tar", [about, {"attributes": {"red": 1}}, {"attributes": {"red": 0}}])
    with pytest.raises(DataError, match=re.escape(message)):
        open_dataset(data, "attributes")


def test_names_in_shards_are_normal_ones(tmp_path: Path) -> None:
    said = [{"attributes": {"r\u0075\u0308ck ": number % 2}} for number in range(6)]
    assert open_dataset(_shards(tmp_path / "photos.tar", said)).classes == ("r\u00fcck",)


def test_what_is_unknown_of_a_copy_contradicts_nothing(tmp_path: Path) -> None:
    """Of three pictures with a copy each, the third is red and not red."""
    rows = ["a.png,1,0", "a2.png,,0", "b.png,0,1", "b2.png,?,", "c.png,1,", "c2.png,0,1"]
    rows += [f"{number}.png,{number % 2},{number % 3 % 2}" for number in range(9)]
    for row in rows:
        name = row.split(",")[0]
        (tmp_path / name).write_bytes(_photo(ord(name[0])))
    data = tmp_path / "table.csv"
    data.write_text("\n".join(["file,red,round", *rows]))
    found = check(data, task_of(data))
    assert [[photo.file for photo in group.photos] for group in found.conflicts] == [["c.png", "c2.png"]]
    assert [len(group.photos) for group in found.repeats] == [2, 2]
    assert {name for name, _ in found.excluded()} >= {"c.png", "c2.png"}
    assert not {name for name, _ in found.excluded()} & {"a.png", "a2.png", "b.png", "b2.png"}
    dataset = open_dataset(data)
    training, validation = (load(photos, 32) for photos in (dataset.train, dataset.validation))
    assert "pictures with two labels: 1;" in str(quick_check(dataset.vocabulary, training, validation))


def test_findings_are_about_attributes(
    table: Table, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOBILENET_CACHE", str(tmp_path / "cache"))
    rows = [f"{number}.png,{number % 2},{int(number > 38)},{int(number == 4)},1" for number in range(40)]
    data = table(
        "file,red,round,Round,split", *(row[:-1] + ("train" if n % 8 else "val") for n, row in enumerate(rows))
    )
    found = check(data, task_of(data))
    assert "1 attribute occurs in two spellings" in found.faults()
    assert [line for line in found.remarks() if "attribute" in line] == [
        "2 attributes have fewer than 10 photos",
        "the largest attribute has 20 times the photos of the smallest",
    ]
    assert main(["check", str(data), "--html", str(tmp_path / "page.html")]) == 1
    printed = capsys.readouterr()
    assert printed.out.splitlines()[0] == "40 files, 3 attributes; split given: val in table.csv"
    assert printed.out.splitlines()[1].split() == ["attribute", "training", "validation"]
    assert "attributes in two spellings: 1" in printed.out
    assert "class" not in printed.out + printed.err
    text = re.sub(r"<style>.*?</style>|<[^>]*>", " ", (tmp_path / "page.html").read_text("utf-8"), flags=re.DOTALL)
    assert "40 files · 3 attributes" in text
    assert "class" not in text.casefold()
    training, validation = (load(photos, 32) for photos in (open_dataset(data).train, open_dataset(data).validation))
    said = quick_check(Vocabulary(("red", "round", "Round")), training, validation, "attributes")
    assert said == "attributes with fewer than 10 training photos: round (1), Round (1)"


@st.composite
def _labelled(draw: st.DrawFn) -> np.ndarray:
    count, labels = draw(st.integers(4, 40)), draw(st.integers(1, 5))
    seed = draw(st.integers(0, 1000))
    random = np.random.default_rng(seed)
    return random.random((count, labels)) < random.uniform(0.05, 0.9, labels)


@given(_labelled(), st.integers(0, 3))
def test_the_split_deals_out_every_label(labels: np.ndarray, seed: int) -> None:
    contents = [bytes([number]) * 16 for number in range(len(labels))]
    chosen = split_by_labels(contents, labels, ~labels, 0.2, seed)
    # The order of the photos does not matter.
    turned = split_by_labels(contents[::-1], labels[::-1], ~labels[::-1], 0.2, seed)
    assert (turned[::-1] == chosen).all()
    alone = labels[:, np.argmin(labels.sum(0) + 1000 * (labels.sum(0) < 2))]
    if alone.sum() > 1 and not (labels.sum(0) == 1).any():
        # The rarest label is on both sides; the only photo with a label is trained on, whatever else it has.
        assert 0 < (alone & chosen).sum() < alone.sum()
    assert abs(chosen.sum() - 0.2 * len(labels)) <= 1 + labels.shape[1]


def test_copies_stay_together_and_contradictions_in_training() -> None:
    contents = [bytes([number // 2]) * 16 for number in range(40)]
    labels = np.array([[number // 2 % 2] for number in range(40)], np.bool_)
    labels[5] = ~labels[5]
    chosen = split_by_labels(contents, labels, ~labels, 0.5, 0)
    assert (chosen[::2] == chosen[1::2]).all()
    assert not chosen[4:6].any()
    assert 15 <= chosen.sum() <= 25
    # What is unknown of a copy contradicts nothing.
    unknown = np.zeros_like(labels)
    unknown[5] = True
    known = split_by_labels(contents, labels & ~unknown, ~labels & ~unknown, 0.5, 0)
    assert (known[::2] == known[1::2]).all()
    assert any(split_by_labels(contents, labels & ~unknown, ~labels & ~unknown, 0.5, seed)[4] for seed in range(8))


def test_a_rare_label_of_copies_is_on_both_sides() -> None:
    """Two copies of each picture: the smallest part that can be held out is two photos."""
    contents = [bytes([number // 2]) * 16 for number in range(80)]
    labels = np.array([[number < 8] for number in range(80)], np.bool_)
    for seed in range(5):
        chosen = split_by_labels(contents, labels, ~labels, 0.1, seed)
        assert 0 < (chosen & labels[:, 0]).sum() < 8


def test_a_table_in_parquet_says_what_one_in_csv_says(table: Table, tmp_path: Path) -> None:
    """Truths, numbers, null, NaN and lists of names, in several groups of rows; and classes."""
    pyarrow = pytest.importorskip("pyarrow", reason="the extra hub is not installed")
    parquet = pytest.importorskip("pyarrow.parquet")
    data = table("file,red,round,split", "a.png,1,0,train", "b.png,,1,train", "c.png,0,,train", "d.png,1,1,val")
    columns = {
        "file": ["a.png", "b.png", "c.png", "d.png"],
        "red": [True, None, False, True],
        "round": [0.0, 1.0, float("nan"), 1.0],
        "split": ["train", "train", "train", "val"],
    }
    parquet.write_table(pyarrow.table(columns), tmp_path / "table.parquet", row_group_size=3)
    assert task_of(tmp_path / "table.parquet").name == "attributes"
    assert _said(tmp_path / "table.parquet") == _said(data)
    assert open_dataset(tmp_path / "table.parquet").validation.files == ("d.png",)
    lists = {"file": columns["file"], "label": [["red", "round"], ["round"], [], None]}
    parquet.write_table(pyarrow.table(lists), tmp_path / "lists.parquet")
    found = _said(tmp_path / "lists.parquet")
    assert found == {"a.png": "red;round", "b.png": "round", "c.png": "-", "d.png": "?"}
    classes = {"image": columns["file"], "label": ["x", "y", "x", "y"]}
    parquet.write_table(pyarrow.table(classes), tmp_path / "classes.parquet")
    assert task_of(tmp_path / "classes.parquet").name == "classification"
    assert _said(tmp_path / "classes.parquet") == {"a.png": "x", "b.png": "y", "c.png": "x", "d.png": "y"}
    parquet.write_table(pyarrow.table({**columns, "file": [""] + ["gone.png"] * 3}), tmp_path / "table.parquet")
    with pytest.raises(DataError, match=r"table\.parquet line 3: gone\.png does not exist"):
        open_dataset(tmp_path / "table.parquet")


def test_packed_attributes_are_the_same_in_shards(table: Table, tmp_path: Path) -> None:
    data = table("file,red,round,split", "a.png,1,0,train", "b.png,,1,train", "c.png,0,,train", "d.png,1,1,val")
    packed = pack(data, task_of(data), tmp_path / "shards")
    assert packed.photos == 4
    assert task_of(tmp_path / "shards").name == "attributes"
    dataset = open_dataset(tmp_path / "shards")
    assert dataset.classes == ("red", "round")
    assert sorted(_said(tmp_path / "shards").values()) == sorted(_said(data).values())
    assert (len(dataset.train), len(dataset.validation)) == (3, 1)
    assert dataset.validation.read(0) == (tmp_path / "d.png").read_bytes()
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("first,second,same\na.png,b.png,1\na.png,c.png,0\n")
    with pytest.raises(DataError, match=r"cannot be packed|pairs"):
        pack(pairs, task_of(pairs), tmp_path / "others")
