"""The land of the world map, and the script that made it."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest

from mobilenet.geography.antimeridian import signed_area
from mobilenet.geography.land import land, land_mask

_SCRIPTS = Path(__file__).parents[2] / "benchmarks"


def _on_land(latitude: float, longitude: float) -> bool:
    mask = land_mask(720)
    return bool(mask[int((90 - latitude) * 4), int((longitude + 180) * 4) % 1440] > 0.5)


@pytest.mark.parametrize(
    ("latitude", "longitude", "expected"),
    [
        (48.5, 2.3, True),  # Paris
        (-23.5, 133, True),  # Alice Springs
        (-89.5, 179.5, True),  # the South Pole
        (66.5, -179.5, True),  # Chukotka, east of the antimeridian
        (67.5, 178, True),
        (89.5, 0, False),  # the North Pole
        (42, 51, False),  # the Caspian Sea, a hole in Eurasia
        (0, -150, False),  # the Pacific
        (-10, 179.9, False),
    ],
)
def test_places_are_on_land_or_not(latitude: float, longitude: float, *, expected: bool) -> None:
    assert _on_land(latitude, longitude) is expected


def test_the_share_of_land_is_the_earths() -> None:
    """29.2 % of its surface."""
    weights = np.cos(np.radians(90 - (np.arange(720) + 0.5) / 4))
    assert float(land_mask(720).mean(axis=1) @ weights / weights.sum()) == pytest.approx(0.292, abs=0.003)


def test_rings_are_on_the_map_and_counterclockwise() -> None:
    for ring in land():
        assert (np.abs(ring) <= [90, 180]).all()
        assert signed_area(ring) > 0


def test_arcs_are_joined_reversed_and_cut(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A square of two arcs, clockwise, with a hole, and an island across the antimeridian."""
    monkeypatch.syspath_prepend(str(_SCRIPTS))
    script = importlib.import_module("convert_natural_earth")
    topology = {
        "transform": {"scale": [0.5, 1], "translate": [-180, -90]},
        # In halves of a degree from -180 and degrees from -90; the second arc is stored backwards.
        "arcs": [
            [[360, 90], [0, 10], [20, 0]],
            [[360, 90], [20, 0], [0, 10]],
            [[364, 92], [4, 0], [0, 2], [-4, -2]],
            [[718, 0], [0, 3], [-716, 0], [0, -3], [716, 0]],
        ],
        "objects": {"land": {"geometries": [{"arcs": [[[0, ~1], [2]]]}, {"arcs": [[[3]]]}]}},
    }
    source = tmp_path / "topology.json"
    source.write_text(json.dumps(topology), "ascii")
    assert script.main([str(source), str(tmp_path / "land.json")]) == 0
    document = json.loads((tmp_path / "land.json").read_text("ascii"))
    found = [np.cumsum(np.reshape(ring, (-1, 2)), axis=0).tolist() for ring in document["rings"]]
    assert [sorted(ring) for ring in found] == [
        [[0, 0], [0, 1000], [1000, 0], [1000, 1000]],
        [[200, 200], [400, 200], [400, 400]],
        [[17900, -9000], [17900, -8700], [18000, -9000], [18000, -8700]],
        [[-18000, -9000], [-18000, -8700], [-17900, -9000], [-17900, -8700]],
    ]
    assert document["source"].startswith("Natural Earth")
