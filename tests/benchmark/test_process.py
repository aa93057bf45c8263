"""One model in a process of its own, and what happens when that process ends."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from mobilenet.benchmark import Contender
from mobilenet.benchmark.worker.process import Worker
from mobilenet.errors import ModelError


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    """A process that opens one model after another."""
    with Worker() as process:
        yield process


def test_a_model_is_opened_and_run(worker: Worker, tiny_tflite: Path) -> None:
    opening = worker.open(Contender(str(tiny_tflite), "litert", 1))
    assert opening.resolution == 32
    assert min(opening.import_ms, opening.load_ms, opening.first_ms) > 0
    # 216,000 float32 numbers, and not a hundred times that.
    assert 0.5e6 < opening.peak_bytes < 100e6
    turn = worker.turn(0.02)
    assert turn.latencies_ns.min() > 0
    assert turn.latencies_ns[:-1].sum() < 0.02 * 1e9
    assert len(worker.turn(1e-9).latencies_ns) == 1


def test_a_process_opens_another_model_after_one_that_cannot_be_opened(
    worker: Worker, tiny_tflite: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"no model")
    with pytest.raises(ModelError, match=r"broken\.tflite is not a TFLite file"):
        worker.open(Contender(str(broken), "litert", 1))
    with pytest.raises(ModelError, match=r"missing\.jpg: cannot be read"):
        worker.open(Contender(str(tiny_tflite), "litert", 1), photo=str(tmp_path / "missing.jpg"))
    assert worker.open(Contender(str(tiny_tflite), "litert", 1)).resolution == 32


def test_ctrl_c_is_left_to_the_process_that_the_user_sees(worker: Worker, tiny_tflite: Path) -> None:
    worker.open(Contender(str(tiny_tflite), "litert", 1))
    os.kill(worker._process.pid, signal.SIGINT)
    assert len(worker.turn(1e-9).latencies_ns) == 1


def test_a_process_that_dies_is_one_line(tiny_tflite: Path) -> None:
    with Worker() as worker:
        worker._doing = str(Contender("a.tflite", "litert", 2))
        worker._process.kill()
        worker._process.wait()
        with pytest.raises(ModelError) as error:
            worker.turn(0.01)
    assert str(error.value) == (
        "a.tflite on litert with 2 threads: its process was killed by SIGKILL: no message; "
        "measure the others without it"
    )


def test_a_process_that_fails_says_its_last_word() -> None:
    with Worker() as worker, pytest.raises(ModelError, match="exit code 1: RuntimeError: no model is open; measure"):
        worker.turn(0.01)


def test_no_process_is_left_behind() -> None:
    with Worker() as worker:
        process = worker._process
        assert process.poll() is None
    assert process.poll() == 0

    def interrupted() -> None:
        with Worker() as worker:
            nonlocal process
            process = worker._process
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert process.poll() == -signal.SIGKILL


def test_a_turn_in_which_nothing_was_timed_is_one_line(
    worker: Worker, tiny_tflite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.open(Contender(str(tiny_tflite), "litert", 1))
    empty = {"latencies_ns": [], "wall_ns": 1, "processor_ns": 1, "waited_ns": 0, "idles": True}
    monkeypatch.setattr(worker, "_ask", lambda _: empty)
    with pytest.raises(ModelError, match=r"tiny\.tflite on litert with 1 thread: no image was timed; measure it"):
        worker.turn(0.01)
