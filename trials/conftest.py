"""Fast start of many short-lived processes: each is forked from one that has imported everything."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_SERVER = """
import contextlib, io, json, os, sys, tempfile, traceback
import torch
from mobilenet.errors import MobilenetError
from mobilenet.training import run, session
from mobilenet.report import write_report
from mobilenet.cli import train
from mobilenet.cli.main import main
from mobilenet.training.resume.checkpoint import Checkpoints
from pathlib import Path

def save(arguments):
    folder, step = arguments
    step = int(step)
    tensors = {"a": torch.full((40, 50), float(step)), "b": torch.arange(step)}
    try:
        Checkpoints(Path(folder), 2).save({"step": step}, tensors)
    except (MobilenetError, OSError) as error:
        with contextlib.suppress(OSError):
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        return 2

jobs = {"train": lambda arguments: main(["train", *arguments]), "save": save}

torch.set_num_threads(1)
# Whatever is imported, opened or allocated at first use is done here.
with tempfile.TemporaryDirectory() as folder:
    for step in (1, 2, 3):
        save([folder, step])
children = {}
print("ready", flush=True)
for line in sys.stdin:
    order = json.loads(line)
    if "fork" in order:
        ahead, behind = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(behind)
            sys.stdin = io.StringIO()
            os.dup2(os.open(order["log"], os.O_CREAT | os.O_WRONLY | os.O_APPEND), 2)
            os.dup2(2, 1)
            os.read(ahead, 1)
            status = 70
            try:
                status = jobs[order["fork"]](order["arguments"]) or 0
            except BaseException:
                traceback.print_exc()
            os._exit(status)
        os.close(ahead)
        children[pid] = behind
        print(pid, flush=True)
    elif "go" in order:
        os.write(children[order["go"]], b"!")
        print("gone", flush=True)
    else:
        _, status = os.waitpid(order["wait"], 0)
        os.close(children.pop(order["wait"]))
        print(os.waitstatus_to_exitcode(status), flush=True)
"""


class Forks:
    """Runs jobs, each in its own process with torch and the tool already imported.

    `train` takes the arguments of `mobilenet train`; `save` writes a checkpoint of a step into a folder.
    """

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self.log = log
        threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        self._server = subprocess.Popen(
            [sys.executable, "-c", _SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **threads, **environment},
        )
        assert self._answer() == "ready"

    def fork(self, job: str, arguments: list[str]) -> int:
        """Fork a process that waits for `go`; returns its number."""
        return int(self._ask({"fork": job, "arguments": arguments, "log": str(self.log)}))

    def go(self, process: int) -> None:
        """Start a forked process."""
        self._ask({"go": process})

    def wait(self, process: int) -> int:
        """Its exit code, negative for the signal that ended it."""
        return int(self._ask({"wait": process}))

    def run(self, job: str, *arguments: object) -> int:
        """Fork, start and wait."""
        process = self.fork(job, list(map(str, arguments)))
        self.go(process)
        return self.wait(process)

    def close(self) -> None:
        """End the server; its children end by themselves."""
        with self._server:
            self._server.kill()

    def _ask(self, order: dict[str, Any]) -> str:
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        return self._answer()

    def _answer(self) -> str:
        assert self._server.stdout is not None
        return self._server.stdout.readline().strip()


@pytest.fixture
def forks(tmp_path: Path) -> Iterator[Forks]:
    """A server of forked processes, with its own cache of photos."""
    with contextlib.closing(Forks({"MOBILENET_CACHE": str(tmp_path / "cache")}, tmp_path / "forks.log")) as server:
        yield server
