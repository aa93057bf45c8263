"""The folder of scenes: whole or not there, the same for any number of workers, and readable by everybody."""

import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilenet.errors import ConfigError, DataError
from mobilenet.scenes import (
    ATTRIBUTES,
    KINDS,
    SceneSettings,
    draw_aerial,
    draw_scene,
    draw_still_life,
    folder,
    write_scenes,
)
from mobilenet.tasks import open_dataset

_SMALL = SceneSettings(train=60, validation=20, seed=4, side=64)
_SEVERAL = SceneSettings(train=20, validation=10, seed=4, side=64, objects="several")
_LAND = SceneSettings(train=12, validation=10, seed=4, side=32, objects="land")


def _digests(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("drawn") / "scenes"
    assert write_scenes(root, _SMALL)
    return root


def test_workers_make_no_difference(scenes: Path, tmp_path: Path) -> None:
    done: list[tuple[int, int]] = []
    write_scenes(tmp_path / "scenes", _SMALL, workers=2, progress=lambda *counts: done.append(counts))
    assert _digests(tmp_path / "scenes") == _digests(scenes)
    assert done == [(50, 80), (60, 80), (80, 80)]


def test_it_opens_as_a_data_set(scenes: Path) -> None:
    dataset = open_dataset(scenes)
    assert dataset.classes == KINDS
    assert np.bincount(dataset.train.targets.numbers).tolist() == [6] * 10
    assert np.bincount(dataset.validation.targets.numbers).tolist() == [2] * 10


def test_its_table_opens_as_a_data_set_too(scenes: Path) -> None:
    dataset = open_dataset(scenes / "attributes.csv")
    assert dataset.classes == ATTRIBUTES
    assert (len(dataset.train), len(dataset.validation)) == (60, 20)
    drawn = draw_scene(4, int(Path(dataset.train.files[0]).stem), side=64)
    assert dataset.train.targets.values[0].tolist() == [drawn.attributes[name] for name in ATTRIBUTES]


def test_photos_show_their_scenes(scenes: Path) -> None:
    with Image.open(scenes / "train" / "house" / "000013.jpg") as photo:
        photo.load()
    drawn = draw_scene(4, 13, side=64)
    assert drawn.kind == "house"
    assert photo.size == (64, 64)
    # JPEG loses what is finest, which noise is.
    assert np.abs(np.asarray(photo).astype(int) - drawn.image).mean() < 10


@pytest.mark.parametrize(("split", "count"), [("train", 60), ("validation", 20)])
def test_attributes_are_those_of_the_scenes(scenes: Path, split: str, count: int) -> None:
    with (scenes / "attributes.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == split]
    assert len(rows) == count
    assert list(rows[0]) == ["file_name", "split", *ATTRIBUTES]
    for index, row in enumerate(rows):
        drawn = draw_scene(4, index, split=split, side=64)  # type: ignore[arg-type]
        assert row["file_name"] == f"{split}/{drawn.kind}/{index:06d}.jpg"
        assert (scenes / row["file_name"]).is_file()
        assert {name: int(row[name]) for name in ATTRIBUTES} == drawn.attributes


def test_several_objects_open_as_a_data_set_with_their_boxes(tmp_path: Path) -> None:
    write_scenes(tmp_path / "scenes", _SEVERAL)
    dataset = open_dataset(tmp_path / "scenes")
    assert dataset.classes == KINDS
    assert [len(dataset.train), len(dataset.validation)] == [20, 10]
    assert not dataset.doubtful
    for split, photos in (("train", dataset.train), ("validation", dataset.validation)):
        found = list(photos.targets.lines(dataset.vocabulary))
        for file, line in zip(photos.files, found, strict=True):
            drawn = draw_still_life(4, int(Path(file).stem), split=split, side=64)  # type: ignore[arg-type]
            boxes = [(one.kind, one.box.top, one.box.left, one.box.height, one.box.width) for one in drawn.objects]
            said = [
                (kind, 64 * top, 64 * left, 64 * (bottom - top), 64 * (right - left))
                for kind, top, left, bottom, right in line
            ]
            assert sorted(said) == sorted(boxes)


def test_areas_are_those_that_are_seen(tmp_path: Path) -> None:
    write_scenes(tmp_path / "scenes", _SEVERAL, workers=2)
    coco = json.loads((tmp_path / "scenes" / "annotations" / "train.json").read_text("utf-8"))
    drawn = [placed for index in range(20) for placed in draw_still_life(4, index, side=64).objects]
    assert [note["area"] for note in coco["annotations"]] == [int(placed.visible.sum()) for placed in drawn]
    assert [image["file_name"] for image in coco["images"]] == [f"train/{index:06d}.jpg" for index in range(20)]
    assert all((tmp_path / "scenes" / image["file_name"]).is_file() for image in coco["images"])


def test_land_from_above_comes_with_its_places(tmp_path: Path) -> None:
    write_scenes(tmp_path / "scenes", _LAND)
    with (tmp_path / "scenes" / "places.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["split"] for row in rows] == ["train"] * 12 + ["validation"] * 10
    for number, row in enumerate(rows):
        split, index = ("train", number) if number < 12 else ("validation", number - 12)
        assert row["file_name"] == f"{split}/{index:06d}.jpg"
        drawn = draw_aerial(4, index, split=split, side=32)  # type: ignore[arg-type]
        assert (float(row["latitude"]), float(row["longitude"])) == (drawn.latitude, drawn.longitude)
        with Image.open(tmp_path / "scenes" / row["file_name"]) as photo:
            assert np.abs(np.asarray(photo).astype(int) - drawn.image).mean() < 10


def test_scenes_that_are_there_are_not_drawn_again(scenes: Path) -> None:
    before = (scenes / "scenes.json").stat().st_mtime_ns
    assert not write_scenes(scenes, _SMALL)
    assert (scenes / "scenes.json").stat().st_mtime_ns == before


def test_other_scenes_and_strangers_files_are_never_overwritten(scenes: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine", "utf-8")
    for root, settings in [(scenes, SceneSettings(60, 20, seed=5, side=64)), (tmp_path, _SMALL)]:
        before = _digests(root)
        with pytest.raises(DataError, match="exists and contains something else; choose another folder or remove it"):
            write_scenes(root, settings)
        assert _digests(root) == before


def test_an_interruption_leaves_nothing_that_looks_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(folder, "_json", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write_scenes(tmp_path / "scenes", _SMALL)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_cleared_away(tmp_path: Path) -> None:
    stale = tmp_path / ".scenes.part" / "train" / "mug" / "999999.jpg"
    stale.parent.mkdir(parents=True)
    stale.touch()
    (tmp_path / "scenes").mkdir()
    write_scenes(tmp_path / "scenes", SceneSettings(10, 10, side=32))
    assert [path.name for path in tmp_path.iterdir()] == ["scenes"]
    assert len(list((tmp_path / "scenes").rglob("*.jpg"))) == 20


def test_too_few_scenes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^60 \+ 9 scenes; each split needs at least 10$"):
        write_scenes(tmp_path / "scenes", SceneSettings(60, 9))
    assert list(tmp_path.iterdir()) == []
