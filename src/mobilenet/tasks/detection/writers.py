"""What was found in photos as files: drawn on them, as COCO's JSON, and as the text files of YOLO's tools."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from mobilenet.files import atomic_write
from mobilenet.images.decode import decode
from mobilenet.model.card import ModelCard
from mobilenet.tasks.detection.answers import Detected, Located, drawn
from mobilenet.tasks.task import Answer, Writer

__all__ = ["WRITERS", "CocoFile", "DrawnPhotos", "YoloFolder"]

_QUALITY = 92


class DrawnPhotos:
    """Each photo with its boxes as a JPEG in `folder`, below it as the photos are; StorageError."""

    def __init__(self, folder: Path, _card: ModelCard) -> None:
        self._folder = folder

    def add(self, name: PurePosixPath, photo: Path, answer: Answer) -> None:
        """Draws a photo; ImageError if it cannot be read any more, StorageError."""
        from PIL import Image

        picture = Image.fromarray(drawn(decode(photo), _detected(answer)))
        with atomic_write(self._folder / name.with_suffix(".jpg")) as file:
            picture.save(file, "JPEG", quality=_QUALITY)

    def finish(self) -> None:
        """Every photo is written already."""


class YoloFolder:
    """In `folder` the names of the classes, `data.yaml`, and for each photo `labels/NAME.txt` with a line per box: the
    place of its class, centre from the left and from the top, width and height as shares of the photo."""

    def __init__(self, folder: Path, card: ModelCard) -> None:
        self._folder, self._names = folder, card.labels

    def add(self, name: PurePosixPath, _photo: Path, answer: Answer) -> None:
        """Writes the boxes of a photo, an empty file for none; StorageError."""
        found = _detected(answer)
        lines = [_yolo_line(one, found) for one in found.boxes]
        with atomic_write(self._folder / "labels" / name.with_suffix(".txt")) as file:
            file.write("".join(lines).encode())

    def finish(self) -> None:
        """Writes the names; StorageError."""
        # A list in JSON is one in YAML.
        names = json.dumps(list(self._names), ensure_ascii=False)
        with atomic_write(self._folder / "data.yaml") as file:
            file.write(f"names: {names}\nnc: {len(self._names)}\n".encode("utf-8", "replace"))


class CocoFile:
    """One data set in COCO's JSON: images, categories, and an annotation with its score for each box.

    `annotations` alone are what COCO calls results. The id of a photo is the number that its file is named by, as on
    COCO, if all have one of their own; else photos are counted from 1. Those of categories are counted from 1.
    """

    def __init__(self, file: Path, card: ModelCard) -> None:
        self._file, self._names = file, card.labels
        self._photos: list[tuple[PurePosixPath, Detected]] = []

    def add(self, name: PurePosixPath, _photo: Path, answer: Answer) -> None:
        """Remembers the boxes of a photo."""
        self._photos.append((name, _detected(answer)))

    def finish(self) -> None:
        """Writes the file; StorageError."""
        ids = _photo_ids([name for name, _ in self._photos])
        rows = [
            _coco_row(photo, one) for photo, (_, found) in zip(ids, self._photos, strict=True) for one in found.boxes
        ]
        document = {
            "images": [
                {"id": photo, "file_name": str(name), "width": found.width, "height": found.height}
                for photo, (name, found) in zip(ids, self._photos, strict=True)
            ],
            "categories": [{"id": number, "name": name} for number, name in enumerate(self._names, 1)],
            "annotations": [{"id": number, **row} for number, row in enumerate(rows, 1)],
        }
        with atomic_write(self._file) as file:
            file.write(json.dumps(document, allow_nan=False).encode("ascii"))


WRITERS: Mapping[str, Callable[[Path, ModelCard], Writer]] = {
    "drawn": DrawnPhotos,
    "coco": CocoFile,
    "yolo": YoloFolder,
}
"""By the name for `predict --save`."""


def _yolo_line(one: Located, found: Detected) -> str:
    across, down = (one.left + one.right) / 2 / found.width, (one.top + one.bottom) / 2 / found.height
    wide, high = (one.right - one.left) / found.width, (one.bottom - one.top) / found.height
    return f"{one.place} {across:.6f} {down:.6f} {wide:.6f} {high:.6f}\n"


def _coco_row(photo: int, one: Located) -> dict[str, Any]:
    left, top, wide, high = np.round((one.left, one.top, one.right - one.left, one.bottom - one.top), 2).tolist()
    return {
        "image_id": photo,
        "category_id": one.place + 1,
        "bbox": [left, top, wide, high],
        "area": round(wide * high, 2),
        "iscrowd": 0,
        "score": round(one.score, 5),
    }


def _photo_ids(names: list[PurePosixPath]) -> list[int]:
    numbers = [int(name.stem) for name in names if name.stem.isascii() and name.stem.isdigit() and len(name.stem) < 16]
    return numbers if len(set(numbers)) == len(names) else list(range(1, len(names) + 1))


def _detected(answer: Answer) -> Detected:
    if not isinstance(answer, Detected):
        raise TypeError(f"the answer is {type(answer).__name__}, not boxes")
    return answer
