"""`mobilenet pack` as a user calls it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mobilenet.cli.main import main

Paint = Callable[..., Path]


@pytest.fixture
def photos(tmp_path: Path, paint: Paint) -> Path:
    """Ten photos of two classes, and one that is broken."""
    for number in range(10):
        paint(tmp_path / "photos" / ("red", "blue")[number % 2] / f"{number}.png", ("red", "blue")[number % 2], number)
    (tmp_path / "photos" / "red" / "half\n.jpg").write_bytes(b"\xff\xd8\xff")
    return tmp_path / "photos"


def test_what_is_said(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pack", str(photos), "--out", str(tmp_path / "shards")]) == 0
    printed = capsys.readouterr()
    size = (tmp_path / "shards" / "photos-000000.tar").stat().st_size
    assert printed.out == f"10 photos in 1 shard, {size:,} bytes\ntrain with: mobilenet train {tmp_path / 'shards'}\n"
    assert printed.err == ("mobilenet: left out red/half\\n.jpg: truncated JPEG; copy or download it again\n")


def test_json_is_one_document(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pack", str(photos), "--out", str(tmp_path / "shards"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["photos"], document["shards"]) == (10, ["photos-000000.tar"])
    assert [item["file"] for item in document["left_out"]] == ["red/half\n.jpg"]


def test_wrong_usage_is_one_line(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "shards")
    for arguments, message in (
        ([str(photos)], "Missing option '--out'"),
        ([str(photos), "--out", str(photos)], "already exists; choose another --out"),
        ([str(photos), "--out", out, "--shard-size", "1"], "shards of 1 bytes are too small; use 100,000 or more"),
        ([str(photos / "red"), "--out", out], "put the photos of each class in a folder of its own"),
        ([str(tmp_path / "x.tar"), "--out", out], "does not exist"),
    ):
        assert main(["pack", *arguments]) == 2
        printed = capsys.readouterr()
        assert (printed.out, printed.err.count("\n")) == ("", 1)
        assert message in printed.err
    assert not Path(out).exists()
