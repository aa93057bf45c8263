"""From probabilities to places and radii, against places and distances that can be told by hand."""

import json
import math
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest

from mobilenet.errors import ModelError
from mobilenet.images import Preprocessing
from mobilenet.metrics.geodesic import EARTH_RADIUS_KM, distance_km
from mobilenet.model.card import ModelCard
from mobilenet.tasks import TASKS
from mobilenet.tasks.geolocation.answers import Taken, answers, in_kilometres, in_words
from mobilenet.tasks.geolocation.locate import located, quantiles_km
from mobilenet.tasks.geolocation.radius import FACTORS, FEWEST, fitted, radii_km
from mobilenet.tasks.geolocation.table import Table, nearest_cells, table_of
from mobilenet.tasks.geolocation.writers import WRITERS
from mobilenet.tasks.sections import Map
from mobilenet.tasks.task import Options

_DEGREE_KM = 2 * math.pi * EARTH_RADIUS_KM / 360


def _fields(centres: list[list[float]], spread_km: float = 50.0) -> dict[str, Any]:
    count = len(centres)
    return {
        "centres": centres,
        "spreads_km": [spread_km] * count,
        "photos": [10] * count,
        "most_frequent": list(centres[0]),
    }


def _table(centres: list[list[float]], spread_km: float = 50.0) -> Table:
    return table_of(tuple(map(str, range(len(centres)))), _fields(centres, spread_km))


def _row(*chances: float) -> np.ndarray:
    return np.array([chances], np.float32)


def test_the_place_is_where_most_probability_is_together() -> None:
    """Three neighbours outweigh the single likeliest cell."""
    table = _table([[40.0, 100.0], [0.0, 10.0], [0.0, 10.5], [0.0, 11.0]])
    (place,) = located(_row(0.4, 0.2, 0.2, 0.2), table, reach=4)
    assert place == pytest.approx([0, 10.5], abs=1e-9)
    (place,) = located(_row(0.4, 0.2, 0.2, 0.2), table, reach=0)
    assert place.tolist() == [40, 100]


def test_a_place_between_cells_is_nearer_to_the_likelier() -> None:
    table = _table([[0.0, 10.0], [0.0, 10.5]])
    (place,) = located(_row(0.75, 0.25), table, reach=4)
    # The neighbour is 55.6 km away and counts by exp(-55.6² / (2 · 200²)) = 0.962.
    share = 0.25 * 0.9621 / (0.75 + 0.25 * 0.9621)
    assert place == pytest.approx([0, 10 + 0.5 * share], abs=1e-4)


@pytest.mark.parametrize(
    ("centres", "wanted"),
    [
        ([[10.0, 179.9], [10.0, -179.9]], [10.0, 180.0]),
        ([[89.9, 0.0], [89.9, 180.0]], [90.0, 0.0]),
        ([[-89.9, 90.0], [-89.9, -90.0]], [-90.0, 0.0]),
    ],
)
def test_places_across_the_date_line_and_around_poles(centres: list[list[float]], wanted: list[float]) -> None:
    (place,) = located(_row(0.5, 0.5), _table(centres), reach=40)
    assert float(distance_km(place, np.array(wanted))) < 0.1


def test_many_cells_are_like_few() -> None:
    """Only the likeliest are looked at."""
    random = np.random.default_rng(0)
    centres = np.column_stack([random.uniform(-80, 80, 500), random.uniform(-180, 180, 500)])
    chances = np.full(500, 1e-6, np.float32)
    chances[[3, 7]] = 0.7, 0.2
    whole, few = _table(centres.tolist()), _table(centres[[3, 7]].tolist())
    assert located(chances[None], whole)[0] == pytest.approx(located(_row(0.7, 0.2), few)[0], abs=1e-3)


