"""Files appear whole, with the permissions that the user's umask leaves, whatever other threads do meanwhile."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mobilenet.errors import StorageError
from mobilenet.files import atomic_path, atomic_write, locked, locked_shared


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


def _tries(path: Path, how: str) -> str:
    """What another process comes to that locks the same path."""
    script = f"""
import sys
from pathlib import Path
from mobilenet.files import locked, locked_shared
try:
    with {how}(Path(sys.argv[1])):
        print("held")
except BlockingIOError:
    print("taken")
"""
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_one_process_holds_a_file_or_a_folder_alone(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "lock"):
        with locked(path):
            assert _tries(path, "locked") == "taken"
        assert _tries(path, "locked") == "held"
    assert (tmp_path / "lock").is_file()


def test_many_processes_share_what_none_of_them_holds_alone(tmp_path: Path) -> None:
    with locked_shared(tmp_path / "lock"):
        assert _tries(tmp_path / "lock", "locked_shared") == "held"
        assert _tries(tmp_path / "lock", "locked") == "taken"


def test_a_lock_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    with (
        pytest.raises(StorageError, match=r"^cannot write .*gone/lock: no such file"),
        locked(tmp_path / "gone" / "lock"),
    ):
        pytest.fail("it was held")
