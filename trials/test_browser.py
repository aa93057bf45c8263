"""The browser example: headless Chromium gives the same answers as Python, for float32 and 8-bit files."""

import functools
import http.server
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mobilenet.export.onnx.model import onnx_model
from mobilenet.model.fold import build_graph
from mobilenet.quantize.calibrate import calibrate
from mobilenet.runtimes import Predictor, open_model
from mobilenet.tasks.classification import Classification
from mobilenet.weights.read import import_weights

_ROOT = Path(__file__).parents[1]
_PAGE = _ROOT / "examples" / "browser"
_SHARED = _ROOT.parent / "shared"
_CLOTHING, _WEIGHTS = _SHARED / "data" / "clothing", _SHARED / "weights" / "mobilenet_v1_0.25_128_quant.tflite"
_CHROMIUM = shutil.which("chromium")

_missing = [
    what
    for what, there in (
        ("npm", shutil.which("npm")),
        ("chromium", _CHROMIUM),
        ("the photos beside the project", _CLOTHING.is_dir()),
        ("the official files beside the project", _WEIGHTS.is_file()),
    )
    if not there
]
pytestmark = pytest.mark.skipif(bool(_missing), reason=f"not here: {', '.join(_missing)}")

_PHOTOS, _CALIBRATION = 20, 64
_LONGEST_S = 300


class _Files(http.server.SimpleHTTPRequestHandler):
    """The example's folder, with a model from elsewhere."""

    model: Path

    def translate_path(self, path: str) -> str:
        return str(self.model) if path == "/model.onnx" else super().translate_path(path)

    def log_message(self, *_args: object) -> None:
        """Quiet."""


@contextmanager
def _served(model: Path) -> Iterator[str]:
    handler = type("Handler", (_Files,), {"model": model})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(_PAGE))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module", autouse=True)
def _packages() -> None:
    if not (_PAGE / "node_modules" / "playwright-core").is_dir():
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=_PAGE, check=True, timeout=_LONGEST_S)


@pytest.fixture(scope="module", params=["float32", "int8"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    imported = import_weights(_WEIGHTS)
    graph = build_graph(imported.card, imported.tensors)
    file = tmp_path_factory.mktemp("model") / f"{request.param}.onnx"
    if request.param == "float32":
        file.write_bytes(onnx_model(graph, batch=None))
    else:
        seen = sorted((_CLOTHING / "train").rglob("*.jpg"))[:: 3000 // _CALIBRATION][:_CALIBRATION]
        images = np.stack([imported.card.preprocessing.prepare(photo) for photo in seen])
        distance = Classification().objective(imported.card).distil
        file.write_bytes(onnx_model(calibrate(graph, images, distance).graph, batch=None))
    return file


def _photos() -> list[Path]:
    found = sorted((_CLOTHING / "validation").rglob("*.jpg"))
    return [found[number * len(found) // _PHOTOS] for number in range(_PHOTOS)]


def _browse(model: Path, folder: Path, photos: list[Path]) -> Any:
    assert _CHROMIUM is not None
    with _served(model) as url:
        command = ["node", "drive.js", url, _CHROMIUM, folder / "profile", folder / "page.png", *photos]
        done = subprocess.run(command, cwd=_PAGE, capture_output=True, text=True, check=False, timeout=_LONGEST_S)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _compare(predictor: Predictor, photos: list[Path], answered: list[Any]) -> tuple[float, float, float, float]:
    """Top-1 agreement; largest difference of their probability; mean and largest difference of pixels."""
    side = predictor.preprocessing.resolution
    same, differences, pixels = [], [], []
    for photo, said in zip(photos, answered, strict=True):
        assert said["message"] == ""
        image = predictor.preprocessing.prepare(photo)
        expected = predictor.predict(image[None])["probabilities"][0]
        first = said["answers"][0]
        same.append(first["label"] == predictor.labels[int(expected.argmax())])
        differences.append(abs(first["probability"] - float(expected.max())))
        fed = np.reshape(said["pixels"], (side, side, 4))[:, :, :3].astype(int)
        pixels.append(np.abs(fed - image))
        # The same pixels give the same answer, independent of the decoder.
        exact = predictor.predict(fed[None].astype(np.uint8))["probabilities"][0]
        assert abs(first["probability"] - float(exact.max())) <= 1e-3
        assert first["label"] == predictor.labels[int(exact.argmax())]
    return float(np.mean(same)), max(differences), float(np.mean(pixels)), float(np.max(pixels))


def test_a_browser_answers_as_python(model: Path, tmp_path: Path) -> None:
    photos = _photos()
    found = _browse(model, tmp_path, photos)
    assert found["problems"] == []
    same, difference, mean, most = _compare(open_model(model), photos, found["photos"])
    print(
        f"browser {model.stem}: {len(photos)} photos, top-1 as Python's {same:.0%}, its probability within "
        f"{difference:.4f}; pixels differ by {mean:.2f} of 255 in the mean, {most:.0f} at most; {tmp_path / 'page.png'}"
    )
    assert same >= 0.9
    assert mean <= 0.5


def test_what_is_no_photo_is_one_line(model: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"not a photo")
    (said,) = _browse(model, tmp_path, [broken])["photos"]
    assert said["message"] == "this browser cannot read broken.jpg as a photo"
