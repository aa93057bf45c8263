"""config.json of old, odd and damaged runs."""

import os
from pathlib import Path

import pytest

from mobilenet.errors import DataError
from mobilenet.runs import RunFolder, open_run
from mobilenet.runs.config import read_config, write_config


def test_what_was_written_comes_back_also_names_that_are_not_utf8(tmp_path: Path) -> None:
    values = {"data": {"root": os.fsdecode(b"caf\xe9"), "classes": ["a"]}, "settings": {"seed": 5, "exclude": None}}
    write_config(RunFolder(tmp_path), values)
    config = read_config(tmp_path)
    assert config.values == values
    assert config.text("data", "root") == os.fsdecode(b"caf\xe9")
    assert config.number("settings", "seed") == 5
    assert config.path("settings", "exclude") is None


@pytest.mark.parametrize("value", [None, [], "x", 7, True])
def test_odd_values_read_as_absent(tmp_path: Path, value: object) -> None:
    write_config(RunFolder(tmp_path), {"data": value, "settings": {"seed": [value], "data": [value]}})
    config = read_config(tmp_path)
    assert (config.text("data", "root"), config.number("settings", "seed")) == (None, None)
    assert config.path("settings", "data") is None


@pytest.mark.parametrize("text", ["", "[]", "{", "\x00"])
def test_a_damaged_file_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(DataError, match=r"^cannot read .*config\.json: .*; the run is damaged: restore the file, or s"):
        read_config(tmp_path)


def test_a_folder_that_is_not_a_run_is_one_line(tmp_path: Path) -> None:
    message = rf"^{tmp_path} is not a run folder: it has no config\.json; give a folder written by mobilenet train$"
    with pytest.raises(DataError, match=message):
        open_run(tmp_path)
