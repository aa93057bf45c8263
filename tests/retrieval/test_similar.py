"""The photos most like others: found exactly, by an index, as text, as JSON and as a page."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.retrieval.conftest import paint

from mobilenet.cli.main import main
from mobilenet.retrieval import index as indexing
from mobilenet.retrieval import similar as searching
from mobilenet.retrieval.embed import Gallery
from mobilenet.retrieval.index import ExactSearch, GraphSearch
from mobilenet.retrieval.similar import search_of
from mobilenet.retrieval.store import Row, Store, opened

Capture = pytest.CaptureFixture[str]


def _unit(random: np.random.Generator, count: int, dimensions: int = 16) -> NDArray[np.float32]:
    vectors = random.normal(size=(count, dimensions)) + 2 * random.normal(size=(20, dimensions))[np.arange(count) % 20]
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def _gallery(store: Store) -> Gallery:
    names = [name for name, entry in store.entries.items() if entry.reason is None]
    rows = np.array([store.entries[name].row for name in names], np.int64)
    return Gallery(Path("photos"), store, tuple(names), rows, (), 0, 0)


def _add(store: Store, names: range, vectors: NDArray[np.float32]) -> None:
    store.add([Row(f"{name}.jpg", (1, 1), vector) for name, vector in zip(names, vectors, strict=True)])


@pytest.fixture
def store(tmp_path: Path) -> object:
    with opened(tmp_path / "store", 16, {}) as made:
        yield made


def _agreement(gallery: Gallery, queries: NDArray[np.float32]) -> float:
    """Share of the ten nearest that the index finds, of those of all vectors at once."""
    vectors = gallery.vectors(0, len(gallery.files))
    best = np.argsort(-(queries @ vectors.T), axis=1, kind="stable")[:, :10]
    exact, cosines = ExactSearch(gallery)(queries, 10)
    assert np.array_equal(exact, best)
    assert cosines == pytest.approx(np.take_along_axis(queries @ vectors.T, best, 1), abs=1e-6)
    places, near = GraphSearch(gallery)(queries, 10)
    assert near == pytest.approx(np.take_along_axis(queries @ vectors.T, places, 1), abs=1e-6)
    assert (np.diff(near, axis=1) <= 0).all()
    return float(np.mean([len({*mine} & {*theirs}) / 10 for mine, theirs in zip(places, best, strict=True)]))


def test_an_index_follows_photos_that_came_and_went(store: Store) -> None:
    random = np.random.default_rng(0)
    queries = _unit(random, 30)
    for start in range(0, 6000, 2000):
        _add(store, range(start, start + 2000), _unit(random, 2000))
    assert _agreement(_gallery(store), queries) > 0.95
    made = (store.folder / "graph.voyager").stat().st_mtime_ns
    assert _agreement(_gallery(store), queries) > 0.95
    assert (store.folder / "graph.voyager").stat().st_mtime_ns == made
    store.keep_only([f"{name}.jpg" for name in range(6000) if name % 3])
    _add(store, range(6000, 6500), _unit(random, 500))
    assert _agreement(_gallery(store), queries) > 0.95
    assert (store.folder / "graph.voyager").stat().st_mtime_ns != made
    # Compacted, with other rows.
    store.keep_only([f"{name}.jpg" for name in range(0, 6500, 10)])
    assert _agreement(_gallery(store), queries) > 0.95


def test_an_index_of_a_segment_that_was_written_again_is_not_used(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    queries = _unit(random, 5)
    for _ in range(2):
        with opened(tmp_path / "store", 16, {}) as store:
            _add(store, range(300), _unit(random, 300))
            assert list(store.segments) == [0]
            assert _agreement(_gallery(store), queries) == 1
        (tmp_path / "store" / "000000.json").unlink()


@pytest.mark.parametrize("damage", ["missing", "short", "list"])
def test_a_damaged_index_is_built_again(store: Store, damage: str) -> None:
    random = np.random.default_rng(0)
    _add(store, range(300), _unit(random, 300))
    queries = _unit(random, 5)
    assert _agreement(_gallery(store), queries) == 1
    graph, content = store.folder / "graph.voyager", store.folder / "graph.json"
    match damage:
        case "missing":
            graph.unlink()
        case "short":
            graph.write_bytes(graph.read_bytes()[:100])
        case "list":
            content.write_text("[")
    assert _agreement(_gallery(store), queries) == 1


def test_a_few_photos_are_all_compared(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    _add(store, range(50), _unit(random, 50))
    gallery, notes = _gallery(store), list[str]()
    assert isinstance(search_of(gallery, notes.append), ExactSearch)
    assert isinstance(search_of(gallery, notes.append, most=49), GraphSearch)
    assert not notes

    def missing(*_: object) -> None:
        raise ModuleNotFoundError("no voyager", name="voyager")

    monkeypatch.setattr(searching, "GraphSearch", missing)
    assert isinstance(search_of(gallery, notes.append, most=49), ExactSearch)
    assert notes == [
        "every photo is compared, which an index makes faster; it needs voyager; pip install 'mobilenet[similar]'"
    ]


def test_an_exact_search_reads_what_it_cannot_hold_in_blocks(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    _add(store, range(500), _unit(random, 500))
    queries = _unit(random, 4)
    whole = ExactSearch(_gallery(store))(queries, 20)
    monkeypatch.setattr(indexing, "_MOST_HELD_BYTES", 0)
    monkeypatch.setattr(indexing, "_AT_ONCE", 64)
    parts = ExactSearch(_gallery(store))(queries, 20)
    assert np.array_equal(whole[0], parts[0])
    assert whole[1] == pytest.approx(parts[1], abs=1e-6)
    assert ExactSearch(_gallery(store))(queries, 900)[0].shape == (4, 500)


def test_the_command_finds_a_copy_first(model: Path, photos: Path, tmp_path: Path, capsys: Capture) -> None:
    copy = tmp_path / "copy.png"
    copy.write_bytes((photos / "part1" / "3.png").read_bytes())
    words = ["similar", str(model), str(copy), str(tmp_path / "gone.png"), str(photos / "part0"), str(photos)]
    assert main([*words, "--json", "--html", str(tmp_path / "page.html"), "--top", "3"]) == 0
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert (found["photos"], found["threshold"]) == (8, 0.995)
    first, *others = found["queries"]
    assert first["similar"][0] == {"file": "part1/3.png", "similarity": pytest.approx(1, abs=1e-6), "same": True}
    assert first["similar"][2]["same"] is False or first["similar"][2]["similarity"] >= 0.995
    # A folder of queries: each is in the gallery, and is not its own answer.
    assert [Path(query["file"]).name for query in others] == ["0.png", "2.png", "4.png", "6.png"]
    for query in found["queries"]:
        assert len(query["similar"]) == 3
        assert not [one for one in query["similar"] if query["file"].endswith(one["file"])]
    assert "broken.jpg" in printed.err
    assert "gone.png: " in printed.err
    page = (tmp_path / "page.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 5 * 4
    assert "the same from a similarity of 0.995" in page
    assert main([*words, "--top", "1"]) == 0
    text = capsys.readouterr().out
    assert f"{copy}\n   1.000  part1/3.png  same\n" in text


def test_similar_notices_what_changed(model: Path, photos: Path, tmp_path: Path, capsys: Capture) -> None:
    query = paint(tmp_path / "query.png", 77)

    def first() -> str:
        assert main(["similar", str(model), str(query), str(photos), "--json", "--index", str(tmp_path / "index")]) == 0
        similar: list[dict[str, str]] = json.loads(capsys.readouterr().out)["queries"][0]["similar"]
        return similar[0]["file"]

    assert first() != "again.png"
    paint(photos / "again.png", 77)
    assert first() == "again.png"
    (photos / "again.png").unlink()
    assert first() != "again.png"


def test_queries_that_cannot_be_read_are_one_line(model: Path, photos: Path, tmp_path: Path, capsys: Capture) -> None:
    assert main(["similar", str(model), str(tmp_path / "gone.png"), str(photos)]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "mobilenet: no query could be read; the reason for each is above"
    )
