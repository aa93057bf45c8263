"""What `pack` writes, read back by the webdataset library, by tarfile, and by ourselves."""

import errno
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mobilenet.datasets import pack as pack_module
from mobilenet.datasets.cache import load as cache
from mobilenet.datasets.check.check import check
from mobilenet.datasets.exclusions import Exclusions
from mobilenet.datasets.pack import pack
from mobilenet.datasets.photos import Photos
from mobilenet.errors import ConfigError, DataError, StorageError
from mobilenet.images import ENDINGS
from mobilenet.tasks import open_dataset
from mobilenet.tasks.classification import Classification

Save = Callable[..., Path]


@pytest.fixture
def photos(tmp_path: Path, save: Save) -> Path:
    """Two classes below a parent that they share, with a split; names in two scripts and in upper case."""
    root = tmp_path / "photos"
    for number in range(24):
        part = "val" if number % 6 == 5 else "train"
        ending = ("jpg", "PNG", "webp", "bmp", "tif", "gif")[number % 6]
        save(root / part / "Zoo" / ("ape", "日本")[number // 12] / f"{number:02}.{ending}", number)
    return root


def _content(photos: Photos, classes: tuple[str, ...]) -> dict[str, tuple[str, bytes]]:
    return {file: (classes[photos.targets.numbers[i]], photos.read(i)) for i, file in enumerate(photos.files)}


def test_shards_hold_what_the_folder_holds(photos: Path, tmp_path: Path) -> None:
    packed = pack(photos, Classification(), tmp_path / "shards")
    assert packed.shards == ("train-000000.tar", "val-000000.tar")
    assert (packed.photos, packed.left_out) == (24, ())
    assert packed.bytes == sum((tmp_path / "shards" / name).stat().st_size for name in packed.shards)
    folder, shards = open_dataset(photos), open_dataset(tmp_path / "shards")
    assert (shards.classes, shards.split) == (folder.classes, folder.split)
    for part in ("train", "validation"):
        one, other = getattr(folder, part), getattr(shards, part)
        assert one.files == other.files
        np.testing.assert_array_equal(one.targets.numbers, other.targets.numbers)
        assert _content(one, folder.classes) == _content(other, shards.classes)
        np.testing.assert_array_equal(*(cache.load(p, 32).batch(range(len(p))) for p in (one, other)))


def test_the_webdataset_library_reads_them(photos: Path, tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset.tariterators", reason="the extra dev is not installed")
    packed = pack(photos, Classification(), tmp_path / "shards", shard_bytes=150_000)
    assert len(packed.shards) > 3
    found: dict[str, tuple[str, bytes]] = {}
    names = (tmp_path / "shards" / "classes.txt").read_text("utf-8").splitlines()
    for shard in (tmp_path / "shards").glob("train-*.tar"):
        with shard.open("rb") as file:
            opened = [{"url": str(shard), "stream": file}]
            for sample in webdataset.group_by_keys(webdataset.tar_file_expander(opened)):
                about = json.loads(sample["json"])
                photo = next(value for key, value in sample.items() if f".{key}" in ENDINGS)
                assert names[int(sample["cls"])] == about["label"]
                found[about["file"]] = (about["label"], photo)
    dataset = open_dataset(photos)
    assert found == _content(dataset.train, dataset.classes)


def test_no_shard_is_larger_than_it_may_be_but_by_one_photo(photos: Path, tmp_path: Path, save: Save) -> None:
    (photos / "train" / "Zoo" / "ape" / "large.bmp").write_bytes(
        save(tmp_path / "x.bmp", 99).read_bytes() + bytes(200_000)
    )
    packed = pack(photos, Classification(), tmp_path / "shards", shard_bytes=200_000)
    assert packed.photos == 25
    over = []
    for name in packed.shards:
        with tarfile.open(tmp_path / "shards" / name) as tar:
            photos_inside = sum(not m.name.endswith((".cls", ".json")) for m in tar.getmembers())
        if (tmp_path / "shards" / name).stat().st_size > 200_000:
            over.append(photos_inside)
    assert over == [1]
    assert len(packed.shards) < 25


def test_the_same_photos_give_the_same_bytes_in_an_order_of_the_seed(photos: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        pack(photos, Classification(), tmp_path / name, seed=seed)
    first, again, other = ((tmp_path / name / "train-000000.tar").read_bytes() for name in "abc")
    assert first == again
    assert first != other


def test_a_set_without_a_split_is_split_when_it_is_opened_as_the_folder_would_be(tmp_path: Path, save: Save) -> None:
    for number in range(40):
        save(tmp_path / "photos" / "ab"[number % 2] / f"{number}.png", number)
    assert pack(tmp_path / "photos", Classification(), tmp_path / "shards").shards == ("photos-000000.tar",)
    for seed in (0, 7):
        folder, shards = (open_dataset(tmp_path / name, seed=seed) for name in ("photos", "shards"))
        assert folder.validation.files == shards.validation.files
        assert folder.train.files == shards.train.files


def test_a_csv_file_with_photos_for_validation_from_elsewhere(photos: Path, tmp_path: Path) -> None:
    files = sorted((photos / "train").rglob("*.*"))
    rows = [f"{path.relative_to(tmp_path)},{path.parent.name}" for path in files]
    (tmp_path / "list.csv").write_text("\n".join(["file_name,label", *rows]), "utf-8")
    packed = pack(tmp_path / "list.csv", Classification(), tmp_path / "shards", validation=photos / "val" / "Zoo")
    assert packed.shards == ("train-000000.tar", "validation-000000.tar")
    csv = open_dataset(tmp_path / "list.csv", validation=photos / "val" / "Zoo")
    shards = open_dataset(tmp_path / "shards")
    assert shards.classes == csv.classes == ("ape", "日本")
    for part in ("train", "validation"):
        assert _content(getattr(shards, part), shards.classes) == _content(getattr(csv, part), csv.classes)


def test_broken_and_excluded_photos_stay_out(photos: Path, tmp_path: Path) -> None:
    (photos / "train" / "Zoo" / "ape" / "half.jpg").write_bytes(b"\xff\xd8\xff")
    (photos / "val" / "Zoo" / "ape" / "none.jpg").touch()
    excluded = Exclusions(frozenset({"train/Zoo/ape/00.jpg"}), Path("list"))
    packed = pack(photos, Classification(), tmp_path / "shards", exclude=excluded)
    assert packed.photos == 23
    assert sorted((item.file, item.reason) for item in packed.left_out) == [
        ("train/Zoo/ape/half.jpg", "truncated JPEG; copy or download it again"),
        ("val/Zoo/ape/none.jpg", "empty file; copy or download it again"),
    ]
    assert not check(tmp_path / "shards", Classification()).broken
    excluded = Exclusions(frozenset({"val/Zoo/ape/05.gif"}), Path("list"))
    assert len(open_dataset(tmp_path / "shards", exclude=excluded).validation) == 3


def test_a_check_of_shards_finds_what_a_check_of_the_folder_finds(photos: Path, tmp_path: Path) -> None:
    copied = photos / "train" / "Zoo" / "ape" / "01.PNG"
    (photos / "val" / "Zoo" / "日本" / "copy.png").write_bytes(copied.read_bytes())
    pack(photos, Classification(), tmp_path / "shards")
    folder, shards = (check(tmp_path / name, Classification()) for name in ("photos", "shards"))
    assert folder.faults() == shards.faults() == ["1 picture is on both sides of the split", "1 picture has two labels"]
    assert [group.photos for group in folder.copies] == [group.photos for group in shards.copies]
    assert folder.classes == shards.classes


def test_shards_can_be_packed_again(photos: Path, tmp_path: Path) -> None:
    pack(photos, Classification(), tmp_path / "large")
    packed = pack(tmp_path / "large", Classification(), tmp_path / "small", shard_bytes=100_000)
    assert len(packed.shards) > 5
    large, small = (open_dataset(tmp_path / name) for name in ("large", "small"))
    assert _content(large.train, large.classes) == _content(small.train, small.classes)


def test_names_that_nobody_expects(tmp_path: Path, save: Save) -> None:
    names = [os.fsdecode(name) for name in (b"new\nline", b"caf\xe9", b"'a' \"b\"", b"  ")]
    for number in range(16):
        save(tmp_path / "photos" / names[number % 4] / f"{names[number // 4]}.png", number)
    pack(tmp_path / "photos", Classification(), tmp_path / "shards")
    folder, shards = (open_dataset(tmp_path / name) for name in ("photos", "shards"))
    assert shards.classes == folder.classes
    assert _content(shards.train, shards.classes) == _content(folder.train, folder.classes)
    assert len((tmp_path / "shards" / "classes.txt").read_bytes().split(b"\n")) == 5


def test_what_is_refused(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="shards of 10 bytes are too small; use 100,000 or more"):
        pack(photos, Classification(), tmp_path / "shards", shard_bytes=10)
    with pytest.raises(ConfigError, match="be written to disk, not to s3://bucket/x; choose another --out, and copy"):
        pack(photos, Classification(), Path("s3://bucket/x"))
    with pytest.raises(StorageError, match="photos already exists; choose another --out"):
        pack(photos, Classification(), photos)
    with pytest.raises(DataError, match="does not exist"):
        pack(tmp_path / "nothing", Classification(), tmp_path / "shards")
    for path in photos.rglob("*.*"):
        path.write_bytes(b"x")
    with pytest.raises(DataError, match=r"none of the 24 photos in .* can be decoded"):
        pack(photos, Classification(), tmp_path / "shards")
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_a_full_disk_leaves_nothing_behind(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tarfile.TarFile, "addfile", full)
    with pytest.raises(StorageError, match="shards: no space left on device; free some space and run again"):
        pack(photos, Classification(), tmp_path / "shards")
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_a_second_process_is_told_and_the_rest_of_a_killed_one_goes(photos: Path, tmp_path: Path) -> None:
    debris = tmp_path / ".shards.part"
    debris.mkdir()
    (debris / "train-000099.tar").write_bytes(b"x")
    with (
        pack_module._locked(debris, tmp_path / "shards"),
        pytest.raises(StorageError, match="another process is writing"),
    ):
        pack(photos, Classification(), tmp_path / "shards")
    assert debris.is_dir()
    pack(photos, Classification(), tmp_path / "shards")
    assert sorted(path.name for path in (tmp_path / "shards").iterdir()) == [
        "classes.txt",
        "train-000000.tar",
        "val-000000.tar",
    ]
    assert not debris.exists()
