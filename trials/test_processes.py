"""Two processes learn what one learns; after one is lost, the run can be resumed with any number of processes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

_DATA = Path(__file__).parents[2] / "shared" / "data" / "clothing"

pytestmark = pytest.mark.skipif(not _DATA.is_dir(), reason="the photos of clothing are not beside the project")

_OPTIONS = ("--width", "0.25", "--resolution", "96", "--epochs", "24", "--seed", "0")


def _torchrun(*words: str) -> list[str]:
    return [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "mobilenet", "train", *words]


def _top1(run: Path) -> float:
    return float(json.loads((run / "evaluation.json").read_text())["top1"])


def test_two_processes_learn_what_one_learns(tmp_path: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    seconds = {}
    for name, command in (
        ("one", [sys.executable, "-m", "mobilenet", "train"]),
        ("two", _torchrun()),
    ):
        began = time.perf_counter()
        whole = [*command, str(_DATA), *_OPTIONS, "--out", str(tmp_path / name)]
        subprocess.run(whole, check=True, capture_output=True, env=environment if name == "two" else None)
        seconds[name] = time.perf_counter() - began
    one, two = _top1(tmp_path / "one"), _top1(tmp_path / "two")
    print(f"one process {one:.1%} in {seconds['one']:.0f} s, two {two:.1%} in {seconds['two']:.0f} s")
    assert len(list((tmp_path / "two").glob("report.html"))) == 1
    assert abs(one - two) <= 0.02


def test_a_lost_process_ends_the_run_and_one_finishes_it(tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = [*_OPTIONS[:4], "--epochs", "6", "--checkpoint-minutes", "0.05", "--out", str(run)]
    with subprocess.Popen(
        _torchrun(str(_DATA), *options),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    ) as process:
        metrics = run / "metrics.jsonl"
        while not metrics.exists() or metrics.read_text().count("\n") < 2:
            assert process.poll() is None
            time.sleep(0.2)
        ranks = subprocess.run(
            ["pgrep", "-P", str(process.pid)], check=True, capture_output=True, text=True
        ).stdout.split()
        os.kill(int(ranks[-1]), signal.SIGKILL)
        began = time.perf_counter()
        process.communicate(timeout=120)
        print(f"ended {time.perf_counter() - began:.0f} s after one of its processes was killed")
    assert process.returncode != 0
    assert not (run / "evaluation.json").exists()
    done = subprocess.run(
        [sys.executable, "-m", "mobilenet", "train", "--resume", str(run)], check=True, capture_output=True, text=True
    )
    print(done.stdout.splitlines()[0])
    epochs = [json.loads(line)["epoch"] for line in metrics.read_text().splitlines()]
    assert epochs == list(range(1, 7))
