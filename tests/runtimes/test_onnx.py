"""`.onnx` files are opened by two engines, without torch, without noise, and only as they were written."""

import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from mobilenet.errors import ModelError
from mobilenet.export.onnx.model import onnx_model
from mobilenet.images import Preprocessing
from mobilenet.model.card import ModelCard
from mobilenet.model.fold import build_graph
from mobilenet.model.onnx_card import in_batches
from mobilenet.model.outputs import Output
from mobilenet.model.seal import UNSEALED, seal
from mobilenet.nn.network import TableNetwork
from mobilenet.runtimes import onnxruntime as engine_room
from mobilenet.runtimes import open_model, processor
from mobilenet.runtimes import openvino as openvino_room

ENGINES = ("onnxruntime", "openvino")


@pytest.fixture(scope="module")
def data() -> bytes:
    card = ModelCard("mobilenet_v1", 0.25, 32, ("cat", "dog", "owl"), Preprocessing(32), task="classification")
    network = TableNetwork(card.network()).eval()
    return onnx_model(
        build_graph(card, {name: values.numpy() for name, values in network.state_dict().items()}), batch=None
    )


@pytest.fixture
def file(data: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("threads", [None, 1, 2])
def test_the_card_comes_out_of_the_file(
    file: Path, engine: str, threads: int | None, capfd: pytest.CaptureFixture[str]
) -> None:
    predictor = open_model(file, engine, threads)
    assert (predictor.labels, predictor.task) == (("cat", "dog", "owl"), "classification")
    assert predictor.preprocessing == Preprocessing(32)
    probabilities = predictor.predict(np.zeros((2, 32, 32, 3), np.uint8))["probabilities"]
    assert (probabilities.shape, probabilities.dtype) == ((2, 3), np.float32)
    assert predictor.predict(np.zeros((0, 32, 32, 3), np.uint8))["probabilities"].shape == (0, 3)
    assert capfd.readouterr() == ("", "")


def test_onnx_runtime_is_taken_where_no_engine_is_named(file: Path) -> None:
    assert type(open_model(file)).__name__ == "OnnxRuntimePredictor"


@pytest.mark.parametrize("engine", ENGINES)
def test_damaged_files_are_one_line_and_never_reach_the_engine(file: Path, data: bytes, engine: str) -> None:
    random = np.random.default_rng(0)
    for _ in range(50):
        changed = bytearray(data)
        changed[random.integers(len(data))] ^= 1 << random.integers(8)
        file.write_bytes(changed)
        with pytest.raises(ModelError, match=r"model\.onnx (was damaged or changed|is an ONNX file of another tool)"):
            open_model(file, engine)
    for length in (0, 1, 1000, len(data) - 1):
        file.write_bytes(data[:length])
        with pytest.raises(ModelError, match=r"model\.onnx (was damaged or changed|is an ONNX file of another tool)"):
            open_model(file, engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_other_peoples_files_are_refused_with_the_remedy(file: Path, data: bytes, engine: str) -> None:
    model = onnx.load_from_string(data)
    del model.metadata_props[:]
    file.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=r"is an ONNX file of another tool, or is damaged; import the TFLite"):
        open_model(file, engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_sealed_file_without_a_card_is_refused(file: Path, data: bytes, engine: str) -> None:
    model = onnx.load_from_string(data)
    kept = [entry for entry in model.metadata_props if entry.key not in ("mobilenet", "seal")]
    for card, message in ((None, "has no model card"), ("{}", "does not describe a network that can be run")):
        del model.metadata_props[:]
        model.metadata_props.extend(kept)
        onnx.helper.set_model_props(model, {"seal": UNSEALED} | ({} if card is None else {"mobilenet": card}))
        file.write_bytes(seal(model.SerializeToString()))
        with pytest.raises(ModelError, match=rf"model\.onnx {message}"):
            open_model(file, engine)


@pytest.mark.parametrize(("engine", "name"), [("onnxruntime", "ONNX Runtime"), ("openvino", "OpenVINO")])
def test_what_the_engine_says_ends_in_one_line(file: Path, data: bytes, engine: str, name: str) -> None:
    model = onnx.load_from_string(data)
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {"seal": UNSEALED})
    model.graph.node[3].op_type = "Unheard"
    file.write_bytes(seal(model.SerializeToString()))
    with pytest.raises(ModelError, match=rf"{name} cannot run .*model\.onnx: .*; install a newer {engine}") as error:
        open_model(file, engine)
    assert "\n" not in str(error.value)


def test_batches_are_filled_up_and_answers_stay_in_order() -> None:
    images = np.arange(7, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    outputs = Output("pixel", ("row",), (2,)), Output("plane", ("row",), (2, 2, 3))
    sizes = []

    def run(batch: np.ndarray) -> list[np.ndarray]:
        sizes.append(len(batch))
        return [batch[:, 0, 0, :2].astype(np.float32), batch.astype(np.float32)]

    found = in_batches(images, 3, outputs, run)
    np.testing.assert_array_equal(found["pixel"][:, 0], np.arange(7))
    np.testing.assert_array_equal(found["plane"], images)
    assert sizes == [3, 3, 3]
    assert in_batches(images[:3], 3, outputs, run).keys() == found.keys()


@pytest.mark.parametrize(
    ("machine", "flags", "overflow"),
    [
        ("x86_64", "avx2 fma", True),
        ("AMD64", None, True),
        ("x86_64", "avx512f avx512_vnni", False),
        ("x86_64", "avx_vnni", False),
        ("aarch64", "asimd", False),
        ("arm64", None, False),
    ],
)
def test_processors_whose_8_bit_sums_overflow_get_exact_kernels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: str, flags: str | None, *, overflow: bool
) -> None:
    cpu = tmp_path / "cpuinfo"
    if flags is not None:
        cpu.write_text(f"flags : fpu {flags}\n", "utf-8")
    monkeypatch.setattr(processor, "_CPU", cpu)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    options = engine_room._options(1)
    assert _entry(options, "session.intra_op.allow_spinning") == "0"
    assert _entry(options, "session.x64quantprecision") == ("1" if overflow else "")
    assert ("LP_TRANSFORMS_MODE" in openvino_room._options(1)) == overflow


def _entry(options: object, name: str) -> str:
    get: Callable[[str], str] = options.get_session_config_entry  # type: ignore[attr-defined]
    try:
        return get(name)
    except RuntimeError:
        return ""


@pytest.mark.parametrize("engine", ENGINES)
def test_running_needs_neither_torch_nor_onnx_and_tells_nobody(file: Path, tmp_path: Path, engine: str) -> None:
    """OpenVINO, imported as it is, reports that over the network and leaves a number for this user in their home."""
    home = tmp_path / "home"
    home.mkdir()
    script = (
        "import sys; from pathlib import Path; from mobilenet.runtimes import open_model\n"
        "open_model(Path(sys.argv[1]), sys.argv[2], 1)\n"
        "print([name for name in ('torch', 'onnx', 'openvino_telemetry') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, file, engine],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "HOME": str(home)},
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")
    assert not list(home.iterdir())


def test_openvino_is_imported_in_one_place() -> None:
    """A second import, in a test or a benchmark too, would report to its makers."""
    root = Path(__file__).parents[2]
    files = [path for folder in ("src", "tests", "benchmarks", "trials") for path in (root / folder).rglob("*.py")]
    importing = [path for path in files if re.search(r"^\s*(import|from) openvino\b", path.read_text("utf-8"), re.M)]
    assert importing == [root / "src" / "mobilenet" / "runtimes" / "openvino.py"]


def test_an_exported_file_is_used_by_the_commands(file: Path, tmp_path: Path) -> None:
    from PIL import Image

    photo = tmp_path / "photo.png"
    Image.fromarray(np.full((40, 50, 3), 99, np.uint8)).save(photo)
    done = subprocess.run(
        [sys.executable, "-m", "mobilenet", "predict", file, photo], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert {line.split()[-1] for line in done.stdout.splitlines()[1:]} == {"cat", "dog", "owl"}
    file.write_bytes(file.read_bytes()[:-1])
    done = subprocess.run(
        [sys.executable, "-m", "mobilenet", "predict", file, photo], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "model.onnx was damaged or changed after it was written" in done.stderr
