"""The scripts that cut views of the Earth: a view shows the place that its table says, and places to test are new."""

import csv
import importlib
import json
from math import asin, atan, atan2, cos, degrees, hypot, radians, sin, tan
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from mobilenet.scenes import aerial

_SCRIPTS = Path(__file__).parents[2] / "benchmarks"
_RADIUS_KM = 6371.0088
_SIDE = 33


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(_SCRIPTS))
    return importlib.import_module("earth_views")


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A map whose red is the latitude and whose green is the longitude."""
    rows, columns = np.mgrid[:512, :1024].astype(float)
    red, green = (rows + 0.5) / 512 * 255, (columns + 0.5) / 1024 * 255
    path = tmp_path_factory.mktemp("map") / "map.png"
    Image.fromarray(np.stack([red, green, 0 * red], axis=2).round().astype(np.uint8)).save(path)
    return path


def _place(view: object, right: float, up: float) -> tuple[float, float]:
    """The place at shares (-1…1) of half of a view from its centre: Snyder's equations 20-14, 20-15 and 20-18."""
    latitude, longitude, width, heading = (
        getattr(view, name) for name in ("latitude", "longitude", "width_km", "heading_deg")
    )
    half, turn = tan(width / 2 / _RADIUS_KM), radians(heading)
    x = half * (right * cos(turn) + up * sin(turn))
    y = half * (up * cos(turn) - right * sin(turn))
    c, phi = atan(hypot(x, y)), radians(latitude)
    found = asin(cos(c) * sin(phi) + y * sin(c) * cos(phi) / hypot(x, y))
    aside = atan2(x * sin(c), hypot(x, y) * cos(phi) * cos(c) - y * sin(phi) * sin(c))
    return degrees(found), (longitude + degrees(aside) + 180) % 360 - 180


def test_views_show_the_places_of_the_table(
    script: ModuleType, graded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In even light, the colours of a pixel tell where it is."""
    monkeypatch.setattr(aerial, "expose", lambda _rng, picture: picture)
    out = tmp_path / "views"
    words = ["--train", "20", "--test", "12", "--side", str(_SIDE), "--seed", "5"]
    assert script.main([str(graded), str(out), *words]) == 0
    settings = script.Settings(20, 12, _SIDE, 5)
    compared = 0
    for part, views in script.views(settings).items():
        with (out / f"{part}.csv").open(newline="", encoding="ascii") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == len(views)
        for row, view in zip(rows, views, strict=True):
            assert (float(row["latitude"]), float(row["longitude"])) == (view.latitude, view.longitude)
            with Image.open(out / row["file_name"]) as photo:
                pixels = np.asarray(photo, float)
            edge = 1 - 1 / _SIDE
            for line, column, right, up in (
                (16, 16, 1e-9, 0),
                (0, 0, -edge, edge),
                (0, 32, edge, edge),
                (32, 16, 0, -edge),
            ):
                latitude, longitude = _place(view, right, up)
                if abs(longitude) < 170 and abs(latitude) < 80:
                    # A level is 0.7° of latitude and 1.4° of longitude, and JPEG is off by a few.
                    assert pixels[line, column, 0] == pytest.approx((90 - latitude) / 180 * 255, abs=4)
                    assert pixels[line, column, 1] == pytest.approx((longitude + 180) / 360 * 255, abs=4)
                    compared += 1
    assert compared > 60


def test_places_to_test_are_unseen(script: ModuleType) -> None:
    found = script.views(script.Settings(train=60, test=30, seed=1))
    places = {part: np.radians([(view.latitude, view.longitude) for view in found[part]]) for part in found}
    for latitude, longitude in places["train"]:
        others = places["test"]
        cosine = np.sin(latitude) * np.sin(others[:, 0])
        cosine += np.cos(latitude) * np.cos(others[:, 0]) * np.cos(longitude - others[:, 1])
        assert (np.arccos(np.clip(cosine, -1, 1)) * _RADIUS_KM > 99.99).all()
    assert len({*found["train"], *found["test"]}) == 90
    assert found == script.views(script.Settings(train=60, test=30, seed=1))
    assert found["train"] != script.views(script.Settings(train=60, test=30, seed=2))["train"]


def test_a_place_too_close_to_one_to_test_is_drawn_again(script: ModuleType) -> None:
    settings = script.Settings(train=1, test=0)
    (free,) = script.views(settings)["train"]
    near = script.unit_vectors(np.array([[free.latitude + 0.5, free.longitude]]))
    again = script._away_from(near, script._random(settings, "train", 0))
    assert again != free


@pytest.mark.parametrize(
    ("size", "line"), [((40, 30), "is 40 × 30 pixels; a map of the whole Earth is twice as wide as high")]
)
def test_other_pictures_and_folders_in_use_are_refused(
    script: ModuleType,
    graded: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    size: tuple[int, int],
    line: str,
) -> None:
    Image.new("RGB", size).save(tmp_path / "photo.png")
    for words, said in (
        ([str(tmp_path / "photo.png"), str(tmp_path / "new")], line),
        ([str(graded), str(tmp_path)], "already exists; give a new folder"),
    ):
        with pytest.raises(SystemExit):
            script.main(words)
        assert said in capsys.readouterr().err


def test_baselines_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A degree on the equator is 111.195 km. The first query is most like the view 2° from it, the second like one that
    is 90° away; three of the four places are around 0, 1."""
    monkeypatch.syspath_prepend(str(_SCRIPTS))
    baseline = importlib.import_module("earth_baseline")
    for part, rows in (
        ("train", ("0,0", "0,1", "0,2", "0,90")),
        ("test", ("0,2", "0,0")),
    ):
        table = [f"{part}/{number}.jpg,{row}" for number, row in enumerate(rows)]
        (tmp_path / f"{part}.csv").write_text("\n".join(("file_name,latitude,longitude", *table)), "ascii")
    known = {
        "train": np.array([[1, 0, 0], [0, 1, 0], [0.6, 0.8, 0], [0, 0, 1]], np.float32),
        "test": np.array([[0.9, 0.1, 0], [0.3, 0, 0.9]], np.float32),
    }
    names = {"train": ["0.jpg", "1.jpg", "2.jpg", "3.jpg"], "test": ["0.jpg", "1.jpg"]}
    monkeypatch.setattr(baseline, "vectors_of", lambda _model, folder: (known[folder.name], names[folder.name]))
    assert baseline.main([str(tmp_path), "--model", "any/backbone.safetensors"]) == 0
    near, frequent = map(json.loads, capsys.readouterr().out.splitlines())
    assert (near["model"], near["dimensions"], near["views"]) == ("backbone.safetensors", 3, 2)
    # 222.4 km and 10,007.6 km.
    assert near["median_km"] == pytest.approx((2 + 90) / 2 * 111.195, abs=0.5)
    assert near["share_within_km"] == {"1": 0, "25": 0, "200": 0, "750": 0.5, "2500": 0.5}
    assert frequent["place"] == [0, 0]
    assert frequent["median_km"] == pytest.approx(111.195, abs=0.1)
    assert frequent["share_within_km"] == {"1": 0.5, "25": 0.5, "200": 0.5, "750": 1, "2500": 1}
