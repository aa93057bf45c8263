"""Who takes part in a benchmark."""

from pathlib import Path

import pytest

from mobilenet.benchmark import Contender
from mobilenet.benchmark.contenders import choose_contenders
from mobilenet.errors import ConfigError, ModelError


@pytest.fixture
def tflite(tmp_path: Path) -> Path:
    """A file that nothing opens here."""
    path = tmp_path / "a.tflite"
    path.touch()
    return path


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A file that nothing opens here."""
    path = tmp_path / "a.safetensors"
    path.touch()
    return path


def test_each_file_on_each_engine_with_each_number_of_threads(tflite: Path, weights: Path) -> None:
    assert choose_contenders([tflite, weights], threads=(1, 2)) == (
        Contender(str(tflite), "litert", 1),
        Contender(str(tflite), "litert", 2),
        Contender(str(weights), "torch", 1),
        Contender(str(weights), "torch", 2),
    )


def test_engines_that_do_not_run_a_file_leave_it_to_those_that_do(tflite: Path, weights: Path) -> None:
    chosen = choose_contenders([weights, tflite], ["litert", "torch"])
    assert [(Path(contender.file), contender.runtime) for contender in chosen] == [
        (weights, "torch"),
        (tflite, "litert"),
    ]


def test_the_same_file_twice_is_two_contenders(tflite: Path) -> None:
    first, second = choose_contenders([tflite, tflite])
    assert first == second


def test_what_cannot_take_part_is_one_line_with_the_remedy(
    tflite: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=r"^unknown runtime 'lite'; use one of torch, litert"):
        choose_contenders([tflite], ["lite"])
    with pytest.raises(ConfigError, match=r"a.tflite does not run on torch; use --runtime litert$"):
        choose_contenders([weights, tflite], ["torch"])
    with pytest.raises(ModelError, match="no model at"):
        choose_contenders([tflite.with_name("gone.tflite")])
    for threads in (0, -1, 1025):
        with pytest.raises(ConfigError, match=rf"^{threads} threads are out of range; use 1 to 1024$"):
            choose_contenders([tflite], threads=(1, threads))
    monkeypatch.setattr("mobilenet.runtimes.engines.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"^litert is not installed; pip install 'mobilenet\[litert\]'$"):
        choose_contenders([tflite], ["litert"])
    with pytest.raises(ConfigError, match=r"a.tflite needs litert; pip install 'mobilenet\[litert\]'$"):
        choose_contenders([tflite])
