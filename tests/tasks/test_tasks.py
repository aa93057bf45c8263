"""Which task it is: of a name, of photos, of a model file; what is not known is one line."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilenet import tasks
from mobilenet.cli.main import main
from mobilenet.errors import ConfigError, ModelError
from mobilenet.images import Preprocessing
from mobilenet.model.arrays import read_arrays
from mobilenet.model.card import ModelCard
from mobilenet.model.fold import build_graph
from mobilenet.tasks import TASKS, task_named, task_of, task_of_model
from mobilenet.tasks.classification import Classification


class _Elsewhere(Classification):
    """A task that no folder is for."""

    name = "elsewhere"

    def recognises(self, _data: Path) -> bool:
        return False


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> _Elsewhere:
    """A task beside classification, asked before it."""
    made = _Elsewhere()
    monkeypatch.setattr(tasks, "TASKS", {"elsewhere": made, **TASKS})
    return made


def test_every_task_goes_by_its_own_name() -> None:
    assert "classification" in TASKS
    for name, task in TASKS.items():
        assert (task.name, task_named(name), task_of_model(name, "a.onnx")) == (name, task, task)


def test_a_name_that_no_task_has_is_one_line(elsewhere: _Elsewhere, tmp_path: Path) -> None:
    for unknown in (lambda: task_named("pose"), lambda: task_of(tmp_path, "pose")):
        with pytest.raises(ConfigError) as error:
            unknown()
        assert str(error.value) == f"unknown task 'pose'; use one of {', '.join(tasks.TASKS)}"


def test_photos_are_for_the_first_task_that_knows_them_unless_one_is_named(
    elsewhere: _Elsewhere, tmp_path: Path
) -> None:
    assert task_of(tmp_path).name == "classification"
    assert task_of(tmp_path, "elsewhere") is elsewhere


def test_photos_that_no_task_knows_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "TASKS", {"elsewhere": _Elsewhere()})
    with pytest.raises(ConfigError) as error:
        task_of(Path("photos"))
    assert str(error.value) == "photos does not look like data for any task; choose one with --task: elsewhere"


def test_a_model_of_another_task_is_one_line() -> None:
    with pytest.raises(ModelError) as error:
        task_of_model("pose", Path("runs/model.onnx"))
    assert str(error.value) == "runs/model.onnx is for the unknown task 'pose'; install a newer mobilenet"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of two grey photos."""
    root = tmp_path_factory.mktemp("photos")
    for number, name in enumerate(("cat", "cat", "dog", "dog")):
        (root / name).mkdir(exist_ok=True)
        Image.fromarray(np.full((40, 40, 3), 40 * number, np.uint8)).save(root / name / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of each format of a network for a task that nobody here knows."""
    from mobilenet.export.litert.model import litert_model
    from mobilenet.export.onnx.model import onnx_model
    from mobilenet.nn.model_file import write_model
    from mobilenet.nn.network import TableNetwork

    folder = tmp_path_factory.mktemp("strangers")
    card = ModelCard("mobilenet_v1", 0.25, 32, ("cat", "dog"), Preprocessing(32), task="pose")
    write_model(folder / "model.safetensors", TableNetwork(card.network()).eval(), card)
    graph = build_graph(*read_arrays(folder / "model.safetensors"))
    (folder / "model.tflite").write_bytes(litert_model(graph))
    (folder / "model.onnx").write_bytes(onnx_model(graph, batch=None))
    return folder


def _refused(arguments: list[str], named: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    said = f"mobilenet: {named} is for the unknown task 'pose'; install a newer mobilenet\n"
    assert capsys.readouterr() == ("", said)


@pytest.mark.parametrize("suffix", [".safetensors", ".tflite", ".onnx"])
@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_a_file_of_an_unknown_task_answers_nothing(
    strangers: Path, photos: Path, capsys: pytest.CaptureFixture[str], command: str, suffix: str
) -> None:
    file = strangers / f"model{suffix}"
    _refused([command, str(file), str(photos)], file, capsys)


@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_a_run_of_an_unknown_task_answers_nothing(
    strangers: Path, photos: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    _refused([command, str(strangers), str(photos)], strangers, capsys)


def test_a_network_of_an_unknown_task_is_not_exported(
    strangers: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = strangers / "model.safetensors", tmp_path / "out"
    _refused(["export", str(file), "--data", str(photos), "--out", str(out)], file, capsys)
    assert not out.exists()


@pytest.mark.parametrize("suffix", [".tflite", ".onnx"])
def test_a_file_that_is_exported_already_is_not_exported_whatever_its_task(
    strangers: Path, photos: Path, capsys: pytest.CaptureFixture[str], suffix: str
) -> None:
    assert main(["export", str(strangers / f"model{suffix}"), "--data", str(photos)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("is already exported; give the run folder or the .safetensors file it was made from")
