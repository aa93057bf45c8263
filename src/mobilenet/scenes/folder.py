"""A folder of scenes on disk. With one object each:

train/KIND/000003.jpg          photos by kind, ready for a classifier
validation/KIND/000003.jpg
attributes.csv                 file_name, split and a 0/1 column for each attribute, of all photos
scenes.json                    its settings: number of scenes, seed, side, objects

With several:

train/000003.jpg               photos
validation/000003.jpg
annotations/train.json         COCO: each object as a box in pixels, with its kind
annotations/validation.json
scenes.json

With land from above:

train/000003.jpg               photos
validation/000003.jpg
places.csv                     file_name, split, latitude and longitude of the centre, of all photos
scenes.json
"""

import csv
import io
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal, NamedTuple

from PIL import Image

from mobilenet.errors import ConfigError, DataError
from mobilenet.files import storage_errors
from mobilenet.scenes.aerial import draw_aerial
from mobilenet.scenes.placing import Split
from mobilenet.scenes.scene import ATTRIBUTES, draw_scene
from mobilenet.scenes.shapes import KINDS
from mobilenet.scenes.still_life import draw_still_life

__all__ = ["Objects", "SceneSettings", "write_scenes"]

Objects = Literal["one", "several", "land"]
"""In each scene: one, which has a kind and attributes, several, each of which has a kind and a box, or land from above,
whose place is known."""

Progress = Callable[[int, int], None]
"""Called with the number of scenes done and the total."""

_JPEG_QUALITY = 92
_RECEIPT = "scenes.json"
_LAYOUT = 3
"""Of the folder: earlier versions wrote boxes beside photos by kind, which were two data sets in one folder."""
_BATCH = 50
"""Scenes per task of a worker."""


@dataclass(frozen=True, slots=True)
class SceneSettings:
    """The contents of a folder of scenes: number per split, seed, side in pixels, what is in each."""

    train: int = 4000
    validation: int = 1000
    seed: int = 0
    side: int = 128
    objects: Objects = "one"


_Entry = Mapping[str, Any]
"""A photo's `file_name` and what is said of it."""


class _Layout(NamedTuple):
    """How scenes are stored: the `folders` of the photos of a split, what draws one, and what writes the rest."""

    folders: tuple[str, ...]
    draw: Callable[[Path, Split, SceneSettings, int], _Entry]
    finish: Callable[[Path, Mapping[Split, Sequence[_Entry]], SceneSettings], None]


def write_scenes(
    folder: Path,
    settings: SceneSettings | None = None,
    *,
    workers: int = 1,
    progress: Progress | None = None,
) -> bool:
    """Draw the scenes of `settings` into `folder`, which is created atomically; True if they were drawn now.

    False if `folder` already contains exactly these scenes. The bytes do not depend on `workers` (processes).
    `progress` is called in this process after every few scenes. DataError if the folder contains anything else;
    ConfigError if a split is smaller than the ten kinds; StorageError if it cannot be written.
    """
    settings = settings or SceneSettings()
    if min(settings.train, settings.validation) < len(KINDS):
        raise ConfigError(f"{settings.train} + {settings.validation} scenes; each split needs at least {len(KINDS)}")
    if _already(folder, settings):
        return False
    part = folder.parent / f".{folder.name}.part"
    with storage_errors(folder):
        shutil.rmtree(part, ignore_errors=True)
        try:
            _fill(part, settings, workers, progress)
            if folder.is_dir():
                folder.rmdir()
            part.rename(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return True


def _already(folder: Path, settings: SceneSettings) -> bool:
    """Whether these scenes already exist; DataError if the folder contains anything else."""
    receipt = folder / _RECEIPT
    if receipt.is_file() and receipt.read_bytes() == _json(_described(settings)):
        return True
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} exists and contains something else; choose another folder or remove it")
    return False


def _fill(folder: Path, settings: SceneSettings, workers: int, progress: Progress | None) -> None:
    layout = _LAYOUTS[settings.objects]
    counts: dict[Split, int] = {"train": settings.train, "validation": settings.validation}
    done, drawn = 0, dict[Split, list[_Entry]]()
    with _pool(workers) as run:
        for split, count in counts.items():
            for name in layout.folders:
                (folder / split / name).mkdir(parents=True)
            entries: list[_Entry] = []
            drawn[split] = entries
            draw = partial(_draw_batch, folder, split, settings, count)
            for batch in run(draw, range(0, count, _BATCH)):
                entries += batch
                done += len(batch)
                if progress is not None:
                    progress(done, sum(counts.values()))
    layout.finish(folder, drawn, settings)
    (folder / _RECEIPT).write_bytes(_json(_described(settings)))


