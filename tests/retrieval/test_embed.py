"""Vectors of a folder are computed once, whatever happens in between."""

import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
from tests.retrieval.conftest import paint

from mobilenet.cli.main import main
from mobilenet.datasets.cache.eviction import make_room
from mobilenet.datasets.cache.rows import RowCache
from mobilenet.errors import ConfigError, ModelError
from mobilenet.images.prepare import prepare_photos
from mobilenet.retrieval import embed as embedding
from mobilenet.retrieval.embed import gallery
from mobilenet.retrieval.store import SEGMENT_ROWS, Row, opened
from mobilenet.runtimes.predictor import open_model

Capture = pytest.CaptureFixture[str]


def _run(capsys: Capture, *words: object, exit_code: int = 0) -> tuple[str, str]:
    assert main([str(word) for word in words]) == exit_code
    printed = capsys.readouterr()
    return printed.out, printed.err


def _wanted(model: Path, photos: Path, names: list[str]) -> np.ndarray:
    predictor = open_model(model)
    found = prepare_photos(predictor.preprocessing, lambda name: photos / name, names)
    return np.concatenate([predictor.predict(prepared[0][None])["embedding"] for _, prepared in found])


def test_both_kinds_of_file_hold_the_vectors_of_the_model(
    model: Path, photos: Path, tmp_path: Path, capsys: Capture
) -> None:
    names = sorted(f"part{number % 2}/{number}.png" for number in range(8))
    said, noted = _run(capsys, "embed", model, photos, "--out", tmp_path / "v.parquet")
    assert said.startswith("8 vectors of 256 numbers in ")
    assert noted.startswith("mobilenet: broken.jpg: ")
    table = pyarrow.parquet.read_table(tmp_path / "v.parquet")
    assert table["file_name"].to_pylist() == names
    vectors = np.array(table["vector"].to_pylist(), np.float32)
    assert vectors == pytest.approx(_wanted(model, photos, names), abs=1e-6)
    found = json.loads(_run(capsys, "embed", model, photos, "--out", tmp_path / "v.npy", "--json")[0])
    assert (found["photos"], found["dimensions"], found["computed"]) == (8, 256, 0)
    assert np.array_equal(np.load(tmp_path / "v.npy"), vectors)
    listed = json.loads((tmp_path / "v.npy.json").read_text())
    assert listed["files"] == names
    assert [photo["file"] for photo in listed["left_out"]] == ["broken.jpg"]


def test_photos_that_came_went_or_changed_are_noticed(
    model: Path, photos: Path, tmp_path: Path, capsys: Capture
) -> None:
    def computed() -> tuple[int, int, int]:
        out = _run(capsys, "embed", model, photos, "--out", tmp_path / "v.npy", "--json")[0]
        found = json.loads(out)
        names = json.loads((tmp_path / "v.npy.json").read_text())["files"]
        assert np.load(tmp_path / "v.npy") == pytest.approx(_wanted(model, photos, names), abs=1e-6)
        return found["photos"], found["computed"], found["gone"]

    # The broken file was looked at, too.
    assert computed() == (8, 9, 0)
    assert computed() == (8, 0, 0)
    paint(photos / "new.png", 50)
    (photos / "part0" / "0.png").unlink()
    paint(photos / "part1" / "1.png", 51)
    paint(photos / "broken.jpg", 52)
    assert computed() == (9, 3, 1)
    assert computed() == (9, 0, 0)
    paint(photos / "part0" / "0.png", 0)
    assert computed() == (10, 1, 0)


