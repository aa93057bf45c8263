"""Shards as other tools write them, and damaged ones."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilenet.datasets import open_photos, photo_reader
from mobilenet.datasets.cache import load as cache
from mobilenet.datasets.check.check import check
from mobilenet.errors import DataError, ImageError
from mobilenet.model.vocabulary import Vocabulary
from mobilenet.tasks import open_dataset
from mobilenet.tasks.classification import Classification


def _png(number: int) -> bytes:
    noise = np.random.default_rng(number).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "PNG")
    return buffer.getvalue()


def _tar(path: Path, members: dict[str, bytes], form: int = tarfile.PAX_FORMAT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=form) as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def _numbered(first: int, count: int) -> dict[str, bytes]:
    """As webdataset's own examples are: a photo and the number of its class."""
    samples = range(first, first + count)
    return {name: data for n in samples for name, data in ((f"{n:04}.png", _png(n)), (f"{n:04}.cls", b"%d" % (n % 2)))}


def test_numbers_of_classes_with_and_without_their_names(tmp_path: Path) -> None:
    _tar(tmp_path / "a" / "x-0.tar", _numbered(0, 10))
    assert open_dataset(tmp_path / "a").classes == ("0", "1")
    (tmp_path / "a" / "classes.txt").write_text("cat\ndog\n")
    dataset = open_dataset(tmp_path / "a")
    assert dataset.classes == ("cat", "dog")
    assert dataset.split == "made: 0.1 of each class by content, seed 0"
    assert sorted(dataset.train.files + dataset.validation.files)[0] == "x-0.tar/0000.png"
    index = dataset.train.files.index("x-0.tar/0003.png")
    assert (dataset.train.read(index), dataset.classes[dataset.train.targets.numbers[index]]) == (_png(3), "dog")


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_tar_of_folders_is_their_tree(tmp_path: Path, form: int) -> None:
    long = "b/" + "x" * 90 + "/" + "y" * 140 + ".PNG"
    photos = {f"{name}/{n}.png": _png(n) for n, name in enumerate("aabb")} | ({long: _png(9)} if form else {})
    others = {"a/notes.txt": b"x", ".hidden.png": b"x", "a/._0.png": b"x", "loose.png": _png(7)}
    _tar(tmp_path / "photos.tar", photos | others, form)
    dataset = open_dataset(tmp_path / "photos.tar")
    assert dataset.classes == ("a", "b") + (("b/" + "x" * 90,) if form else ())
    assert len(dataset.train) + len(dataset.validation) == len(photos)
    assert dataset.notes == (
        f"{tmp_path / 'photos.tar'}: 1 file is not read: 1 .txt",
        f"{tmp_path / 'photos.tar'}: photos without a class are not used: 1",
    )


def test_a_json_member_goes_before_the_number(tmp_path: Path) -> None:
    about = json.dumps({"label": "ape", "file": "zoo/ape.png"}).encode()
    members = {"0.png": _png(0), "0.cls": b"5", "0.json": about, "1.png": _png(1), "1.cls": b"bee", "1.json": b"[1"}
    _tar(tmp_path / "train-0.tar", members)
    _tar(tmp_path / "val-0.tar", {"9.png": _png(9), "9.json": b'{"label": "bee"}'})
    dataset = open_dataset(tmp_path)
    assert (dataset.classes, dataset.split) == (("ape", "bee"), "given: val/")
    assert dataset.train.files == ("train-0.tar/1.png", "zoo/ape.png")
    assert open_photos(tmp_path, Classification(), Vocabulary(("bee",))).files == ("val-0.tar/9.png",)


def test_two_members_of_one_name_are_two_photos(tmp_path: Path) -> None:
    same = json.dumps({"label": "a", "file": "same.png"}).encode()
    members = {"0.png": _png(0), "0.json": same, "1.png": _png(1), "1.json": same}
    _tar(tmp_path / "x" / "s.tar", members | _numbered(2, 2))
    _tar(tmp_path / "y" / "s.tar", _numbered(2, 2))
    dataset = open_dataset(tmp_path / "{x,y}" / "s.tar")
    files = dataset.train.files + dataset.validation.files
    assert len(set(files)) == 6
    reader = {file: dataset.train.members.read(file) for file in files if dataset.train.members}
    assert sorted(reader.values()) == sorted([*map(_png, (0, 1)), *map(_png, (2, 3)), *map(_png, (2, 3))])


def test_braces_and_what_is_missing(tmp_path: Path) -> None:
    for number in range(3):
        _tar(tmp_path / f"s-{number:03}.tar", _numbered(10 * number, 6))
    dataset = open_dataset(tmp_path / "s-{000..002}.tar")
    assert len(dataset.train) + len(dataset.validation) == 18
    with pytest.raises(DataError, match=r"cannot read .*s-003.tar: no such file"):
        open_dataset(tmp_path / "s-{000..003}.tar")
    with pytest.raises(DataError, match="more than 100,000 files; name fewer"):
        open_dataset(tmp_path / "s-{0..999999999}.tar")


