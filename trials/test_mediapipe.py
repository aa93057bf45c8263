"""MediaPipe's ImageClassifier and ObjectDetector, from a virtual environment of their own, answer for exported files as
this tool does.

They read the same photos by their own means: MediaPipe decodes them at full size, stretches them to the square of the
network's input and interpolates between the pixels nearest to each output pixel's corner, without antialiasing.
"""

import json
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mobilenet.export.export import ExportSettings, export
from mobilenet.export.litert.flatbuffer import Affine, Options, TfliteFile
from mobilenet.images import RESIZE_METHODS, Preprocessing, ResizeMethod, photo_size, to_squares
from mobilenet.metrics.detection import iou
from mobilenet.parallel import in_order
from mobilenet.runtimes import open_model
from mobilenet.runtimes.batches import predict_batches
from mobilenet.tasks.detection.found import found_boxes

_ROOT = Path(__file__).parents[1]
_SHARED = _ROOT.parent / "shared"
_CLOTHING = _SHARED / "data" / "clothing"
_WEIGHTS = _SHARED / "weights" / "mobilenet_v1_0.75_192_quant.tflite"

_COCO = _SHARED / "data" / "coco"
_DETECTOR = _SHARED / "weights" / "coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.tflite"
_NAMES = _SHARED / "weights" / "coco_labels.txt"

_PACKAGE = "mediapipe==1.2.3"
_PLACE = _ROOT / "build" / "mediapipe"
"""Kept for the next time; `make clean` removes it."""

_AGREEMENT, _ACCURACY = 0.98, 0.005
_LONGEST_S = 600

_SURE, _SCORE, _PIXELS, _OVERLAP = 0.3, 0.05, 2.1, 0.9
"""Boxes of at least this score are compared; their scores may differ by so much, and their edges, which MediaPipe cuts
to whole pixels twice, by so many pixels of the photo, or as much as leaves this overlap."""

needs_photos = pytest.mark.skipif(
    not (_CLOTHING.is_dir() and _WEIGHTS.is_file()),
    reason="the photos and the official files are not beside the project",
)
needs_detector = pytest.mark.skipif(
    not (_COCO.is_dir() and _DETECTOR.is_file() and _NAMES.is_file()),
    reason="the photos of COCO and the imported detector are not beside the project",
)

_CLASSIFY = """
import json, sys
import mediapipe
from mediapipe.tasks.python import BaseOptions, vision

model, photos = sys.argv[1], json.load(sys.stdin)
options = vision.ImageClassifierOptions(base_options=BaseOptions(model_asset_path=model))
with vision.ImageClassifier.create_from_options(options) as classifier:
    for photo in photos:
        found = classifier.classify(mediapipe.Image.create_from_file(photo)).classifications[0].categories
        print("answer", json.dumps({one.category_name: one.score for one in found}), flush=True)
"""

_EMBED = """
import json, sys
import mediapipe
import numpy as np
from mediapipe.tasks.python import BaseOptions, vision

options = vision.ImageEmbedderOptions(base_options=BaseOptions(model_asset_path=sys.argv[1]), l2_normalize=False)
with vision.ImageEmbedder.create_from_options(options) as embedder:
    for path in json.load(sys.stdin):
        found = embedder.embed(mediapipe.Image.create_from_file(path)).embeddings[0].embedding
        print("answer", json.dumps(np.asarray(found).tolist()), flush=True)
"""

_DETECT = """
import json, sys
import mediapipe
from mediapipe.tasks.python import BaseOptions, vision

base = BaseOptions(model_asset_path=sys.argv[1])
options = vision.ObjectDetectorOptions(base_options=base, score_threshold=0.1, max_results=100)
with vision.ObjectDetector.create_from_options(options) as detector:
    for path in json.load(sys.stdin):
        found = []
        for one in detector.detect(mediapipe.Image.create_from_file(path)).detections:
            box = one.bounding_box
            sides = [box.origin_y, box.origin_x, box.origin_y + box.height, box.origin_x + box.width]
            # One box with several classes is one detection.
            found += [[category.category_name, category.score, *sides] for category in one.categories]
        print("answer", json.dumps(found), flush=True)
"""


