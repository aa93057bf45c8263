"""The same photos with the same boxes as COCO, as VOC and as YOLO's tools write them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from mobilenet.datasets.reader import NamedPart, Place
from mobilenet.datasets.sources.boxes.box_set import BoxSet
from mobilenet.datasets.sources.boxes.find import box_part, box_places

NAMES = ("cat", "owl", "dog house")


@dataclass(frozen=True)
class Truth:
    """A photo's (height, width) and its objects: label and top, left, bottom, right in pixels."""

    size: tuple[int, int]
    objects: tuple[tuple[str, tuple[float, float, float, float]], ...] = ()


def write_photo(path: Path, size: tuple[int, int], orientation: int = 1) -> Path:
    """A grey photo that is stored with this (height, width)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("L", size[::-1], 99).save(path, exif=exif)
    return path


def coco_json(truths: Mapping[str, Truth], names: Sequence[str] = NAMES) -> str:
    """Ids with gaps, annotations from the last photo to the first, neither area nor iscrowd."""
    photos = {file: 7 + 13 * number for number, file in enumerate(truths)}
    rows = [
        {
            "image_id": photos[file],
            "category_id": 3 + 5 * names.index(label),
            "bbox": [left, top, right - left, bottom - top],
        }
        for file, truth in reversed(truths.items())
        for label, (top, left, bottom, right) in truth.objects
    ]
    document = {
        "images": [
            {"id": photos[file], "file_name": file, "height": truth.size[0], "width": truth.size[1]}
            for file, truth in truths.items()
        ],
        "annotations": [{"id": 100 - number} | row for number, row in enumerate(rows)],
        "categories": [{"id": 3 + 5 * number, "name": name} for number, name in enumerate(names)],
    }
    return json.dumps(document)


def voc_xml(file: str, truth: Truth) -> str:
    """Coordinates from 1, the last pixel included; no `difficult`."""
    objects = "".join(
        f"<object><name>{label}</name><bndbox><xmin>{left + 1}</xmin><ymin>{top + 1}</ymin><xmax>{right}</xmax>"
        f"<ymax>{bottom}</ymax></bndbox></object>\n"
        for label, (top, left, bottom, right) in truth.objects
    )
    height, width = truth.size
    size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
    return f"<annotation><filename>{file}</filename>{size}\n{objects}</annotation>"


def yolo_text(truth: Truth, names: Sequence[str] = NAMES) -> str:
    """Six digits behind the point."""
    height, width = truth.size
    return "".join(
        f"{names.index(label)} {(left + right) / 2 / width:.6f} {(top + bottom) / 2 / height:.6f} "
        f"{(right - left) / width:.6f} {(bottom - top) / height:.6f}\n"
        for label, (top, left, bottom, right) in truth.objects
    )


def write_coco(folder: Path, truths: Mapping[str, Truth]) -> Path:
    for file, truth in truths.items():
        write_photo(folder / "images" / file, truth.size)
    (folder / "instances.json").write_text(coco_json(truths), "utf-8")
    return folder


def write_voc(folder: Path, truths: Mapping[str, Truth]) -> Path:
    (folder / "Annotations").mkdir(parents=True)
    for file, truth in truths.items():
        write_photo(folder / "JPEGImages" / file, truth.size)
        (folder / "Annotations" / Path(file).with_suffix(".xml")).write_text(voc_xml(file, truth), "utf-8")
    return folder


def write_yolo(folder: Path, truths: Mapping[str, Truth]) -> Path:
    (folder / "labels").mkdir(parents=True)
    for file, truth in truths.items():
        write_photo(folder / "images" / file, truth.size)
        (folder / "labels" / Path(file).with_suffix(".txt")).write_text(yolo_text(truth), "utf-8")
    (folder / "data.yaml").write_text(f"train: images\nnames: {json.dumps(NAMES)}\n", "utf-8")
    return folder


WRITERS = {"coco": write_coco, "voc": write_voc, "yolo": write_yolo}


def read_parts(data: Path) -> list[BoxSet]:
    """The training part of a data set, and those that may judge."""
    places = box_places(data)
    assert places is not None
    return [read_part(place) for place in (places.train, *places.judging)]


def read_part(place: Place) -> BoxSet:
    assert isinstance(place, Path | NamedPart)
    part = box_part(place)
    assert part is not None
    return part.read()