def test_an_interrupted_command_goes_on_where_it_stopped(
    model: Path, photos: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = open_model(model)
    real, seen = embedding.predict_photos, list[str]()

    def stopping(*given: object) -> object:
        for photo in real(*given):  # type: ignore[arg-type]
            if len(seen) == 5:
                raise KeyboardInterrupt
            seen.append(photo.path.name)
            yield photo

    with monkeypatch.context() as patch:
        patch.setattr(embedding, "predict_photos", stopping)
        # Five photos were answered, and the broken one is among them.
        noted = _run(capsys, "embed", model, photos, "--out", tmp_path / "v.npy", exit_code=130)[1].splitlines()
        assert noted[-2:] == [
            "mobilenet: kept 4 vectors of 9 photos; the same command resumes where it stopped",
            "mobilenet: interrupted",
        ]
        noted = _run(capsys, "similar", model, photos / "part0" / "0.png", photos, exit_code=130)[1].splitlines()
        assert noted[-2].startswith("mobilenet: kept 4 vectors of 9 photos")
    assert not (tmp_path / "v.npy").exists()
    found = json.loads(_run(capsys, "embed", model, photos, "--out", tmp_path / "v.npy", "--json")[0])
    assert (found["photos"], found["computed"]) == (8, 4)
    names = json.loads((tmp_path / "v.npy.json").read_text())["files"]
    assert np.load(tmp_path / "v.npy") == pytest.approx(_wanted(model, photos, names), abs=1e-6)
    assert predictor.task == "embedding"


def test_what_cannot_be_done_is_one_line(model: Path, photos: Path, tmp_path: Path, capsys: Capture) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.jpg").write_bytes(b"nothing")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "diary.txt").write_text("dear diary")
    for words, line in (
        ((photos, "--out", "v.txt"), "v.txt ends in '.txt'; use .parquet or .npy"),
        ((empty, "--out", tmp_path / "v.npy"), "empty contains no photos"),
        ((tmp_path / "bad", "--out", tmp_path / "v.npy"), "no photo could be read; the reason for each is above"),
        ((photos, "--out", tmp_path / "v.npy", "--index", tmp_path / "other"), "contains diary.txt, but no vectors"),
    ):
        _, noted = _run(capsys, "embed", model, *words, exit_code=2)
        assert line in noted.splitlines()[-1]
    assert not list(tmp_path.glob("v.npy*"))
    assert (tmp_path / "other" / "diary.txt").read_text() == "dear diary"


def test_parquet_without_its_package_is_refused_before_the_work(
    model: Path, photos: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setattr(embedding, "predict_photos", lambda *_: pytest.fail("photos were read"))
    _, noted = _run(capsys, "embed", model, photos, "--out", tmp_path / "v.parquet", exit_code=2)
    assert noted.endswith("v.parquet needs pyarrow; pip install 'mobilenet[hub]', or write a .npy file\n")


def test_a_model_without_vectors_is_one_line(photos: Path, tmp_path: Path, capsys: Capture) -> None:
    from mobilenet.images import Preprocessing
    from mobilenet.model.card import ModelCard
    from mobilenet.nn.model_file import write_model
    from mobilenet.nn.network import TableNetwork

    card = ModelCard("mobilenet_v1", 0.25, 32, ("a", "b"), Preprocessing(32), task="classification")
    write_model(tmp_path / "model.safetensors", TableNetwork(card.network()).eval(), card)
    line = _run(capsys, "embed", tmp_path / "model.safetensors", photos, "--out", tmp_path / "v.npy", exit_code=2)[1]
    assert "is for classification and gives no vectors; train one that does, or import a backbone" in line


def test_vectors_are_within_the_limit_of_the_cache(
    model: Path, photos: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that were not used for longest go first, and those in use never."""

    def embed(folder: Path) -> int:
        out = _run(capsys, "embed", model, folder, "--out", tmp_path / "v.npy", "--json")[0]
        return int(json.loads(out)["computed"])

    def held() -> int:
        return sum(path.stat().st_size for path in stores.glob("*/*"))

    cache = tmp_path / "cache"
    monkeypatch.setenv("MOBILENET_CACHE", str(cache))
    stores, others = cache / "vectors", [shutil.copytree(photos, tmp_path / f"copy{number}") for number in range(2)]
    assert (embed(photos), embed(others[0]), embed(photos)) == (9, 9, 0)
    # All of the cache is counted, and what another kind of file needs is taken from the vectors.
    whole = held()
    assert make_room(cache, 1, whole, frozenset()) == [_store_of(stores, others[0])]
    assert embed(photos) == 0
    with gallery(model, open_model(model), photos):
        assert make_room(cache, whole, whole, frozenset()) is None
    assert embed(photos) == 0
    # Vectors themselves make room for more.
    monkeypatch.setattr(embedding, "default_max_bytes", lambda _: held() + 1000)
    assert (embed(others[1]), embed(photos)) == (9, 9)
    rows = RowCache(cache, held() + 100)
    assert rows.keep("ab", np.zeros((4, 100), np.float32))
    assert held() == 0


def _store_of(stores: Path, folder: Path) -> Path:
    """The store of a folder, which is empty by now: the other ones say what they are of."""
    (found,) = (path for path in stores.iterdir() if not (path / "store.json").exists())
    assert all(json.loads(path.read_text())["photos"] != str(folder) for path in stores.glob("*/store.json"))
    return found


def _rows(names: range, dimensions: int = 3) -> list[Row]:
    return [Row(f"{name}.jpg", (name, 1), np.full(dimensions, name, np.float32)) for name in names]


def _index(folder: Path):
    return opened(folder, 3, {"model": "m"})


def test_a_store_is_compacted_where_most_of_it_is_gone(tmp_path: Path) -> None:
    kept = [f"{name}.jpg" for name in range(0, 6000, 5)]
    with _index(tmp_path / "store") as store:
        for start in range(0, 6000, 2000):
            store.add(_rows(range(start, start + 2000)))
        store.add([Row("no.jpg", (0, 0), None, "is broken")])
        store.keep_only([*kept, "no.jpg"])
        assert sum(store.segments.values()) == len(kept)
        before = {name: entry.reason for name, entry in store.entries.items()}
    with _index(tmp_path / "store") as store:
        assert {name: entry.reason for name, entry in store.entries.items()} == before
        rows = np.array([store.entries[name].row for name in kept])
        assert store.vectors(rows)[:, 0].tolist() == list(range(0, 6000, 5))
    assert len(list((tmp_path / "store").glob("*.npy"))) == 1


def test_a_store_is_of_one_model_and_of_one_process(tmp_path: Path) -> None:
    with _index(tmp_path / "store") as store:
        store.add(_rows(range(3)))
        with pytest.raises(ConfigError, match="another process is using the vectors in"), _index(tmp_path / "store"):
            pass
    with pytest.raises(ConfigError, match="contains vectors of another model"), opened(tmp_path / "store", 4, {}):
        pass


def test_damaged_segments_are_computed_again_or_named(tmp_path: Path) -> None:
    with _index(tmp_path / "store") as store:
        store.add(_rows(range(3)))
        store.add(_rows(range(3, 6)))
    (tmp_path / "store" / "000000.json").write_text("{")
    with _index(tmp_path / "store") as store:
        assert sorted(store.entries) == ["3.jpg", "4.jpg", "5.jpg"]
        path = tmp_path / "store" / "000001.npy"
        os.truncate(path, path.stat().st_size - 4)
        with pytest.raises(ModelError, match=r"cannot read .*000001\.npy"):
            store.vectors(np.array([SEGMENT_ROWS]))


def test_memory_is_bounded_by_blocks(model: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "_BLOCK_PHOTOS", 2)
    with gallery(model, open_model(model), photos) as found:
        # Nine files, the broken one first.
        assert len(found.store.segments) == 5
        assert max(found.store.segments.values()) == 2
