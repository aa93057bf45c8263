"""What a search remembers: its steps, and what it was a search for."""

from pathlib import Path

import pytest

from mobilenet.errors import ConfigError, ModelError
from mobilenet.search.journal.journal import Journal

_PHOTOS = {"photos": "a1"}


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    path = tmp_path / "search.json"
    counted: list[int] = []

    def work() -> dict[str, int]:
        counted.append(1)
        return {"answer": 42}

    assert Journal(path, {"seed": 0}, _PHOTOS).step("think", work) == {"answer": 42}
    assert Journal(path, {"seed": 0}, _PHOTOS).step("think", work) == {"answer": 42}
    assert len(counted) == 1


def test_another_search_is_refused_by_what_differs(tmp_path: Path) -> None:
    path = tmp_path / "search.json"
    Journal(path, {"latency_ms": 1.0, "runtimes": (), "seed": 0}, _PHOTOS).step("think", dict)
    for settings, digests, message in (
        ({"latency_ms": 3.0, "runtimes": (), "seed": 0}, _PHOTOS, "latency ms was 1.0 and is 3.0; choose another"),
        ({"latency_ms": 1.0, "runtimes": ("litert",), "seed": 0}, _PHOTOS, r"runtimes was none and is \['litert'\];"),
        ({"latency_ms": 1.0, "runtimes": (), "seed": 0}, {"photos": "b2"}, "it began with different photos;"),
    ):
        with pytest.raises(ConfigError, match=message):
            Journal(path, settings, digests)


def test_a_search_that_was_stopped_in_its_first_training_is_not_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "search.json"
    Journal(path, {"seed": 0}, _PHOTOS)
    (tmp_path / "runs").mkdir()
    with pytest.raises(ConfigError, match="it began with different photos"):
        Journal(path, {"seed": 0}, {"photos": "b2"})
    Journal(path, {"seed": 0}, _PHOTOS)


def test_a_search_that_has_trained_nothing_gives_way(tmp_path: Path) -> None:
    """After a budget that nothing is inside of, the next one may use the folder."""
    path = tmp_path / "search.json"
    Journal(path, {"latency_ms": 0.01, "threads": 1}, _PHOTOS)
    second = Journal(path, {"latency_ms": 1.0, "threads": 1}, _PHOTOS)
    assert not second.begun
    second.step("think", dict)
    assert second.begun
    with pytest.raises(ConfigError, match=r"was 1\.0 and is 0\.01"):
        Journal(path, {"latency_ms": 0.01, "threads": 1}, _PHOTOS)


def test_runs_of_somebody_else_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "model.onnx").write_bytes(b"mine")
    with pytest.raises(ConfigError, match=r"contains runs and model\.onnx but no search; choose another --out"):
        Journal(tmp_path / "search.json", {}, {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx", "runs"]


@pytest.mark.parametrize("text", ["{", "[]", '{"steps": {}}', '{"steps": {}, "settings": {}, "digests": 3}'])
def test_a_damaged_memory_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "search.json"
    path.write_text(text)
    with pytest.raises(ModelError, match=r"search\.json is damaged"):
        Journal(path, {}, {})


@pytest.mark.parametrize(("old", "new"), [("0.875", "0.125"), ("null", "1"), ('"top1"', '"top2"')])
def test_a_memory_that_somebody_has_changed_is_refused(tmp_path: Path, old: str, new: str) -> None:
    path = tmp_path / "search.json"
    Journal(path, {"seed": 0}, _PHOTOS).step("train", lambda: {"top1": 0.875, "waited": None})
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    with pytest.raises(ModelError, match="is damaged: its checksum differs"):
        Journal(path, {"seed": 0}, _PHOTOS)
