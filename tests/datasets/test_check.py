"""Every fault that a data set can have is found, named, and can be left out; a sound one has none."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilenet.datasets import Exclusions
from mobilenet.datasets.cache import load as cache
from mobilenet.datasets.check.check import check, quick_check
from mobilenet.datasets.check.findings import Check
from mobilenet.errors import DataError
from mobilenet.tasks import open_dataset
from mobilenet.tasks.classification import Classification

Picture = Callable[[int], Image.Image]
Save = Callable[..., Path]


@pytest.fixture
def sound(tmp_path: Path, save: Save) -> Path:
    """A given split of two classes, 10 photos to train on and 2 to validate on in each."""
    for label, first in (("a", 0), ("b", 100)):
        for number in range(12):
            part = "train" if number < 10 else "validation"
            save(tmp_path / "data" / part / label / f"{number}.jpg", first + number, quality=90)
    return tmp_path / "data"


def _excluded(found: Check) -> Exclusions:
    return Exclusions(frozenset(name for name, _ in found.excluded()), Path("list"))


def test_a_sound_data_set(sound: Path) -> None:
    calls: list[tuple[str, int, int]] = []
    found = check(sound, Classification(), progress=lambda *call: calls.append(call))
    assert (found.faults(), found.remarks(), found.excluded(), found.copies) == ([], [], [], ())
    assert [(size.name, size.train, size.validation) for size in found.classes] == [("a", 10, 2), ("b", 10, 2)]
    assert (found.photos, found.split) == (24, "given: validation/")
    assert ("decoding", 24, 24) in calls
    assert calls[-1][0] == "comparing"
    document = json.loads(json.dumps(found.to_json()))
    assert document["sound"] is True
    assert document["imbalance"] is None


def test_copies_across_the_split(sound: Path, picture: Picture, save: Save) -> None:
    shutil.copy(sound / "train" / "a" / "3.jpg", sound / "validation" / "a" / "same.jpg")
    save(sound / "validation" / "b" / "smaller.png", picture(104).crop((6, 4, 196, 144)).resize((120, 90)))
    found = check(sound, Classification())
    assert found.faults() == ["2 pictures are on both sides of the split"]
    assert [([photo.file for photo in group.photos], group.exact) for group in found.leaks] == [
        (["train/a/3.jpg", "validation/a/same.jpg"], True),
        (["train/b/4.jpg", "validation/b/smaller.png"], False),
    ]
    assert found.excluded() == [
        ("train/a/3.jpg", "same picture as validation/a/same.jpg"),
        ("train/b/4.jpg", "same picture as validation/b/smaller.png"),
    ]
    assert not check(sound, Classification(), exclude=_excluded(found)).faults()


def test_two_labels(sound: Path) -> None:
    shutil.copy(sound / "train" / "a" / "3.jpg", sound / "train" / "b" / "wrong.jpg")
    found = check(sound, Classification())
    assert found.faults() == ["1 picture has two labels"]
    reason = "same picture, labelled a and b"
    assert found.excluded() == [("train/a/3.jpg", reason), ("train/b/wrong.jpg", reason)]
    assert not check(sound, Classification(), exclude=_excluded(found)).faults()


def test_files_that_cannot_be_read(sound: Path, save: Save) -> None:
    whole = (sound / "train" / "a" / "1.jpg").read_bytes()
    (sound / "train" / "a" / "half.jpg").write_bytes(whole[: len(whole) // 2])
    (sound / "train" / "b" / "nothing.jpg").touch()
    (sound / "validation" / "b" / "text.png").write_text("no picture")
    found = check(sound, Classification())
    assert [(item.photo.file, item.photo.split, item.reason) for item in found.broken] == [
        ("train/a/half.jpg", "train", "truncated JPEG; copy or download it again"),
        ("train/b/nothing.jpg", "train", "empty file; copy or download it again"),
        ("validation/b/text.png", "validation", "only 10 bytes, not a photo; copy or download it again"),
    ]
    assert found.faults() == ["3 files cannot be read"]
    assert not check(sound, Classification(), exclude=_excluded(found)).faults()


def test_what_is_worth_knowing(sound: Path, picture: Picture, save: Save) -> None:
    shutil.copy(sound / "train" / "a" / "0.jpg", sound / "train" / "a" / "again.jpg")
    for number in range(100):
        save(sound / "train" / "b" / f"more{number}.jpg", 500 + number)
    save(sound / "train" / "few" / "x.png", 700)
    save(sound / "train" / "few" / "X.png", 701)
    save(sound / "train" / "a" / "tiny.png", picture(702).resize((31, 40)))
    save(sound / "train" / "a" / "banner.png", picture(703).resize((300, 50)))
    save(sound / "train" / "a" / "mast.png", picture(704).resize((40, 300)))
    save(sound / "train" / "a" / "grey.png", Image.new("RGB", (64, 64), (90, 90, 90)))
    (sound / "train" / "empty").mkdir()
    found = check(sound, Classification())
    assert found.faults() == []
    assert found.remarks() == [
        "1 picture occurs more than once",
        "1 class has fewer than 10 photos",
        "1 folder has no photos",
        "4 photos have an odd size or one colour",
        "1 file name differs only in case",
        "the largest class has 55 times the photos of the smallest",
    ]
    assert {item.photo.file: (item.width, item.height, item.reason) for item in found.odd} == {
        "train/a/banner.png": (300, 50, "6 times wider than tall"),
        "train/a/grey.png": (64, 64, "one colour"),
        "train/a/mast.png": (40, 300, "8 times taller than wide"),
        "train/a/tiny.png": (31, 40, "smaller than 32 pixels"),
    }
    assert found.clashes == (("train/few/X.png", "train/few/x.png"),)
    assert found.empty == ("empty",)


def test_a_class_in_two_spellings_and_one_that_is_all_broken(sound: Path, save: Save) -> None:
    save(sound / "train" / "A" / "x.png", 700)
    (sound / "train" / "c").mkdir()
    (sound / "train" / "c" / "broken.jpg").touch()
    found = check(sound, Classification())
    assert found.faults() == [
        "1 file cannot be read",
        "1 class has no training photos",
        "1 class occurs in two spellings",
    ]
    assert (found.missing, found.same_names) == (("c",), (("A", "a"),))


def test_a_made_split_keeps_one_of_near_copies(tmp_path: Path, picture: Picture, save: Save) -> None:
    """Exact copies never lie on both sides there; near ones may, and which do depends on the seed."""
    for label, first in (("a", 0), ("b", 100)):
        for number in range(10):
            save(tmp_path / label / f"{number}.png", first + number)
            save(tmp_path / label / f"{number}.jpg", picture(first + number).resize((160, 120)))
    found = check(tmp_path, Classification())
    assert found.leaks
    assert len(found.copies) == 20
    left = check(tmp_path, Classification(), exclude=_excluded(found))
    assert (left.photos, left.copies) == (20, ())
    exact = tmp_path / "exact"
    for label in "ab":
        for path in (tmp_path / label).glob("*.png"):
            for copy in range(2):
                shutil.copy(path, save(exact / label / f"{path.stem}-{copy}.png", 0))
    found = check(exact, Classification())
    assert (len(found.repeats), found.leaks, found.excluded()) == (20, (), [])


def test_validation_from_elsewhere_and_csv(tmp_path: Path, save: Save) -> None:
    for number in range(4):
        save(tmp_path / "data" / "img" / f"{number}.png", number)
    table = tmp_path / "data" / "photos.csv"
    table.write_text("file_name,label\n" + "".join(f"img/{number}.png,{'ab'[number % 2]}\n" for number in range(4)))
    save(tmp_path / "other" / "a" / "copy.png", 2)
    found = check(table, Classification(), validation=tmp_path / "other")
    assert [photo.file for photo in found.leaks[0].photos] == ["img/2.png", f"{tmp_path}/other/a/copy.png"]
    assert not check(table, Classification(), validation=tmp_path / "other", exclude=_excluded(found)).leaks


def test_data_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        check(tmp_path / "gone", Classification())


def test_the_files_are_only_read(sound: Path) -> None:
    (sound / "train" / "a" / "broken.jpg").write_bytes(b"\xff\xd8")
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in sound.rglob("*") if path.is_file()}
    check(sound, Classification())
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in sound.rglob("*") if path.is_file()} == before


def _quick(data: Path) -> str | None:
    dataset = open_dataset(data)
    training, validation = (cache.load(photos, 32) for photos in (dataset.train, dataset.validation))
    return quick_check(dataset.vocabulary, training, validation)


def test_the_quick_check_knows_what_digests_tell(sound: Path, save: Save) -> None:
    assert _quick(sound) is None
    for number in (10, 11):
        shutil.copy(sound / "validation" / "a" / f"{number}.jpg", sound / "train" / "a" / f"leak{number}.jpg")
    shutil.copy(sound / "train" / "a" / "3.jpg", sound / "train" / "b" / "wrong.jpg")
    save(sound / "train" / "c" / "1.png", 900)
    for name in ("one.jpg", "two.jpg"):
        (sound / "train" / "c" / name).touch()
    expected = (
        "copies of training photos in the validation split: 2; pictures with two labels: 1; "
        "classes with fewer than 10 training photos: c (1)"
    )
    assert _quick(sound) == expected
    # the second time digests are remembered and not made
    assert _quick(sound) == expected


def test_cached_photos_know_their_digests(sound: Path) -> None:
    (sound / "train" / "a" / "00.jpg").touch()
    photos = open_dataset(sound).train
    for _ in range(2):
        cached = cache.load(photos, 32)
        assert len(np.unique(cached.digests)) == len(cached) == 20
