"""The same boxes in every format read the same, and no damage to a file is more than one line."""

import json
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.datasets.boxes.writers import NAMES, WRITERS, Truth, coco_json, read_part, read_parts, voc_xml, yolo_text

from mobilenet.datasets.archive import Archive
from mobilenet.datasets.sources.boxes.annotation import Annotation, Fault, Reason
from mobilenet.datasets.sources.boxes.box_set import BoxSet
from mobilenet.datasets.sources.boxes.coco import parse_coco
from mobilenet.datasets.sources.boxes.data_yaml import read_data_yaml
from mobilenet.datasets.sources.boxes.find import box_places
from mobilenet.datasets.sources.boxes.packed import described_boxes, packed_boxes
from mobilenet.datasets.sources.boxes.settle import settle
from mobilenet.datasets.sources.boxes.voc import parse_voc
from mobilenet.datasets.sources.boxes.yolo import parse_labels
from mobilenet.errors import DataError, ImageError
from mobilenet.images import PhotoSize

_MUTATIONS = 400
_TRUTH = {
    "1.png": Truth((30, 40), (("cat", (2, 3, 20, 31.5)), ("dog house", (0, 0, 30, 40)))),
    "2.png": Truth((50, 20), (("owl", (48, 1, 50, 3)),)),
    "3.png": Truth((10, 10)),
}


def read(folder: Path) -> BoxSet:
    return read_parts(folder)[0]


@st.composite
def _truths(draw: st.DrawFn) -> dict[str, Truth]:
    truths = {}
    for number in range(draw(st.integers(1, 3))):
        height, width = draw(st.tuples(st.integers(8, 60), st.integers(8, 60)))

        def edges(side: int) -> st.SearchStrategy[tuple[float, float]]:
            # Quarters of pixels. VOC cannot tell a single pixel from a box without area.
            return st.integers(0, 4 * side - 5).flatmap(
                lambda low: st.tuples(st.just(low / 4), st.integers(low + 5, 4 * side).map(lambda high: high / 4))
            )

        corners = st.tuples(edges(height), edges(width)).map(lambda e: (e[0][0], e[1][0], e[0][1], e[1][1]))
        objects = draw(st.lists(st.tuples(st.sampled_from(NAMES), corners), max_size=4, unique=True))
        truths[f"{number}.png"] = Truth((height, width), tuple(objects))
    # Somewhere there is a box: without any, nobody could tell.
    truths["last.png"] = Truth((10, 12), (("cat", (1, 1, 9, 9)),))
    return truths


@given(_truths())
@settings(max_examples=25)
def test_the_same_boxes_read_the_same_in_every_format(truths: dict[str, Truth]) -> None:
    for write in WRITERS.values():
        with tempfile.TemporaryDirectory() as folder:
            found = read(write(Path(folder) / "data", truths))
        assert {Path(photo).name for photo in found.photos} == set(truths)
        assert not found.faults
        assert not found.frames
        for photo, boxes in found.photos.items():
            truth = truths[Path(photo).name]
            wanted = sorted((corners, label) for label, corners in truth.objects)
            assert boxes.labels == tuple(label for _, label in wanted)
            assert boxes.boxes.tolist() == [list(corners) for corners, _ in wanted]
            assert boxes.size == truth.size


@pytest.mark.parametrize("kind", WRITERS)
def test_photos_without_boxes_are_background(kind: str, tmp_path: Path) -> None:
    found = read(WRITERS[kind](tmp_path / "data", _TRUTH))
    assert (found.counts.photos, found.counts.background, found.counts.boxes) == (3, 1, 3)
    assert set(found.names) == set(NAMES)
    assert list(found.lines())[-1] == "photos: 3, without a box: 1; boxes: 3, around crowds: 0"


_PIECES = (
    b"NaN",
    b"-1",
    b"1e999",
    b"null",
    b"[]",
    b"{}",
    b'""',
    b"<",
    b">",
    b"&",
    b"\0",
    b"\xff",
    b"99999999999999999999",
)


_VALUES = re.compile(rb'(?<=[:,>\[ ])("[^"]*"|-?[0-9.]+|\w+)(?=[]},<\s])')
"""Of JSON, of XML, and of lines: what can be replaced so that the file stays whole."""

_ODD_VALUES = (
    *_PIECES,
    b"1",
    b"-7",
    b"0",
    b"1e-300",
    b"3.5",
    b"-0.0",
    b'"1"',
    b'"a b"',
    b"true",
    b'{"a": [1]}',
    b"[[1]]",
)


def mutated(data: bytes, seed: int) -> bytes:
    """Every other time with other values; else with one to three slices removed, doubled or replaced, or single bytes
    changed."""
    generator, text = np.random.default_rng(seed), bytearray(data)
    if seed % 2:
        chances = generator.random(len(data))
        return _VALUES.sub(
            lambda found: (
                _ODD_VALUES[generator.integers(len(_ODD_VALUES))] if chances[found.start()] < 0.1 else found[0]
            ),
            data,
        )
    for _ in range(generator.integers(1, 4)):
        start = int(generator.integers(0, len(text) + 1))
        end = min(len(text), start + int(generator.choice([0, 1, 2, 5, 20])))
        match generator.integers(4):
            case 0:
                text[start:end] = b""
            case 1:
                text[start:start] = text[start:end]
            case 2:
                text[start:end] = _PIECES[generator.integers(len(_PIECES))]
            case _:
                text[start:end] = generator.bytes(end - start)
    return bytes(text)


