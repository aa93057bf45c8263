"""Many threads open files and share predictors, and get what one thread alone gets."""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from mobilenet.export.onnx.model import onnx_model
from mobilenet.model.arrays import read_arrays
from mobilenet.model.fold import build_graph
from mobilenet.runtimes import Predictor, litert, open_model

_THREADS, _ROUNDS = 8, 60
_ENGINES = pytest.mark.parametrize("engine", ["torch", "litert", "onnxruntime", "openvino"])


@pytest.fixture(scope="module")
def file_of(tiny_run: Path, tiny_tflite: Path) -> Callable[[str], Path]:
    """The file of one network that an engine runs."""
    onnx = tiny_run / "tiny.onnx"
    onnx.write_bytes(onnx_model(build_graph(*read_arrays(tiny_run / "model.safetensors")), batch=None))
    return {
        "torch": tiny_run / "model.safetensors",
        "litert": tiny_tflite,
        "onnxruntime": onnx,
        "openvino": onnx,
    }.__getitem__


@pytest.fixture(autouse=True)
def eager_switching() -> Iterator[None]:
    """Threads take turns as often as they can; torch has its number of threads back afterwards."""
    interval, threads = sys.getswitchinterval(), torch.get_num_threads()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)
    torch.set_num_threads(threads)


@pytest.fixture
def not_greeted(monkeypatch: pytest.MonkeyPatch) -> None:
    """As before the first file is opened in a process."""
    monkeypatch.setattr(litert, "_GREETED", threading.Event(), raising=False)


def _images() -> list[NDArray[np.uint8]]:
    """A batch for each thread, no two alike, of one photo or two."""
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (1 + number % 2, 32, 32, 3), np.uint8) for number in range(_THREADS)]


def _together(work: Callable[[int], NDArray[np.float32]]) -> list[NDArray[np.float32]]:
    """`work(number)` in each thread, begun at the same moment."""
    start = threading.Barrier(_THREADS)

    def begin(number: int) -> NDArray[np.float32]:
        start.wait(30)
        return work(number)

    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(begin, range(_THREADS)))


def _repeated(predictor: Predictor, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(rounds, N, classes)"""
    return np.stack([predictor.predict(images)["probabilities"] for _ in range(_ROUNDS)])


def _check(found: list[NDArray[np.float32]], wanted: list[NDArray[np.float32]]) -> None:
    for rounds, alone in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(rounds, np.broadcast_to(alone, rounds.shape))


@_ENGINES
def test_threads_that_share_a_predictor_get_the_answers_to_their_own_images(
    file_of: Callable[[str], Path], engine: str
) -> None:
    predictor, images = open_model(file_of(engine), engine, 1), _images()
    wanted = [predictor.predict(own)["probabilities"] for own in images]
    assert len({answer.tobytes() for answer in wanted}) == _THREADS
    _check(_together(lambda number: _repeated(predictor, images[number])), wanted)


@_ENGINES
@pytest.mark.usefixtures("not_greeted")
def test_threads_that_open_a_file_at_once_get_the_same_answers_and_stderr_stays(
    file_of: Callable[[str], Path], engine: str, capfd: pytest.CaptureFixture[str]
) -> None:
    images, before = _images(), os.fstat(2)
    alone = open_model(file_of(engine), engine, 1)
    wanted = [alone.predict(own)["probabilities"] for own in images]
    litert._GREETED.clear()
    _check(_together(lambda number: _repeated(open_model(file_of(engine), engine, 1), images[number])), wanted)
    assert os.path.samestat(os.fstat(2), before)
    os.write(2, b"still there\n")
    assert capfd.readouterr() == ("", "still there\n")


@pytest.mark.usefixtures("not_greeted")
def test_two_threads_that_open_their_first_file_leave_stderr_where_it_was(
    tiny_tflite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second comes while the first has stderr, and goes when the first is gone."""
    inside, met = threading.Event(), threading.Event()
    openings: list[Future[Predictor]] = []
    silent: list[bool] = []

    class _Meeting(Interpreter):  # type: ignore[misc]
        def __init__(self, **settings: object) -> None:
            super().__init__(**settings)
            if inside.is_set():
                met.set()

        def allocate_tensors(self) -> None:
            silent.append(os.path.samestat(os.fstat(2), Path(os.devnull).stat()))
            if len(silent) == 1:
                inside.set()
                assert met.wait(10)
            else:
                openings[0].result(10)
            super().allocate_tensors()

    monkeypatch.setattr(litert, "Interpreter", _Meeting)
    before = os.fstat(2)
    with ThreadPoolExecutor(2) as pool:
        openings.append(pool.submit(open_model, tiny_tflite))
        assert inside.wait(10)
        openings.append(pool.submit(open_model, tiny_tflite))
        for opening in openings:
            assert opening.result(10).labels == ("cat", "dog", "owl")
    assert os.path.samestat(os.fstat(2), before)
    assert silent == [True, False]


@pytest.mark.usefixtures("not_greeted")
def test_a_first_file_that_fails_gives_stderr_back_and_leaves_the_silence_to_the_next(
    tiny_tflite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class _Failing(Interpreter):  # type: ignore[misc]
        def allocate_tensors(self) -> None:
            raise RuntimeError("no memory")

    before = os.fstat(2)
    with monkeypatch.context() as patch:
        patch.setattr(litert, "Interpreter", _Failing)
        with pytest.raises(litert.ModelError, match=r"LiteRT cannot run .*: no memory"):
            open_model(tiny_tflite)
    assert os.path.samestat(os.fstat(2), before)
    assert not litert._GREETED.is_set()
    open_model(tiny_tflite)
    assert litert._GREETED.is_set()
