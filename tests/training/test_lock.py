"""One run folder, one process."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mobilenet.errors import ConfigError
from mobilenet.runs import RunFolder
from mobilenet.training.system.lock import lock_folder

_HOLD = """
import os, sys, time
from pathlib import Path
from mobilenet.runs import RunFolder
from mobilenet.training.system.lock import lock_folder
with lock_folder(Path(sys.argv[1])):
    print("held by", os.getpid(), flush=True)
    time.sleep(60)
"""


def _owner(process: "subprocess.Popen[str]") -> int:
    """The number that the process gives once it holds the lock."""
    said = []
    for line in process.stdout or ():
        said.append(line)
        if line.startswith("held by "):
            return int(line.split()[-1])
    pytest.fail(f"it ended before it held the lock: {''.join(said)}")


def test_a_second_process_is_told_who_is_there_and_a_dead_one_does_not_block(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "one"
    command = [sys.executable, "-c", _HOLD, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as other:
        owner = _owner(other)
        message = f"process {owner} is training in {folder}; wait for it"
        with pytest.raises(ConfigError, match=message), lock_folder(folder):
            pass
        os.kill(owner, signal.SIGKILL)
    assert RunFolder(folder).lock.exists()
    with lock_folder(folder):
        assert RunFolder(folder).lock.read_text() == str(os.getpid())
    assert not RunFolder(folder).lock.exists()


def test_nothing_is_left_where_nothing_was_written(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), lock_folder(tmp_path / "a" / "b"):
        raise RuntimeError
    assert not list(tmp_path.iterdir())
    with lock_folder(tmp_path / "a" / "b"):
        (tmp_path / "a" / "b" / "kept").touch()
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["kept"]


def test_a_lock_file_that_was_removed_meanwhile_is_no_lock(tmp_path: Path) -> None:
    with lock_folder(tmp_path):
        RunFolder(tmp_path).lock.unlink()
        with lock_folder(tmp_path):
            assert RunFolder(tmp_path).lock.read_text() == str(os.getpid())