@pytest.fixture(scope="module")
def python() -> Path:
    """The Python of an environment with MediaPipe, made by the first trial that needs it."""
    wanted = _PLACE / "bin" / "python"
    mark = _PLACE / "installed"
    if not mark.is_file() or mark.read_text() != _PACKAGE:
        venv.create(_PLACE, clear=True, with_pip=True)
        subprocess.run([wanted, "-m", "pip", "install", "--quiet", _PACKAGE], check=True, timeout=_LONGEST_S)
        mark.write_text(_PACKAGE)
    return wanted


@pytest.fixture(scope="module")
def photos() -> list[Path]:
    return sorted((_CLOTHING / "validation").rglob("*.jpg"))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the LiteRT files of a network for photos of clothing."""
    folder = tmp_path_factory.mktemp("clothing")
    command = ["mobilenet", "train", _CLOTHING, "--weights", _WEIGHTS, "--out", folder / "run"]
    subprocess.run([sys.executable, "-m", *map(str, command)], check=True)
    found = export(ExportSettings(folder / "run", _CLOTHING, folder, formats=("litert",), must_be_faster=False))
    assert found.failures == ()
    return folder


def _asked(python: Path, script: str, model: Path, photos: list[Path]) -> list[object]:
    """One JSON value for each photo."""
    answered = subprocess.run(
        [python, "-c", script, model],
        input=json.dumps([str(photo) for photo in photos]),
        capture_output=True,
        text=True,
        check=False,
        timeout=_LONGEST_S,
    )
    assert answered.returncode == 0, answered.stderr[-2000:]
    lines = [line.removeprefix("answer ") for line in answered.stdout.splitlines() if line.startswith("answer ")]
    return [json.loads(line) for line in lines]


@dataclass(frozen=True)
class _Compared:
    """Shares 0…1 of N photos: the same first answers, and right ones here and there."""

    agreement: float
    ours: float
    theirs: float


def _by_method(photos: list[Path], preprocessing: Preprocessing) -> dict[ResizeMethod, NDArray[np.uint8]]:
    def squares(photo: Path) -> tuple[NDArray[np.uint8], ...]:
        return to_squares(photo, preprocessing.resolution, preprocessing.crop_fraction, RESIZE_METHODS)[0]

    stacks = zip(*(found for _, found in in_order(squares, photos, 2)), strict=True)
    return {method: np.stack(stack) for method, stack in zip(RESIZE_METHODS, stacks, strict=True)}


def compare(python: Path, model: Path, photos: list[Path]) -> dict[ResizeMethod, _Compared]:
    """MediaPipe's answers to photos in class folders, compared with ours by each method of shrinking."""
    predictor = open_model(model)
    truth = np.array([predictor.labels.index(photo.parent.name) for photo in photos])
    scores = _asked(python, _CLASSIFY, model, photos)
    theirs = np.array([[one[label] for label in predictor.labels] for one in scores])  # type: ignore[index]
    found = {}
    for method, images in _by_method(photos, predictor.preprocessing).items():
        ours = predict_batches(predictor, images)["probabilities"]
        same, right, also = (np.mean(a == b) for a, b in _pairs(ours.argmax(1), theirs.argmax(1), truth))
        found[method] = _Compared(float(same), float(right), float(also))
        difference = np.abs(ours - theirs).max(1)
        print(
            f"{model.name}, {len(photos)} photos by {method}: top-1 {right:.1%}, MediaPipe {also:.1%}, agreement "
            f"{same:.1%}; probabilities differ by {np.median(difference):.3f} (median) to {difference.max():.3f}"
        )
    return found


def _pairs(ours: NDArray[np.intp], theirs: NDArray[np.intp], truth: NDArray[np.int_]) -> list[tuple[object, object]]:
    return [(ours, theirs), (ours, truth), (theirs, truth)]


def _probe(side: int) -> bytes:
    """A file that answers with its input (side, side, 3)."""
    file = TfliteFile()
    steps = Affine(np.ones(1, np.float32))
    pixels = file.tensor("pixels", (1, side, side, 3), "UINT8", steps)
    floats = file.operator("DEQUANTIZE", 1, [pixels], file.tensor("floats", (1, side, side, 3), "FLOAT32"))
    shape = file.constant("shape", np.array([1, side * side * 3], np.int32))
    flat = file.tensor("flat", (1, side * side * 3), "FLOAT32")
    file.operator("RESHAPE", 1, [floats, shape], flat, Options("ReshapeOptions", {}))
    return file.pack(pixels, [flat], description="its input", metadata={})


