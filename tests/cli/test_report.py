"""`mobilenet report` as a user calls it."""

from pathlib import Path

import pytest

from mobilenet.cli.main import main


def test_it_writes_the_page_and_prints_its_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.json").write_text('{"data": {"root": "photos of mine"}}')
    assert main(["report", str(tmp_path)]) == 0
    path = Path(capsys.readouterr().out.removesuffix("\n"))
    assert path == tmp_path / "report.html"
    assert "<h1>photos of mine</h1>" in path.read_text("utf-8")


def test_a_folder_that_is_no_run_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("it has no config.json; give a folder written by mobilenet train")
