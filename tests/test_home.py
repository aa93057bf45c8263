"""What a user id without a home folder and a name is told, by what Python itself raises there."""

import getpass
import os
import pwd
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from PIL import Image

from mobilenet.cli.main import cli, main
from mobilenet.datasets.cache import load as cache
from mobilenet.errors import ConfigError
from mobilenet.home import missing_home


@pytest.fixture
def nameless(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for a process under a user id that has no entry in /etc/passwd, with an empty environment."""

    def unknown(uid: int) -> object:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for name in ("HOME", "LOGNAME", "USER", "LNAME", "USERNAME", "XDG_CACHE_HOME", "MOBILENET_CACHE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("nameless")
@pytest.mark.parametrize(("look", "remedy"), [(Path.home, "set HOME to"), (getpass.getuser, "set USER to")])
def test_errors_of_libraries_are_recognised(
    look: Callable[[], object], remedy: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "get_command", lambda *_: click.Command("cost", callback=look))
    assert main(["cost"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"mobilenet: user {os.getuid()} has no ")
    assert remedy in line


@pytest.mark.parametrize(
    "error", [RuntimeError("a bug"), KeyError("a bug"), KeyError(3), RuntimeError(), OSError(2, "")]
)
def test_other_errors_are_not(error: Exception) -> None:
    assert missing_home(error) is None


@pytest.mark.usefixtures("nameless")
def test_the_cache_needs_a_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"has no home folder for the cache; set MOBILENET_CACHE to a folder for it$"):
        cache.default_directory()
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    with pytest.raises(ConfigError):
        cache.default_directory()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.default_directory() == tmp_path / "mobilenet"


@pytest.mark.usefixtures("nameless")
def test_a_check_is_one_line_or_works(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(20):
        path = tmp_path / "photos" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number * 12, 0, 0)).save(path)
    assert main(["check", str(tmp_path / "photos")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("set MOBILENET_CACHE to a folder for it")
    monkeypatch.setenv("MOBILENET_CACHE", str(tmp_path / "cache"))
    assert main(["check", str(tmp_path / "photos")]) in (0, 1)
    assert capsys.readouterr().out.startswith("20 files, 2 classes")
