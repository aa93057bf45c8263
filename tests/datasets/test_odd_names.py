"""Names and things that nobody expects in a folder of photos: they work or are one clear line, and never a hang."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from mobilenet.datasets import read_exclusions
from mobilenet.datasets.cache import load as cache
from mobilenet.datasets.check.check import check
from mobilenet.datasets.exclusions import write_exclusions
from mobilenet.errors import ImageError
from mobilenet.images import read_photo
from mobilenet.tasks import open_dataset
from mobilenet.tasks.classification import Classification

Save = Callable[..., Path]

_NAMES = (b"new\nline", b"'quotes' \"both\"", b"caf\xe9", b"$(echo) `x`; #", b" spaces ", b"-rf", "日本".encode())


@pytest.fixture
def odd(tmp_path: Path, save: Save) -> Path:
    """One class of each odd name, 3 photos of odd names in each; and everything that is no photo but is called one."""
    root = tmp_path / "data"
    for label, name in enumerate(_NAMES):
        folder = root / os.fsdecode(name)
        for number in range(3):
            save(folder / f"{os.fsdecode(_NAMES[number])}{label}.{'JPG' if number else 'PnG'}", 10 * label + number)
        (folder / ".DS_Store").write_bytes(b"\0")
        (folder / "._x.jpg").write_bytes(b"\0")
    plain = root / "日本"
    os.mkfifo(plain / "pipe.jpg")
    (plain / "gone.jpg").symlink_to("nowhere.jpg")
    (plain / "self.jpg").symlink_to("self.jpg")
    (plain / "loop").symlink_to(root)
    (plain / "circle").symlink_to("circle")
    (plain / "folder.jpg").mkdir()
    (plain / "empty.jpg").touch()
    (plain / "null.jpg").symlink_to(os.devnull)
    return root


_LEFT_OUT = {
    "empty.jpg": "empty file; copy or download it again",
    "gone.jpg": "cannot be read: no such file or directory",
    "null.jpg": "not a regular file",
    "pipe.jpg": "not a regular file",
    "self.jpg": "cannot be read: too many levels of symbolic links",
}


def test_training_photos_of_odd_names(odd: Path) -> None:
    dataset = open_dataset(odd)
    assert {os.fsencode(name) for name in dataset.classes} == set(_NAMES)
    cached = [cache.load(photos, 32) for photos in (dataset.train, dataset.validation)]
    assert sum(map(len, cached)) == 3 * len(_NAMES)
    left_out = {item.file.rpartition("/")[2]: item.reason for part in cached for item in part.left_out}
    assert left_out == _LEFT_OUT
    assert dataset.notes == (f"{odd}: folders without photos are not classes: 日本/folder.jpg",)


def test_a_check_of_odd_names_and_its_list(odd: Path, tmp_path: Path) -> None:
    found = check(odd, Classification())
    assert {item.photo.file.rpartition("/")[2]: item.reason for item in found.broken} == _LEFT_OUT
    assert sum(size.train + size.validation for size in found.classes) == 3 * len(_NAMES)
    write_exclusions(tmp_path / "list", [(photo.files[0], "try") for photo in (open_dataset(odd).train,)])
    assert len(read_exclusions(tmp_path / "list").names) == 1
    write_exclusions(tmp_path / "list", found.excluded())
    assert not check(odd, Classification(), exclude=read_exclusions(tmp_path / "list")).broken


def test_every_odd_name_can_be_left_out(odd: Path, tmp_path: Path) -> None:
    dataset = open_dataset(odd)
    every = sorted(dataset.train.files + dataset.validation.files)
    gone = [file for file in every if not file.startswith("日本/")]
    write_exclusions(tmp_path / "list", [(file, "all but one class") for file in gone[1:]])
    left = open_dataset(odd, exclude=read_exclusions(tmp_path / "list"))
    assert sorted(left.train.files + left.validation.files) == sorted(set(every) - set(gone[1:]))


def test_a_socket_is_no_photo(tmp_path: Path, save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        save(tmp_path / "ab"[number % 2] / f"{number}.png", number)
    monkeypatch.chdir(tmp_path / "a")  # a socket's whole name must be short
    with socket.socket(socket.AF_UNIX) as connection:
        connection.bind("socket.jpg")
        found = check(tmp_path, Classification())
    assert [(item.photo.file, item.reason) for item in found.broken] == [("a/socket.jpg", "not a regular file")]


def test_a_pipe_in_the_place_of_a_photo_does_not_block(tmp_path: Path) -> None:
    """Between the look at a file and its opening: `size` says that it was looked at."""
    os.mkfifo(tmp_path / "pipe.jpg")
    assert read_photo(tmp_path / "pipe.jpg", size=10) == b""
    with pytest.raises(ImageError, match="not a regular file"):
        read_photo(tmp_path / "pipe.jpg")


@pytest.mark.parametrize("believed", [0, 5, 100, 300_000])
def test_a_file_that_grew_or_shrank_is_read_whole(tmp_path: Path, believed: int) -> None:
    data = bytes(range(256)) * 1000
    (tmp_path / "a.jpg").write_bytes(data)
    assert read_photo(tmp_path / "a.jpg", size=believed) == data


def test_a_class_with_one_photo(tmp_path: Path, save: Save) -> None:
    save(tmp_path / "single" / "1.png", 1)
    for number in range(5):
        save(tmp_path / "many" / f"{number}.png", 10 + number)
    found = check(tmp_path, Classification())
    assert [(size.name, size.train, size.validation) for size in found.classes] == [("many", 4, 1), ("single", 1, 0)]
    assert found.faults() == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read(tmp_path: Path, save: Save) -> None:
    for number in range(6):
        save(tmp_path / "ab"[number % 2] / f"{number}.png", number)
    (tmp_path / "a" / "2.png").chmod(0)
    assert [item.reason for item in check(tmp_path, Classification()).broken] == ["cannot be read: permission denied"]
