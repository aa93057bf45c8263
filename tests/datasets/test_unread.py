"""Files that are not photos are counted by their ending, and photos without an ending are known by their bytes."""

import io
import os
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from mobilenet.cli.main import main
from mobilenet.datasets import find_photos
from mobilenet.datasets.sources.endings import HEAD_BYTES, ending_of, format_of, unread_line
from mobilenet.datasets.sources.folders import list_tree
from mobilenet.errors import DataError
from mobilenet.tasks import open_dataset

_HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
_AVIF = b"\0\0\0\x1cftypavif\0\0\0\0"
_FORMATS = {"JPEG": ".jpg", "PNG": ".png", "GIF": ".gif", "BMP": ".bmp", "TIFF": ".tif", "WEBP": ".webp"}


def _bytes(number: int, form: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 32), (number, 90, 9)).save(buffer, form)
    return buffer.getvalue()


def _write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """12 photos in each of two classes."""
    for number in range(24):
        _write(tmp_path / "photos" / "ab"[number % 2] / f"{number}.png", _bytes(number))
    return tmp_path / "photos"


@pytest.mark.parametrize("form", list(_FORMATS))
def test_a_photo_is_known_by_its_first_bytes(form: str) -> None:
    assert format_of(_bytes(1, form)[:HEAD_BYTES]) == _FORMATS[form]


@pytest.mark.parametrize(
    ("head", "ending"),
    [
        (_HEIC, ".heic"),
        (_AVIF, ".avif"),
        (b"", ""),
        (b"BM is a text", ""),
        (b"RIFF1234WAVE", ""),
        (b"II*", ""),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", ".heic"),
    ],
)
def test_other_first_bytes(head: bytes, ending: str) -> None:
    assert format_of(head[:HEAD_BYTES]) == ending


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("a/1.JPG", ".jpg"),
        ("56", ""),
        ("a.b/56", ""),
        ("St. Bernard 12", ""),
        ("IMG_1.HEIC", ".heic"),
        ("1.tar.gz", ".gz"),
        (".png", ""),
        ("x.", ""),
    ],
)
def test_endings(name: str, ending: str) -> None:
    assert ending_of(name) == ending


def test_photos_without_an_ending_are_photos(photos: Path) -> None:
    for number, form in enumerate(_FORMATS):
        _write(photos / "a" / f"St. Bernard {number}", _bytes(100 + number, form))
    _write(photos / "b" / "README", b"about these photos")
    _write(photos / "b" / "IMG_7", _HEIC)
    os.mkfifo(photos / "b" / "pipe")
    (photos / "b" / "gone").symlink_to("nowhere")
    dataset = open_dataset(photos)
    assert len(dataset.train) + len(dataset.validation) == 24 + len(_FORMATS)
    assert dataset.unread == {"": 1, ".heic": 1}


def test_what_is_not_read_is_counted_by_ending(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(30):
        _write(photos / "a" / f"IMG_{number}.HEIC", _HEIC)
    for name in ("1.avif", "x.txt", "labels.json", "Thumbs.db", "desktop.ini", ".hidden"):
        _write(photos / "b" / name, _AVIF)
    line = (
        "33 files are not read: 30 .heic, 1 .avif, 1 .json, 1 .txt; convert HEIC and AVIF photos to JPEG first, for "
        "example with ImageMagick: magick mogrify -format jpg FILES"
    )
    assert open_dataset(photos).notes == (f"{photos}: {line}",)
    assert main(["check", str(photos)]) == 1
    out, err = capsys.readouterr()
    assert err.splitlines() == [
        f"mobilenet: {photos}: {line}",
        "mobilenet: 31 photos are in formats that are not read (.avif, .heic)",
    ]
    assert "2 files are not photos" in out.splitlines()


def test_files_that_are_no_photos_are_no_fault(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _write(photos / "a" / "notes.txt", b"x")
    assert main(["check", str(photos)]) == 0
    assert "1 file is not a photo" in capsys.readouterr().out.splitlines()


def test_where_nothing_can_be_read_the_remedy_is_named(tmp_path: Path) -> None:
    for name in "ab":
        _write(tmp_path / "photos" / name / "1.heic", _HEIC)
    with pytest.raises(
        DataError, match=r"photos contains no photos that can be used; 2 files are not read: 2 .heic; c"
    ):
        open_dataset(tmp_path / "photos")
    with pytest.raises(
        DataError, match=r"photos contains no photos; their names must .*; 2 files are not read: 2 .heic"
    ):
        find_photos(tmp_path / "photos")


def test_find_photos_tells_what_it_passes_over(photos: Path) -> None:
    told: list[str] = []
    find_photos(photos, told.append)
    assert told == []
    _write(photos / "a" / "1.heic", _HEIC)
    assert len(find_photos(photos, told.append)) == 24
    assert told == [f"{photos}: {unread_line({'.heic': 1})}"]


def test_what_macs_add_to_archives_is_skipped(photos: Path) -> None:
    _write(photos / "__MACOSX" / "a" / "1.png", b"x")
    assert list_tree(photos).empty == ()
    assert open_dataset(photos).classes == ("a", "b")


def test_members_of_shards(tmp_path: Path) -> None:
    members = {f"{'ab'[number % 2]}/{number}": _bytes(number) for number in range(12)}
    members |= {"a/70.png": _bytes(70), "a/70.txt": b"a caption"}
    members |= {"b/8.heic": _HEIC, "b/90": _AVIF, "b/LICENSE": b"free"}
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    dataset = open_dataset(tmp_path / "x.tar")
    assert len(dataset.train) + len(dataset.validation) == 13
    assert dataset.unread == {"": 1, ".avif": 1, ".heic": 1}
    assert dataset.notes[0].startswith(
        f"{tmp_path / 'x.tar'}: 3 files are not read: 1 without an ending, 1 .avif, 1 .heic"
    )


def test_many_endings_stay_one_line() -> None:
    line = unread_line({f".x{number}": number + 1 for number in range(10)})
    assert line == "55 files are not read: 10 .x9, 9 .x8, 8 .x7, 7 .x6, 6 .x5, 5 .x4, 10 others"