def _of_coco(data: bytes) -> list[Annotation]:
    found = parse_coco(data, Path("a.json"))
    assert all(isinstance(fault, Fault) for fault in found.faults)
    return [annotation for _, annotation in found.photos]


def _of_voc(data: bytes) -> list[Annotation]:
    return [parse_voc(data, Path("a.xml")).annotation]


def _of_yolo(data: bytes) -> list[Annotation]:
    return [parse_labels(data, NAMES).annotation, parse_labels(data, None, keypoints=True).annotation]


class _Photos:
    """Of no shard: their sizes are said."""

    def read(self, file: str) -> bytes:
        raise ImageError(f"{file} is not there")

    def stamp(self, file: str) -> tuple[bytes, int]:
        return file.encode(), 0

    def place(self, _file: str) -> tuple[int, int, int]:
        return (0, 0, 0)


def _of_packed(data: bytes) -> list[Annotation]:
    """What the JSON beside a photo in a shard says, which is not read if it is damaged."""
    try:
        about = json.loads(data)
    except ValueError:
        return []
    found = packed_boxes(
        Path("shards"), Archive({}, _Photos(), about={"1.png": about} if isinstance(about, dict) else {})
    )
    for boxes in found.photos.values():
        assert (boxes.boxes[:, :2] < boxes.boxes[:, 2:]).all()
        assert ((boxes.boxes >= 0) & (boxes.boxes <= [*boxes.size] * 2)).all()
    assert len(found.photos) or found.faults or "boxes" not in about
    assert not any("\n" in line for line in (*found.lines(), *found.doubtful(), *found.peculiar()))
    return []


def _outlined() -> str:
    document = json.loads(coco_json(_TRUTH))
    outlines = (
        [[1, 1, 9, 1, 9, 9.5]],
        {"size": [50, 20], "counts": [60, 5, 10, 40]},
        {"size": [9, 9], "counts": "0135"},
    )
    for row, outline in zip(document["annotations"], outlines, strict=True):
        row |= {"segmentation": outline, "iscrowd": 0, "bbox": row["bbox"][: len(row["bbox"]) * (row["id"] % 2)]}
    return json.dumps(document)


_PACKED = described_boxes(
    ["cat", "owl"], np.array([[0, 1.5, 20, 30], [2, 3, 30, 40]]), np.array([True, False]), (30, 40)
)

_PARSERS: dict[str, tuple[Callable[[bytes], list[Annotation]], str]] = {
    "coco": (_of_coco, _outlined()),
    "voc": (_of_voc, voc_xml("1.png", _TRUTH["1.png"])),
    "packed": (_of_packed, json.dumps(_PACKED)),
    "yolo": (_of_yolo, yolo_text(_TRUTH["1.png"]) + "1 0.1 0.1 0.5 0.1 0.5 0.7\n2 0.5 0.5 0.1 0.1 0.99\n"),
}


@pytest.mark.parametrize("kind", _PARSERS)
def test_damaged_files_are_one_line_or_boxes(kind: str) -> None:
    parse, text = _PARSERS[kind]
    assert all(annotation.boxes or annotation.faults or kind == "coco" for annotation in parse(text.encode()))
    refused = used = 0
    for seed in range(_MUTATIONS):
        try:
            annotations = parse(mutated(text.encode(), seed))
        except DataError as error:
            refused += 1
            assert "\n" not in str(error)  # noqa: PT017 - most are no error
            continue
        used += 1
        for size in (PhotoSize(30, 40), PhotoSize(40, 30, 6), PhotoSize(200, 10)):
            for annotation in annotations:
                _check(annotation, size)
    assert used > 20
    assert refused > 50 or kind in ("yolo", "packed")


def _check(annotation: Annotation, size: PhotoSize) -> None:
    settled = settle(annotation, size)
    if isinstance(settled, Reason):
        assert annotation.unit == "pixels"
        return
    boxes = settled.boxes.boxes
    assert boxes.shape == (len(settled.boxes), 4)
    assert ((boxes >= 0) & (boxes <= [size.height, size.width] * 2)).all()
    assert (boxes[:, :2] < boxes[:, 2:]).all()
    assert all(label.strip() and label.encode() for label in settled.boxes.labels)
    json.dumps([detail for _, detail in settled.faults])


def test_damaged_yaml_is_one_line_or_names(tmp_path: Path) -> None:
    text = "path: .\ntrain: [images/train, images/more]\nval: images/val\nnc: 2\nnames:\n  0: cat\n  1: 'dog house'\n"
    file = tmp_path / "data.yaml"
    refused = 0
    for seed in range(_MUTATIONS // 2):
        file.write_bytes(mutated(text.encode(), seed))
        try:
            names = read_data_yaml(file).names
        except DataError as error:
            refused += 1
            assert "\n" not in str(error)  # noqa: PT017 - many are no error
            continue
        assert names is None or all(name.encode() for name in names)
    assert refused > 20


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.suffix in (".json", ".xml", ".yaml", ".txt"))


@pytest.mark.parametrize("kind", WRITERS)
def test_damaged_data_sets_are_one_line_or_listed(kind: str, tmp_path: Path) -> None:
    folder = WRITERS[kind](tmp_path / "data", _TRUTH)
    whole = {path: path.read_bytes() for path in _files(folder)}
    for seed in range(40):
        for number, (path, data) in enumerate(whole.items()):
            path.write_bytes(mutated(data, 1000 * number + seed))
        try:
            places = box_places(folder)
            found = None if places is None else read_part(places.train)
            lines = [] if found is None else [*found.lines(), *found.doubtful(), *found.peculiar()]
        except DataError as error:
            lines = [str(error)]
        assert not any("\n" in line for line in lines)