def test_the_distance_within_which_a_share_of_the_probability_lies() -> None:
    table = _table([[0.0, 0.0], [0.0, 1.0], [0.0, 3.0]], spread_km=30)
    places, chances = np.zeros((1, 2)), _row(0.4, 0.3, 0.3)
    far = [math.hypot(30, step * _DEGREE_KM) for step in (0, 1, 3)]
    for share, wanted in ((0.1, far[0]), (0.39, far[0]), (0.5, far[1]), (0.69, far[1]), (0.9, far[2]), (1.0, far[2])):
        # Distances to all cells are exact to 0.2 m.
        assert quantiles_km(chances, places, table, (share,))[0, 0] == pytest.approx(wanted, abs=1e-3)


def _photos(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(N, C) probabilities and (N, 2) places that follow them only roughly."""
    random = np.random.default_rng(seed)
    cells = random.integers(0, 50, count)
    logits = random.normal(size=(count, 50)) * random.uniform(0.5, 2, (count, 1))
    logits[np.arange(count), cells] += random.uniform(0, 8, count)
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    offsets = random.normal(size=(count, 2))
    return chances, _CENTRES[cells] + offsets


_CENTRES = np.column_stack([np.linspace(-50, 50, 50), np.random.default_rng(9).uniform(-170, 170, 50)])


def test_radii_hold_for_photos_that_they_were_not_fitted_on() -> None:
    table = _table(_CENTRES.tolist(), 100)
    fields, figures = fitted(*_photos(2000, 1), table)
    chances, truth = _photos(2000, 2)
    places = located(chances, table)
    radii = radii_km(chances, places, table, fields)
    assert radii is not None
    covered = (distance_km(places, truth)[:, None] <= radii).mean(0)
    # Four standard errors of 2,000 photos, for fitting and measuring.
    assert covered == pytest.approx([0.5, 0.9], abs=4 * math.sqrt(2 * 0.25 / 2000))
    assert figures["radius_fit"]["covered_cross_fitted"] == pytest.approx([0.5, 0.9], abs=0.045)
    assert (radii[:, 0] <= radii[:, 1]).all()
    assert radii.max() <= math.pi * EARTH_RADIUS_KM


def test_few_photos_give_no_radius() -> None:
    chances, truth = _photos(FEWEST - 1, 3)
    fields, figures = fitted(chances, truth, _table(_CENTRES.tolist()))
    note = "19 validation photos are too few for a radius; at least 20 are needed"
    assert (fields, figures) == ({}, {"radius_fit": {"photos": 19, "note": note}})
    chances, truth = _photos(FEWEST, 3)
    assert fitted(chances, truth, _table(_CENTRES.tolist()))[0].keys() == {FACTORS}


def test_a_network_that_is_never_wrong_has_a_radius() -> None:
    table = _table(_CENTRES.tolist(), 100)
    chances = np.eye(50)
    fields, _ = fitted(chances, _CENTRES, table)
    radii = radii_km(chances, _CENTRES, table, fields)
    assert radii is not None
    assert (radii > 0).all()


def test_an_answer_says_where_and_how_far() -> None:
    fields = {**_fields([[-33.9, 151.2], [48.9, 2.3]]), FACTORS: [0.5, 2.0]}
    table = table_of(("6b12b1", "47e66f"), fields)
    (found,) = answers(_row(0.92, 0.08), ("6b12b1", "47e66f"), table, fields, 5, 0.95)
    said = json.loads(json.dumps(found.to_json()))
    assert (said["uncertain"], said["latitude"], said["longitude"]) == (True, -33.9, 151.2)
    assert said["radius_km"] == pytest.approx({"50": 25.0, "90": 100.0}, abs=0.01)
    assert said["cells"] == [
        {"cell": "6b12b1", "latitude": -33.9, "longitude": 151.2, "probability": pytest.approx(0.92)},
        {"cell": "47e66f", "latitude": 48.9, "longitude": 2.3, "probability": pytest.approx(0.08)},
    ]
    assert list(found.lines()) == [
        "uncertain: below 95 %",
        "33.900° S, 151.200° E",
        "within 25.0 km (50 %), 100 km (90 %)",
        " 92.0 %  around 33.900° S, 151.200° E",
        "  8.0 %  around 48.900° N, 2.300° E",
    ]
    (part,) = found.parts()
    assert isinstance(part, Map)
    assert [circle.radius_km for circle in part.circles] == [*found.radii.values()]
    assert [area.value for area in part.areas] == pytest.approx([1, 8 / 92])
    assert found.drawn(np.zeros((50, 60, 3), np.uint8)).any()


def test_without_factors_there_is_no_radius() -> None:
    fields = _fields([[1.0, 2.0], [3.0, 4.0]])
    (found,) = answers(_row(0.9, 0.1), ("a", "b"), table_of(("a", "b"), fields), fields, 1, None)
    assert found.to_json().keys() == {"latitude", "longitude", "cells"}
    assert len(found.cells) == 1


def test_answers_are_written_as_geojson(tmp_path: Path) -> None:
    card = ModelCard("mobilenet_v1", 0.25, 32, ("a", "b"), Preprocessing(32), task="geolocation")
    writer = WRITERS["geojson"](tmp_path / "map.geojson", card)
    writer.add(PurePosixPath("trip/a.jpg"), Path("a.jpg"), Taken(-17.5, 179.9, {"50": 100.0}, ()))
    writer.add(PurePosixPath("trip/b.jpg"), Path("b.jpg"), Taken(10.0, 20.0, {}, ()))
    writer.finish()
    first, disc, second = json.loads((tmp_path / "map.geojson").read_text())["features"]
    assert first["geometry"] == {"type": "Point", "coordinates": [179.9, -17.5]}
    assert first["properties"] == {"file": "trip/a.jpg", "radius_km": {"50": 100.0}, "cells": []}
    assert disc["geometry"]["type"] == "MultiPolygon", "cut at the antimeridian"
    assert disc["properties"] == {"file": "trip/a.jpg", "percent": 50.0, "radius_km": 100.0}
    assert second["geometry"]["coordinates"] == [20, 10]


def test_words() -> None:
    assert in_words((0.0, -0.0)) == "0.000° N, 0.000° E"
    assert [in_kilometres(value) for value in (0.35, 12.34, 1204.4)] == ["350 m", "12.3 km", "1,204 km"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("centres", [[0.0, 0.0]]),
        ("centres", [[0.0, 0.0], [91.0, 0.0]]),
        ("centres", [[0.0, 0.0], [0.0, math.nan]]),
        ("centres", "x"),
        ("spreads_km", [1.0, 0.0]),
        ("spreads_km", [1.0, math.inf]),
        ("photos", None),
        ("most_frequent", [1.0]),
        ("most_frequent", [[1.0, 2.0], [3.0]]),
        (FACTORS, [1.0]),
        (FACTORS, [1.0, -1.0]),
        (FACTORS, ["a", "b"]),
    ],
)
def test_a_file_whose_cells_are_damaged_is_refused(field: str, value: object) -> None:
    """One line, and no answer."""
    decoding = {**_fields([[1.0, 2.0], [3.0, 4.0]]), field: value}
    card = ModelCard("mobilenet_v1", 0.25, 32, ("a", "b"), Preprocessing(32), task="geolocation", decoding=decoding)
    with pytest.raises(ModelError) as error:
        TASKS["geolocation"].decode({"probabilities": _row(0.9, 0.1)}, card, np.array([[1, 1]]), Options())
    assert str(error.value).startswith(f"its {FACTORS if field == FACTORS else 'cells'} ")
    assert "\n" not in str(error.value)


def test_the_nearest_cell_is_across_the_date_line() -> None:
    table = _table([[0.0, 179.0], [0.0, -170.0], [90.0, 0.0]])
    assert nearest_cells(np.array([[0.0, -179.0], [80.0, 50.0], [0.0, -171.0]]), table).tolist() == [0, 2, 1]
