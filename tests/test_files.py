"""Files appear whole, with the permissions that the user's umask leaves, whatever other threads do meanwhile."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from mobilenet.files import atomic_path, atomic_write


@pytest.fixture
def umask() -> Iterator[int]:
    """What others may not do and the group may only do in part."""
    before = os.umask(0o027)
    yield 0o027
    os.umask(before)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_has_the_permissions_that_the_umask_leaves(tmp_path: Path, umask: int) -> None:
    with atomic_write(tmp_path / "new.json") as file:
        file.write(b"{}")
        (part,) = tmp_path.iterdir()
        assert _mode(part) == 0o666 & ~umask
    assert _mode(tmp_path / "new.json") == 0o666 & ~umask
    assert (tmp_path / "new.json").read_bytes() == b"{}"


def test_a_file_that_is_replaced_gets_todays_permissions(tmp_path: Path, umask: int) -> None:
    (tmp_path / "old.json").write_bytes(b"old")
    (tmp_path / "old.json").chmod(0o777)
    with atomic_path(tmp_path / "old.json") as temporary:
        temporary.write_bytes(b"new")
    assert _mode(tmp_path / "old.json") == 0o666 & ~umask


def test_writing_never_touches_the_umask_of_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is one for all threads: while it is 0, whatever another thread creates may be written by everybody."""
    monkeypatch.setattr(os, "umask", lambda _: pytest.fail("the umask was set"))
    with atomic_write(tmp_path / "a") as file:
        file.write(b"a")
    assert (tmp_path / "a").read_bytes() == b"a"


def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path: Path) -> None:
    """The temporary name begins with the same characters and is no longer than 255 bytes, however wide those are."""
    for name in (255 * "a", 63 * "\N{SMILING FACE WITH SUNGLASSES}"):
        with atomic_write(tmp_path / name) as file:
            file.write(b"a")
        assert (tmp_path / name).is_file()
    assert len(list(tmp_path.iterdir())) == 2
