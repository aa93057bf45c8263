"""The boxes of photos as targets: the same from every format and from shards, bit for bit."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.datasets.boxes.writers import (
    NAMES,
    WRITERS,
    Truth,
    coco_json,
    write_coco,
    write_photo,
    write_voc,
    write_yolo,
)

from mobilenet.datasets.dataset import Dataset, open_dataset, open_judges
from mobilenet.datasets.pack import pack
from mobilenet.datasets.reader import NamedPart, Place, Places, Source
from mobilenet.datasets.targets import ManyLabels, Targets
from mobilenet.errors import DataError
from mobilenet.model.vocabulary import Vocabulary
from mobilenet.tasks.detection import read as reading
from mobilenet.tasks.detection.targets import BoxTargets

_FIELDS = ("boxes", "labels", "crowd", "sizes", "starts")


class Boxes:
    """Reads data sets alone, as the task does."""

    def places(self, data: Path, /) -> Places:
        return reading.places(data)

    def source(self, place: Place, /) -> Source:
        return reading.read_source(place)

    def read(self, data: Path, train: Source, judges: Source | None, /) -> tuple[Vocabulary, Targets, Targets | None]:
        return reading.read_boxes(data, train, judges)

    def described(self, targets: Targets, vocabulary: Vocabulary, /) -> Iterator[Mapping[str, Any]]:
        assert isinstance(targets, BoxTargets)
        return reading.described(targets, vocabulary)

    def targets(self, source: Source, vocabulary: Vocabulary, /) -> Targets:
        return reading.box_targets(source, vocabulary.names, "the model")


def _truths(count: int, seed: int = 0) -> dict[str, Truth]:
    """Photos of random sizes with up to three boxes in quarters of pixels; every fifth is background."""
    generator, truths = np.random.default_rng(seed), dict[str, Truth]()
    for number in range(count):
        height, width = (int(side) for side in generator.integers(20, 90, 2))
        objects = []
        for _ in range(0 if number % 5 == 4 else int(generator.integers(1, 4))):
            top, left = (int(generator.integers(0, side - 8)) for side in (height, width))
            bottom, right = (
                float(generator.integers(4 * low + 8, 4 * side + 1)) / 4 for low, side in ((top, height), (left, width))
            )
            objects.append((NAMES[generator.integers(len(NAMES))], (float(top), float(left), bottom, right)))
        truths[f"{number:02}.png"] = Truth((height, width), tuple(objects))
    # Every class, and one box at the very edge, which also says from where VOC counts.
    truths["all.png"] = Truth((16, 16), tuple((name, (0, 1 + place, 15, 16)) for place, name in enumerate(NAMES)))
    return truths


def _bits(targets: Targets) -> dict[str, tuple[str, bytes]]:
    return {name: (str(value.dtype), value.tobytes()) for name in _FIELDS for value in [getattr(targets, name)]}


def _content(dataset: Dataset) -> list[tuple[list[str], list[Any]]]:
    """The photos of both parts by their names alone, and their boxes by the names of classes."""
    parts = (dataset.train, dataset.validation)
    return [
        ([file.rpartition("/")[2] for file in part.files], list(part.targets.lines(dataset.vocabulary)))
        for part in parts
    ]


def test_every_format_and_shards_give_the_same_data_set_bit_for_bit(tmp_path: Path) -> None:
    truths = _truths(30)
    found = dict[str, Dataset]()
    for kind, write in WRITERS.items():
        folder = write(tmp_path / kind, truths)
        assert reading.looks_like_detection(folder)
        found[kind] = open_dataset(folder, Boxes(), seed=3)
        pack(folder, Boxes(), tmp_path / f"{kind}-shards")
        assert reading.looks_like_detection(tmp_path / f"{kind}-shards")
        found[f"{kind}-shards"] = open_dataset(tmp_path / f"{kind}-shards", Boxes(), seed=3)
    assert found["coco"].vocabulary.names == found["yolo"].vocabulary.names == NAMES
    assert found["voc"].vocabulary.names == tuple(sorted(NAMES))
    for kind in WRITERS:
        assert found[f"{kind}-shards"].vocabulary == found[kind].vocabulary
    wanted = found["coco"]
    assert len(wanted.validation) > 2
    for dataset in found.values():
        assert _content(dataset) == _content(wanted)
        for own, part in ((dataset.train, wanted.train), (dataset.validation, wanted.validation)):
            same = _bits(part.targets)
            if dataset.vocabulary.names != NAMES:
                places = np.array([NAMES.index(name) for name in dataset.vocabulary.names])
                assert isinstance(own.targets, BoxTargets)
                same["labels"] = _bits(own.targets)["labels"]
                assert places[own.targets.labels].tobytes() == _bits(part.targets)["labels"][1]
            assert _bits(own.targets) == same


def test_targets_are_what_was_written(tmp_path: Path) -> None:
    truth = Truth((30, 40), (("owl", (2, 3, 20, 31.5)), ("cat", (0, 0, 30, 40))))
    source = reading.read_source(write_coco(tmp_path / "data", {"1.png": truth, "2.png": Truth((7, 9))}))
    targets = reading.box_targets(source.in_order(), NAMES, "training")
    assert targets.boxes.tolist() == np.array([[0, 0, 1, 1], [2 / 30, 3 / 40, 20 / 30, 31.5 / 40]], np.float32).tolist()
    assert (targets.labels.tolist(), targets.starts.tolist()) == ([0, 1], [0, 2, 2])
    assert targets.sizes.tolist() == [[30, 40], [7, 9]]
    assert isinstance(targets, ManyLabels)


@pytest.mark.parametrize("side", [1, 3, 640, 4001, 65_521, 400_000])
def test_shards_describe_boxes_exactly(side: int) -> None:
    generator = np.random.default_rng(side)
    edges = np.sort(generator.integers(0, 32 * side + 1, (200, 2, 2)), axis=1).reshape(-1, 4) / 32
    shares = (edges / side).astype(np.float32)
    sizes = np.full((1, 2), side, np.int32)
    labels, crowd = generator.integers(0, 3, 200), generator.integers(0, 2, 200).astype(np.bool_)
    targets = BoxTargets(shares, labels, crowd, sizes, np.array([0, 200]))
    (said,) = json.loads(json.dumps(list(reading.described(targets, Vocabulary(NAMES)))))
    assert (said["height"], said["width"]) == (side, side)
    written = [[row[edge] for edge in ("top", "left", "bottom", "right")] for row in said["boxes"]]
    assert written == edges.tolist()
    assert (np.array(written) / side).astype(np.float32).tobytes() == shares.tobytes()
    assert [NAMES.index(row["label"]) for row in said["boxes"]] == labels.tolist()
    assert [row.get("crowd", False) for row in said["boxes"]] == crowd.tolist()


def test_crowds_are_kept_and_packed_as_such(tmp_path: Path) -> None:
    folder = write_coco(tmp_path / "data", _truths(8))
    document = json.loads((folder / "instances.json").read_text("utf-8"))
    for row in document["annotations"][::2]:
        row["iscrowd"] = 1
    (folder / "instances.json").write_text(json.dumps(document), "utf-8")
    pack(folder, Boxes(), tmp_path / "shards")
    files, shards = (reading.read_source(path).in_order() for path in (folder, tmp_path / "shards"))
    one, other = (reading.box_targets(source, NAMES, "the model") for source in (files, shards))
    assert 0 < one.crowd.sum() < len(one.crowd)
    assert _bits(one) == _bits(other)


def test_copies_of_a_photo_are_on_one_side_of_the_split(tmp_path: Path) -> None:
    copies = {f"copy{number}.png": Truth((20, 20), (("cat", (1, 1, 9, 9)),)) for number in range(9)}
    dataset = open_dataset(write_yolo(tmp_path / "data", _truths(20) | copies), Boxes(), validation_fraction=0.3)
    sides = [sum("copy" in file for file in part.files) for part in (dataset.train, dataset.validation)]
    assert sorted(sides) == [0, 9]


@pytest.mark.parametrize("kind", WRITERS)
def test_a_photo_that_cannot_be_read_is_left_to_whoever_decodes_it(kind: str, tmp_path: Path) -> None:
    folder = WRITERS[kind](tmp_path / "data", _truths(6))
    next(folder.rglob("01.png")).write_bytes(b"not a photo")
    source = reading.read_source(folder)
    assert len(source.annotations) == 7
    assert "not used: photo that cannot be read: 1" in "\n".join(source.notes)
    assert source.doubtful == ()
    lost = next(name for name in source.annotations if name.endswith("01.png"))
    assert len(source.annotations[lost]) == 0


def test_what_is_wrong_is_listed_by_photo_and_reason_and_counted_for_everybody(tmp_path: Path) -> None:
    truth = Truth(
        (20, 40), (("cat", (5, 5, 5, 9)), ("cat", (1, 1, 9, 9)), ("owl", (9, 9, 1, 2)), ("owl", (1, 90, 9, 99)))
    )
    folder = write_coco(tmp_path / "data", {"1.png": truth, "2.png": truth})
    (folder / "images" / "2.png").unlink()
    source = reading.read_source(folder)
    reasons = "box outside the photo: 1; box without area: 1; photo that is missing, or whose name several have: 1"
    assert source.notes == (
        f"{folder}: photos: 1, without a box: 0; boxes: 2, around crowds: 0",
        f"{folder}: not used: {reasons}",
        f"{folder}: mended: corners in the wrong order: 1",
    )
    assert sorted(source.doubtful) == [
        f"{folder}: 2.png: photo that is missing, or whose name several have",
        f"{folder}: images/1.png: box outside the photo (owl at 1, 90, 9, 99)",
        f"{folder}: images/1.png: box without area (cat at 5, 5, 5, 9)",
    ]
    assert source.peculiar == (f"{folder}: images/1.png: corners in the wrong order (owl at 9, 9, 1, 2)",)


def test_parts_can_be_read_on_their_own(tmp_path: Path) -> None:
    truths = _truths(12)
    voc = write_voc(tmp_path / "voc", truths)
    (voc / "ImageSets" / "Main").mkdir(parents=True)
    for part, names in (("train", list(truths)[:8]), ("test", list(truths)[8:])):
        (voc / "ImageSets" / "Main" / f"{part}.txt").write_text("".join(f"{Path(name).stem}\n" for name in names))
    (judge,) = reading.places(voc).judging
    assert judge == NamedPart(voc, "ImageSets/Main/test.txt")
    judges = open_judges(voc, Boxes(), Vocabulary(NAMES))
    assert (len(judges.photos), judges.split) == (5, "given: test.txt")
    alone = open_judges(voc / "ImageSets" / "Main" / "test.txt", Boxes(), Vocabulary(NAMES))
    assert (alone.photos.files, alone.split) == (judges.photos.files, None)
    assert _bits(alone.photos.targets) == _bits(judges.photos.targets)


def test_the_classes_of_photos_of_a_part_are_those_of_data_yaml_above(tmp_path: Path) -> None:
    folder = write_yolo(tmp_path / "yolo", _truths(6))
    assert reading.looks_like_detection(folder / "images")
    targets = [
        reading.box_targets(reading.read_source(place).in_order(), NAMES, "the model")
        for place in (folder, folder / "data.yaml", folder / "images")
    ]
    assert len({str(_bits(each)) for each in targets}) == 1
    (folder / "data.yaml").write_text("train: elsewhere\nnames: [cat, owl, dog house]\n", "utf-8")
    with pytest.raises(DataError, match="has boxes of a class that the model lacks: 0, 1, 2; its classes are cat, owl"):
        reading.box_targets(reading.read_source(folder / "images"), NAMES, "the model")


def test_nothing_to_learn_and_unknown_classes_are_errors(tmp_path: Path) -> None:
    folder = write_coco(tmp_path / "data", {"1.png": Truth((20, 20)), "2.png": Truth((20, 20))})
    with pytest.raises(DataError, match="data has no box of a single object in its training photos"):
        open_dataset(folder, Boxes())
    for part, label in (("train", "cat"), ("val", "owl")):
        truth = {f"{part}.png": Truth((20, 20), ((label, (1, 1, 9, 9)),))}
        write_photo(tmp_path / "two" / "images" / f"{part}.png", (20, 20))
        (tmp_path / "two" / f"{part}.json").write_text(coco_json(truth, [label]), "utf-8")
    with pytest.raises(
        DataError, match=r"val\.json has boxes of a class that training lacks: owl; its classes are cat"
    ):
        open_dataset(tmp_path / "two", Boxes())


def test_photos_without_boxes_are_told_how_to_get_some(tmp_path: Path) -> None:
    write_photo(tmp_path / "cat" / "1.png", (20, 20))
    assert not reading.looks_like_detection(tmp_path)
    assert not reading.looks_like_detection(tmp_path / "nowhere")
    with pytest.raises(DataError, match="has no boxes; give a COCO file"):
        open_dataset(tmp_path, Boxes())


def test_a_damaged_data_set_is_recognised_all_the_same(tmp_path: Path) -> None:
    folder = write_yolo(tmp_path / "data", _truths(3))
    (folder / "data.yaml").write_text("train: nowhere\nnames: [a\n", "utf-8")
    assert reading.looks_like_detection(folder)
    with pytest.raises(DataError, match=r"data\.yaml is not YAML, or is damaged at line 3"):
        open_dataset(folder, Boxes())