def test_a_tar_beside_photos_in_folders_is_no_shard(tmp_path: Path) -> None:
    _tar(tmp_path / "backup.tar", _numbered(0, 4))
    for number in range(6):
        path = tmp_path / "cd"[number % 2] / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(_png(number))
    assert open_dataset(tmp_path).classes == ("c", "d")
    (tmp_path / "backup.tar").rename(tmp_path / "c" / "backup.tar")
    (tmp_path / "c").rename(tmp_path / "data")
    assert open_dataset(tmp_path).classes == ("d", "data")


def test_an_end_that_is_cut_off_and_a_damaged_header(tmp_path: Path) -> None:
    data = _tar(tmp_path / "s.tar", _numbered(0, 20)).read_bytes()
    for cut in (1, 511, 700, len(data) // 2 + 100):
        (tmp_path / "s.tar").write_bytes(data[:cut])
        with pytest.raises(DataError, match=r"s.tar is not a tar file, or is damaged: .*; pack or copy it again"):
            open_dataset(tmp_path)
    flipped = bytearray(data)
    flipped[20 * 512 + 3] ^= 1
    (tmp_path / "s.tar").write_bytes(flipped)
    with pytest.raises(DataError, match="not a tar file, or is damaged"):
        open_dataset(tmp_path)
    (tmp_path / "s.tar").write_bytes(b"")
    with pytest.raises(DataError, match="not a tar file, or is damaged"):
        open_dataset(tmp_path)


def test_no_flipped_bit_ends_in_anything_but_one_line(tmp_path: Path) -> None:
    data = _tar(tmp_path / "s.tar", _numbered(0, 6)).read_bytes()
    random = np.random.default_rng(0)
    for bit in random.integers(0, len(data) * 8, 150).tolist():
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        (tmp_path / "s.tar").write_bytes(flipped)
        try:
            dataset = open_dataset(tmp_path)
        except DataError:
            continue
        for index in range(len(dataset.train)):
            dataset.train.read(index)


def test_a_broken_photo_in_a_shard_is_named_and_left_out(tmp_path: Path) -> None:
    members = _numbered(0, 12) | {"bad.jpg": b"\xff\xd8\xff", "bad.cls": b"0", "none.png": b"", "none.cls": b"1"}
    _tar(tmp_path / "train-0.tar", members)
    _tar(tmp_path / "test-0.tar", _numbered(50, 4))
    dataset = open_dataset(tmp_path)
    cached = cache.load(dataset.train, 8, directory=tmp_path / "cache")
    expected = {
        "train-0.tar/bad.jpg": "truncated JPEG; copy or download it again",
        "train-0.tar/none.png": "empty file; copy or download it again",
    }
    assert {item.file: item.reason for item in cached.left_out} == expected
    found = check(tmp_path, Classification())
    assert {item.photo.file: item.reason for item in found.broken} == {f"train/{k}": v for k, v in expected.items()}


def test_a_shard_that_changes_is_read_anew(tmp_path: Path) -> None:
    _tar(tmp_path / "s.tar", _numbered(0, 8))
    before = open_dataset(tmp_path)
    cache.load(before.train, 8, directory=tmp_path / "cache")
    _tar(tmp_path / "s.tar", _numbered(100, 12))
    after = open_dataset(tmp_path)
    assert len(after.train) + len(after.validation) == 12
    cached = cache.load(after.train, 7, directory=tmp_path / "cache", max_bytes=0)
    index = after.train.files.index(cached.files[0])
    pixels = np.asarray(Image.open(io.BytesIO(after.train.read(index))).resize((7, 7), Image.Resampling.BILINEAR))
    np.testing.assert_allclose(cached.batch([0])[0].astype(int), pixels.astype(int), atol=1)


def test_photos_are_read_by_their_names_below_the_set_and_below_a_part(tmp_path: Path) -> None:
    _tar(tmp_path / "train-0.tar", _numbered(0, 4))
    _tar(tmp_path / "val-0.tar", _numbered(4, 4))
    assert photo_reader(tmp_path)("val/val-0.tar/0005.png") == _png(5)
    assert photo_reader(tmp_path / "val")("val-0.tar/0005.png") == _png(5)
    with pytest.raises(ImageError, match="is not in the shards"):
        photo_reader(tmp_path)("/etc/passwd")


def test_a_folder_of_both_kinds_and_a_name_that_is_nothing(tmp_path: Path) -> None:
    _tar(tmp_path / "s.tar", _numbered(0, 4))
    (tmp_path / "s.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"contains both .tar and .parquet files; give those of one kind"):
        open_dataset(tmp_path)
    (tmp_path / "s.zip").touch()
    with pytest.raises(DataError, match=r"not a folder, a .csv or .tsv file or shards \(.tar, .parquet\)"):
        open_dataset(tmp_path / "s.zip")
