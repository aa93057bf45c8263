"""The scripts that measure vectors: on few photos, and on vectors whose neighbours are known."""

import importlib
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

_SCRIPTS = Path(__file__).parents[2] / "benchmarks"

Capture = pytest.CaptureFixture[str]


def _script(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(_SCRIPTS))
    return importlib.import_module(name)


def test_searches_answer_the_same_queries(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    script = _script("vector_search", monkeypatch)
    monkeypatch.setattr(script, "_QUERIES", 5)
    assert script.main(["--vectors", "5000", "--dimensions", "8", "--limit-ms", "1e9"]) == 0
    found = {line["search"]: line for line in map(json.loads, capsys.readouterr().out.splitlines())}
    assert {"exact", "voyager"} <= found.keys()
    assert found["exact"]["recall_at_10"] == 1
    assert found["voyager"]["recall_at_10"] > 0.9
    assert found["voyager"]["bytes"] > 5000 * 8 * 4
    assert script.main(["--vectors", "500", "--dimensions", "4", "--limit-ms", "0"]) == 1


def test_queries_find_their_class_in_a_gallery(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """With vectors that are the mean colours of photos, red finds red; a class that the gallery lacks is not asked."""
    script = _script("retrieval", monkeypatch)
    colours = {"red": (250, 0, 0), "blue": (0, 0, 250), "green": (0, 250, 0)}
    for folder, names in (("gallery", ("red", "blue")), ("queries", ("red", "blue", "green"))):
        for name in names:
            (tmp_path / folder / name).mkdir(parents=True)
            for number in range(2):
                Image.new("RGB", (8, 8), colours[name]).save(tmp_path / folder / name / f"{number}.png")

    class Store:
        def __init__(self, folder: Path) -> None:
            self.files = tuple(path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*.png")))
            means = [np.asarray(Image.open(folder / file), np.float32).mean((0, 1)) for file in self.files]
            self.all = np.stack(means) / 250

        def __enter__(self) -> "Store":
            return self

        def __exit__(self, *_: object) -> None: ...

        def vectors(self, start: int, stop: int) -> np.ndarray:
            return self.all[start:stop]

    monkeypatch.setattr(script, "open_model", lambda _model: None)
    monkeypatch.setattr(script, "gallery", lambda _model, _predictor, folder: Store(folder))
    words = [str(tmp_path / "gallery"), "--queries", str(tmp_path / "queries"), "--model", "mean=any"]
    assert script.main(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["model"], found["gallery"], found["queries"]) == ("mean", 4, 4)
    assert (found["recall_at_1"], found["map_at_r"]) == (1, 1)
