"""An imported detector beside LiteRT, which runs the file itself: whether they find the same boxes, and their AP.

    python benchmarks/imported_detector.py detector.tflite coco

`coco` has the photos in `images/` and their boxes in `instances.json`. LiteRT's boxes are those of the file's own
operator: as many as it allows (10 in the official file), and a better box of one class suppresses those of others. So
two more are measured: LiteRT without its delegate, whose 8-bit arithmetic rounds otherwise (how far LiteRT agrees with
itself), and the raw outputs of that, decoded as ours are.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from mobilenet.metrics.detection import Detections, Truth, averages, iou
from mobilenet.nn.model_file import network_of_arrays
from mobilenet.runtimes.torch import TorchPredictor
from mobilenet.tasks.detection.found import found_boxes
from mobilenet.tasks.detection.targets import Found
from mobilenet.weights.read import import_weights
from mobilenet.weights.tflite.file import read_graph

SCORE, OVERLAP = 0.3, 0.9
"""The boxes of LiteRT that count, and the intersection over union from which on one is found again."""

Floats = NDArray[np.float32]


class Engine:
    """A file in LiteRT's plain kernels, with its raw outputs; delegates keep those to themselves."""

    kernels = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES

    def __init__(self, path: Path) -> None:
        keeps = self.kernels is not OpResolverType.AUTO
        self.interpreter = Interpreter(
            str(path), experimental_preserve_all_tensors=keeps, experimental_op_resolver_type=self.kernels
        )
        self.interpreter.allocate_tensors()
        (self.given,) = self.interpreter.get_input_details()
        last = read_graph(path.read_bytes(), str(path)).operators[-1]
        self.raw, self.made = last.inputs[:2], last.outputs
        self.details = {detail["index"]: detail for detail in self.interpreter.get_tensor_details()}

    def run(self, pixels: NDArray[np.uint8], mean: float, std: float) -> Found:
        """Its boxes in pixels (R, R, 3)."""
        is_float = self.given["dtype"] == np.float32
        batch: NDArray[Any] = (pixels[None].astype(np.float32) - mean) / np.float32(std) if is_float else pixels[None]
        self.interpreter.set_tensor(self.given["index"], batch)
        self.interpreter.invoke()
        boxes, labels, scores, count = (self.floats(number)[0] for number in self.made)
        some = slice(int(count))
        return Found(np.clip(boxes[some], 0, 1), labels[some].astype(np.int64), scores[some])

    def outputs(self, classes: int) -> dict[str, Floats]:
        """Codes (1, P, 4) and scores (1, P, classes), without the background, of the pixels that it was run on last."""
        codes, scores = (self.floats(number) for number in self.raw)
        return {"boxes": codes, "scores": scores[..., -classes:]}

    def floats(self, number: int) -> Floats:
        """The values of the tensor with that number."""
        values, (scale, zero_point) = self.interpreter.get_tensor(number), self.details[number]["quantization"]
        return np.float32(scale) * (values.astype(np.float32) - zero_point) if scale else values


class DefaultEngine(Engine):
    """A file in LiteRT as apps run it."""

    kernels = OpResolverType.AUTO


def matched(theirs: Sequence[Found], ours: Sequence[Found]) -> tuple[int, int]:
    """How many of their boxes with a score above 0.3 are among ours, each once and with the same class, and of how
    many."""
    hits = total = 0
    for one, other in zip(theirs, ours, strict=True):
        sure = one.scores > SCORE
        same = iou(one.boxes[sure], other.boxes) * (one.labels[sure][:, None] == other.labels)
        total += len(same)
        for row in same:
            if row.max(initial=0) >= OVERLAP:
                hits += 1
                same[:, row.argmax()] = 0
    return hits, total


def truth(document: dict[str, Any], files: Sequence[str], names: Sequence[str]) -> tuple[Truth, NDArray[np.float64]]:
    """The boxes of COCO's JSON in photos with these names, and the height and width (N, 2) of the photos in pixels."""
    images = {image["file_name"].rsplit("/", 1)[-1]: image for image in document["images"]}
    place = {images[file]["id"]: number for number, file in enumerate(files)}
    labels = {category["id"]: names.index(category["name"]) for category in document["categories"]}
    known = [box for box in document["annotations"] if box["image_id"] in place]
    boxes = sorted(known, key=lambda box: place[box["image_id"]])
    left, top, width, height = np.array([box["bbox"] for box in boxes], np.float64).reshape(-1, 4).T
    found = Truth(
        np.array([place[box["image_id"]] for box in boxes], np.int64),
        np.stack([top, left, top + height, left + width], 1),
        np.array([labels[box["category_id"]] for box in boxes], np.int64),
        np.array([bool(box.get("iscrowd")) for box in boxes], np.bool_),
    )
    return found, np.array([[images[file]["height"], images[file]["width"]] for file in files], np.float64)


def average_precision(found: Sequence[Found], boxes: Truth, sizes: NDArray[np.float64], classes: int) -> float | None:
    """COCO's AP, 0…1, of boxes in shares of photos of these sizes (N, 2)."""
    counts = [len(one) for one in found]
    detections = Detections(
        np.repeat(np.arange(len(found)), counts),
        np.concatenate([one.boxes * np.tile(size, 2) for one, size in zip(found, sizes, strict=True)]).astype(
            np.float64
        ),
        np.concatenate([one.labels for one in found]),
        np.concatenate([one.scores for one in found]).astype(np.float64),
    )
    return averages(detections, boxes, len(found), classes).ap()


def measure(file: Path, data: Path) -> dict[str, object]:
    """The shares of LiteRT's boxes that are found too, and the AP of all."""
    imported = import_weights(file)
    card = imported.card
    pixels = card.preprocessing
    photos = sorted((data / "images").iterdir())
    predictor = TorchPredictor(network_of_arrays(card, imported.tensors, file), card)
    litert, plain = DefaultEngine(file), Engine(file)
    found: dict[str, list[Found]] = {"litert": [], "litert_plain": [], "litert_raw": [], "imported": []}
    for photo in photos:
        image = pixels.prepare(photo)
        found["litert"].append(litert.run(image, pixels.mean[0], pixels.std[0]))
        found["litert_plain"].append(plain.run(image, pixels.mean[0], pixels.std[0]))
        found["litert_raw"] += found_boxes(plain.outputs(len(card.labels)), card)
        found["imported"] += found_boxes(predictor.predict(image[None]), card)
    labelled = truth(json.loads((data / "instances.json").read_text()), [photo.name for photo in photos], card.labels)
    counts = {name: matched(found["litert"], boxes) for name, boxes in found.items()}
    return {
        "photos": len(photos),
        "boxes": counts["litert"][1],
        "found": {name: hits / max(total, 1) for name, (hits, total) in counts.items()},
        "ap": {name: average_precision(boxes, *labelled, len(card.labels)) for name, boxes in found.items()},
    }


def main() -> None:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(description="An imported detector beside LiteRT.")
    parser.add_argument("file", type=Path)
    parser.add_argument("data", type=Path)
    arguments = parser.parse_args()
    print(json.dumps(measure(arguments.file, arguments.data)), flush=True)


if __name__ == "__main__":
    main()
