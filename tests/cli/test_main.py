"""The frame of the command line: help, versions, errors in one line, exit codes, pipes."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

from mobilenet import __version__
from mobilenet.cli import cost as cost_command
from mobilenet.cli.main import COMMANDS, cli, main
from mobilenet.errors import DataError, GateError

_MOBILENET = [sys.executable, "-c", "import sys; from mobilenet.cli.main import main; sys.exit(main())"]


def _fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Make `mobilenet cost` raise `error`."""

    def callback() -> None:
        raise error

    monkeypatch.setattr(cost_command, "command", click.Command("cost", callback=callback))


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_help_lists_every_command(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("Usage: mobilenet ")
    assert all(f"  {name} " in printed for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_exists_and_explains_itself(capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert main([name, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"Usage: mobilenet {name} ")


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"mobilenet {__version__}\n"


def test_windows_is_refused_in_one_line() -> None:
    """There, neither the modules of POSIX nor what imports them can be imported."""
    script = (
        "import sys; sys.modules |= dict.fromkeys(('fcntl', 'resource')); from mobilenet.cli import main;"
        "sys.platform = 'win32'; sys.exit(main.main(sys.argv[1:]))"
    )
    for words in (["train", "photos"], ["--help"]):
        done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, check=False)
        line = "Windows is not supported; use Linux, macOS, or the Windows Subsystem for Linux (WSL)"
        assert (done.returncode, done.stdout, done.stderr) == (2, "", f"mobilenet: {line}\n")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["cots"], "unknown command 'cots'; did you mean cost? (see mobilenet --help)"),
        (["zzz"], f"unknown command 'zzz'; choose from {', '.join(COMMANDS)} (see mobilenet --help)"),
        (["--quick"], "No such option '--quick' (see mobilenet --help)"),
        (["cost", "extra"], "Got unexpected extra argument (extra) (see mobilenet cost --help)"),
    ],
)
def test_wrong_usage_is_one_line(capsys: pytest.CaptureFixture[str], words: list[str], line: str) -> None:
    assert main(words) == 2
    assert capsys.readouterr().err == f"mobilenet: {line}\n"


@pytest.mark.parametrize(
    ("error", "exit_code", "line"),
    [
        (DataError("no photos in\n/there"), 2, "no photos in /there"),
        (GateError("accuracy 0.5 is below 0.8"), 1, "accuracy 0.5 is below 0.8"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (click.Abort(), 130, "interrupted"),
        (
            OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "run/model"),
            2,
            "run/model: no space left on device; free some space and run again",
        ),
        (PermissionError(errno.EACCES, "Permission denied", "run/log"), 2, "run/log: permission denied"),
        (
            ModuleNotFoundError("No module named 'torch'", name="torch.nn"),
            2,
            "this needs torch; pip install 'mobilenet[train]'",
        ),
    ],
)
def test_an_error_is_one_line_and_its_exit_code(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    exit_code: int,
    line: str,
) -> None:
    _fail_with(monkeypatch, error)
    assert main(["cost"]) == exit_code
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", f"mobilenet: {line}\n")


def test_debug_shows_the_traceback_as_well(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    _fail_with(monkeypatch, DataError("no photos"))
    assert main(["--debug", "cost"]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("Traceback")
    assert printed.endswith("\nmobilenet: no photos\n")


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a bug"),
        RuntimeError("a bug"),
        KeyError("a bug"),
        ModuleNotFoundError("No module named 'nope'", name="nope"),
    ],
)
def test_a_bug_is_not_dressed_up(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    _fail_with(monkeypatch, error)
    with pytest.raises(type(error)):
        main(["cost"])


def test_a_reader_that_goes_away_leaves_no_complaint() -> None:
    for setting in ("", "1"):
        environment = {**os.environ, "PYTHONUNBUFFERED": setting}
        reading, writing = os.pipe()
        os.close(reading)
        words = [*_MOBILENET, "cost", "--by-layer"]
        done = subprocess.run(words, stdout=writing, stderr=subprocess.PIPE, env=environment, check=False)
        os.close(writing)
        assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux alone has a device that is always full")
@pytest.mark.parametrize("words", [["cost"], ["cost", "--json"], ["--help"]])
def test_a_full_disk_is_one_line(words: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([*_MOBILENET, *words], stdout=full, stderr=subprocess.PIPE, check=False)
    line = b"mobilenet: no space left on device; free some space and run again\n"
    assert (done.returncode, done.stderr) == (2, line)


def test_a_closed_stdout_is_no_error() -> None:
    done = subprocess.run(["/bin/sh", "-c", '"$@" >&-', "sh", *_MOBILENET, "cost"], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_characters_that_the_terminal_lacks_are_escaped() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = subprocess.run([*_MOBILENET, "cost", "--arch", "木"], capture_output=True, env=environment, check=False)
    assert done.returncode == 2
    assert rb"unknown architecture '\u6728'" in done.stderr


def test_an_interrupt_from_outside_is_one_line() -> None:
    script = (
        "import signal, sys, time, click\nfrom mobilenet.cli import cost, main\n"
        # A shell that starts tests in the background has them ignore Ctrl-C.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "cost.command = click.Command('cost', callback=lambda: (print('ready', flush=True), time.sleep(60)))\n"
        "sys.exit(main.main(['cost']))\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=30)
    assert (process.returncode, complaint) == (130, b"mobilenet: interrupted\n")


def test_the_group_is_a_click_group_for_shell_completion() -> None:
    assert cli.list_commands(click.Context(cli)) == list(COMMANDS)