def _described(settings: SceneSettings) -> dict[str, Any]:
    return {**asdict(settings), "layout": _LAYOUT}


@contextmanager
def _pool(workers: int) -> Iterator[Callable[..., Iterator[list[_Entry]]]]:
    """The `map` to draw with: in this process for one worker, else over new processes, with results in order."""
    if workers <= 1:
        yield map
        return
    # Forking a process in which torch has started threads can deadlock.
    pool: Executor = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
    try:
        yield pool.map
    finally:
        pool.shutdown(cancel_futures=True)


def _draw_batch(folder: Path, split: Split, settings: SceneSettings, count: int, start: int) -> list[_Entry]:
    draw = _LAYOUTS[settings.objects].draw
    return [draw(folder, split, settings, index) for index in range(start, min(start + _BATCH, count))]


def _draw_one(folder: Path, split: Split, settings: SceneSettings, index: int) -> _Entry:
    scene = draw_scene(settings.seed, index, split=split, side=settings.side)
    name = f"{split}/{scene.kind}/{index:06d}.jpg"
    Image.fromarray(scene.image).save(folder / name, quality=_JPEG_QUALITY)
    return {"file_name": name, "split": split, **scene.attributes}


def _write_attributes(folder: Path, drawn: Mapping[Split, Sequence[_Entry]], _settings: SceneSettings) -> None:
    _write_table(folder / "attributes.csv", ATTRIBUTES, drawn)


def _write_places(folder: Path, drawn: Mapping[Split, Sequence[_Entry]], _settings: SceneSettings) -> None:
    _write_table(folder / "places.csv", ("latitude", "longitude"), drawn)


def _write_table(path: Path, columns: Sequence[str], drawn: Mapping[Split, Sequence[_Entry]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, ["file_name", "split", *columns], lineterminator="\n")
    writer.writeheader()
    for entries in drawn.values():
        writer.writerows(entries)
    path.write_bytes(text.getvalue().encode())


def _draw_several(folder: Path, split: Split, settings: SceneSettings, index: int) -> _Entry:
    scene = draw_still_life(settings.seed, index, split=split, side=settings.side)
    name = f"{split}/{index:06d}.jpg"
    Image.fromarray(scene.image).save(folder / name, quality=_JPEG_QUALITY)
    objects = [
        {
            "category_id": KINDS.index(placed.kind) + 1,
            "bbox": [placed.box.left, placed.box.top, placed.box.width, placed.box.height],
            "area": int(placed.visible.sum()),
            "iscrowd": 0,
        }
        for placed in scene.objects
    ]
    return {"file_name": name, "objects": objects}


def _write_annotations(folder: Path, drawn: Mapping[Split, Sequence[_Entry]], settings: SceneSettings) -> None:
    (folder / "annotations").mkdir()
    for split, entries in drawn.items():
        (folder / "annotations" / f"{split}.json").write_bytes(_json(_coco(entries, settings.side)))


def _coco(entries: Sequence[_Entry], side: int) -> dict[str, Any]:
    """The COCO document; its ids count from 1, its boxes are [left, top, width, height] in pixels."""
    images = [
        {"id": number, "file_name": entry["file_name"], "width": side, "height": side}
        for number, entry in enumerate(entries, 1)
    ]
    objects = [(number, one) for number, entry in enumerate(entries, 1) for one in entry["objects"]]
    annotations = [{"id": number, "image_id": photo, **one} for number, (photo, one) in enumerate(objects, 1)]
    categories = [{"id": number, "name": kind} for number, kind in enumerate(KINDS, 1)]
    return {"images": images, "annotations": annotations, "categories": categories}


def _draw_land(folder: Path, split: Split, settings: SceneSettings, index: int) -> _Entry:
    scene = draw_aerial(settings.seed, index, split=split, side=settings.side)
    name = f"{split}/{index:06d}.jpg"
    Image.fromarray(scene.image).save(folder / name, quality=_JPEG_QUALITY)
    return {"file_name": name, "split": split, "latitude": scene.latitude, "longitude": scene.longitude}


def _json(document: Mapping[str, Any]) -> bytes:
    return (json.dumps(document) + "\n").encode()


_LAYOUTS: dict[Objects, _Layout] = {
    "one": _Layout(KINDS, _draw_one, _write_attributes),
    "several": _Layout(("",), _draw_several, _write_annotations),
    "land": _Layout(("",), _draw_land, _write_places),
}
