"""One reader and one writer of metrics.jsonl."""

import json
from pathlib import Path

import pytest

from mobilenet.errors import DataError
from mobilenet.report.run_facts import read_run
from mobilenet.runs.metrics_log import read_metrics, write_metrics


def _log(folder: Path, text: str) -> Path:
    file = folder / "metrics.jsonl"
    file.write_text(text)
    return file


def test_what_was_written_comes_back(tmp_path: Path) -> None:
    lines = ({"epoch": 1, "top1": 0.5, "seconds": {"input": 1.5}}, {"epoch": 2, "top1": 0.75})
    write_metrics(tmp_path / "metrics.jsonl", lines)
    log = read_metrics(tmp_path / "metrics.jsonl")
    assert (log.lines, log.damaged, log.notes) == (lines, (), ())


def test_no_file_is_an_empty_log(tmp_path: Path) -> None:
    assert read_metrics(tmp_path / "metrics.jsonl").lines == ()


@pytest.mark.parametrize("rest", ['{"epoch": 2, "to', '{"epoch": 2, "top1": "\xff'])
def test_a_last_line_that_was_cut_off_is_dropped(tmp_path: Path, rest: str) -> None:
    log = read_metrics(_log(tmp_path, '{"epoch": 1}\n' + rest))
    assert (log.lines, log.notes) == (({"epoch": 1},), ())


def test_a_whole_last_line_counts_without_its_end(tmp_path: Path) -> None:
    assert read_metrics(_log(tmp_path, '{"epoch": 1}\n{"epoch": 2}')).lines == ({"epoch": 1}, {"epoch": 2})


@pytest.mark.parametrize("line", ["{", "[1]", '{"top1": 0.5}', '{"epoch": true}', "\x00\x00"])
def test_a_damaged_line_ends_nothing_and_is_reported(tmp_path: Path, line: str) -> None:
    file = _log(tmp_path, f'{{"epoch": 1}}\n{line}\n{{"epoch": 3}}\n')
    log = read_metrics(file)
    assert (log.lines, log.damaged) == (({"epoch": 1}, {"epoch": 3}), (2,))
    assert log.notes == (f"{file}: line 2 cannot be read and is ignored; restore the file, or resume the run",)


def test_a_damaged_last_line_that_is_whole_is_reported(tmp_path: Path) -> None:
    assert read_metrics(_log(tmp_path, '{"epoch": 1}\n{"epoch": 2,\n')).damaged == (2,)


def test_an_epoch_counts_once_as_it_was_written_last(tmp_path: Path) -> None:
    log = read_metrics(_log(tmp_path, '{"epoch": 2, "top1": 0}\n\n{"epoch": 1}\n{"epoch": 2, "top1": 1}\n'))
    assert log.lines == ({"epoch": 1}, {"epoch": 2, "top1": 1})


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    file = _log(tmp_path, "")
    monkeypatch.setattr(Path, "read_bytes", refused)
    with pytest.raises(DataError, match=r"cannot read .*metrics\.jsonl: permission denied; restore the file"):
        read_metrics(file)


def test_a_report_says_what_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({}))
    _log(tmp_path, '{"epoch": 1}\n{\n{"epoch": 3}\n')
    run = read_run(tmp_path)
    assert [line["epoch"] for line in run.epochs] == [1, 3]
    assert "line 2 cannot be read" in run.notes[0]