def test_its_pixels_are_those_of_the_asymmetric_method(python: Path, tmp_path: Path) -> None:
    """Photos of several shapes, one of them turned by its EXIF."""
    model, side = tmp_path / "probe.tflite", 61
    model.write_bytes(_probe(side))
    random, paths = np.random.default_rng(0), []
    for number, (height, width) in enumerate([(61, 61), (122, 183), (250, 97), (333, 500), (20, 30)]):
        exif = Image.Exif()
        exif[0x0112] = 6 if number == 2 else 1
        path = tmp_path / f"{number}.jpg"
        noise = Image.fromarray(random.integers(0, 256, (height, width, 3), np.uint8))
        noise.save(path, quality=95, subsampling=0, exif=exif)
        paths.append(path)
    answers = _asked(python, _EMBED, model, paths)
    for path, answer in zip(paths, answers, strict=True):
        ours = {method: to_squares(path, side, None, (method,))[0][0].astype(int) for method in RESIZE_METHODS}
        differences = {method: np.abs(square - np.reshape(answer, (side, side, 3))) for method, square in ours.items()}
        print(path.name, {method: f"{difference.mean():.2f}" for method, difference in differences.items()})
        # It rounds positions to 1/32 of a pixel; the steps between these pixels are as large as they get.
        assert differences["asymmetric"].max() <= 2 * 255 / 32
        assert differences["asymmetric"].mean() <= 1


@needs_photos
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_the_same_answers_and_accuracy(python: Path, exported: Path, photos: list[Path], precision: str) -> None:
    found = compare(python, exported / f"run-{precision}.tflite", photos)
    # Its own method: what is left are one-bit differences of the decoder and of its fixed-point weights.
    assert found["asymmetric"].agreement >= 0.99
    assert found["area"].agreement >= _AGREEMENT
    assert abs(found["area"].ours - found["area"].theirs) <= _ACCURACY + 1e-9


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the LiteRT files of the imported COCO detector."""
    folder = tmp_path_factory.mktemp("detector")
    file = folder / "coco.safetensors"
    command = ["mobilenet", "import", _DETECTOR, "--labels", _NAMES, "--out", file]
    subprocess.run([sys.executable, "-m", *map(str, command)], check=True)
    settings = ExportSettings(file, _COCO, folder, formats=("litert",), calibration_photos=32, must_be_faster=False)
    assert export(settings).failures == ()
    return folder


def _has_colours(photo: Path) -> bool:
    with Image.open(photo) as image:
        return image.mode == "RGB"


@needs_detector
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_the_same_boxes(python: Path, detector: Path, precision: str) -> None:
    """Boxes are cut to the photo here, and there not."""
    photos = [path for path in sorted((_COCO / "images").glob("*.jpg")) if _has_colours(path)]
    predictor = open_model(detector / f"coco-{precision}.tflite", threads=1)
    preprocessing = predictor.preprocessing
    squares = [
        to_squares(path, preprocessing.resolution, preprocessing.crop_fraction, ("asymmetric",))[0][0]
        for path in photos
    ]
    answers = _asked(python, _DETECT, detector / f"coco-{precision}.tflite", photos)
    same = []
    for path, ours, theirs in zip(
        photos, found_boxes(predictor.predict(np.stack(squares)), predictor.card), answers, strict=True
    ):
        size = photo_size(path)
        sides = np.array([size.height, size.width] * 2)
        names = np.array([one[0] for one in theirs])  # type: ignore[attr-defined]
        values = np.array([one[1:] for one in theirs]).reshape(-1, 5)  # type: ignore[attr-defined]
        boxes = values[:, 1:].clip(0, sides)
        for box, label, score in zip(ours.boxes * sides, ours.labels.tolist(), ours.scores.tolist(), strict=True):
            near = (np.abs(boxes - box).max(1) <= _PIXELS) | (iou(boxes, box[None])[:, 0] >= _OVERLAP)
            near &= np.abs(values[:, 0] - score) <= _SCORE
            if score >= _SURE:
                same.append(bool((near & (names == predictor.labels[label])).any()))
    print(f"{precision}: {np.mean(same):.1%} of {len(same)} boxes in {len(photos)} photos are MediaPipe's too")
    assert np.mean(same) >= {"float32": 0.97, "int8": 0.93}[precision]
