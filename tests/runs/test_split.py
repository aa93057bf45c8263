"""photos.jsonl, whole and damaged."""

import json
from pathlib import Path

import pytest

from mobilenet.errors import DataError
from mobilenet.runs.split import read_split

_A, _B, _C = (letter * 32 for letter in "abc")


def _write(folder: Path, *lines: object) -> Path:
    file = folder / "photos.jsonl"
    file.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return file


def test_who_trained_and_who_judges(tmp_path: Path) -> None:
    file = _write(
        tmp_path,
        ["train", "a.png", "x", _A],
        ["train", "b.png", "x", _B],
        ["validation", "copy of b.png", "x", _B],
        ["validation", "c.png", "y", _C],
    )
    split = read_split(file)
    assert split is not None
    digests = [bytes.fromhex(text) for text in (_C, _B, "d" * 32, _A)]
    assert (split.trained(digests), split.judges(digests)) == ([1, 3], [0])
    assert split.missing(digests) == ""
    assert split.missing(digests[1:]) == "1 of the 2 validation photos recorded by the run is missing"


def test_an_older_run_has_no_record(tmp_path: Path) -> None:
    assert read_split(tmp_path / "photos.jsonl") is None


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        '["train", "a.png", "x"]',
        ["test", "a.png", "x", _A],
        ["train", "a.png", "x", 7],
        "\x00",
        ["train", "a", "x", "ab"],
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, line: object) -> None:
    file = _write(tmp_path, ["train", "a.png", "x", _A], line)
    with pytest.raises(DataError, match=r"photos\.jsonl, line 2, is damaged, so the training photos are unknown"):
        read_split(file)


def test_an_empty_record_proves_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is damaged"):
        read_split(_write(tmp_path))
