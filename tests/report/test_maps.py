"""Maps: what is where, by coordinates that can be computed by hand, and nothing across the page at the antimeridian."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mobilenet.report.answers_page import AnswersPage
from mobilenet.report.draw.maps import DrawnMap, drawn_map
from mobilenet.tasks.sections import Area, Circle, Map, Part, Spot

_BOX = Area(((-10, 170), (-10, -170), (10, -170), (10, 170)), 0.5)
"""Across the antimeridian, 20° by 20°."""


def _points(path: str) -> list[list[tuple[float, float]]]:
    """The points of each line of a path, in units."""
    lines = []
    for text in re.findall(r"M([^Mz]*)", path):
        numbers = np.array(re.findall(r"-?[\d.]+", text), float).reshape(-1, 2)
        lines.append([(round(x, 1), round(y, 1)) for x, y in numbers.cumsum(axis=0).tolist()])
    return lines


def _shapes(drawn: DrawnMap, kind: str) -> list[str]:
    return [shape.path for shape in drawn.shapes if shape.kind == kind]


def test_places_are_where_they_belong_on_the_world() -> None:
    """360° and 180° are 1,000 and 500 units."""
    spots = (Spot((0, 0), "true"), Spot((45, -90), "true"), Spot((-90, 179.64), "predicted", "far"))
    drawn = drawn_map(Map("places", spots))
    assert (drawn.width, drawn.height) == (1000, 500)
    assert _shapes(drawn, "true") == ["M500.0 250.0h0M250.0 125.0h0"]
    assert [(shape.path, shape.title) for shape in drawn.shapes if shape.kind == "predicted"] == [
        ("M999.0 500.0h0", "far")
    ]
    assert len(_shapes(drawn, "halo")) == 2
    # The first edge of a ring of land is that of the outline, in tenths of a unit.
    assert drawn.land.count("M") > 100


def test_what_crosses_the_antimeridian_is_at_both_edges_of_the_world() -> None:
    drawn = drawn_map(Map("cells", errors=(((0, 175), (0, -175)),), areas=(_BOX,)))
    (cell,) = _shapes(drawn, "area")
    sides = [sorted({x for x, _ in line}) for line in _points(cell)]
    assert sorted((xs[0], xs[-1]) for xs in sides) == [(0.0, 27.8), (972.2, 1000.0)]
    (line,) = _shapes(drawn, "error")
    assert [[x for x, _ in part][:: len(part) - 1] for part in _points(line)] == [[986.1, 1000], [0, 13.9]]
    assert {shape.opacity for shape in drawn.shapes if shape.kind == "area"} == {0.5}


def test_edges_of_areas_do_not_follow_the_cut() -> None:
    drawn = drawn_map(Map("cells", areas=(_BOX,), circles=(Circle((0, 180), 500),)))
    for kind in ("edge", "round"):
        (path,) = _shapes(drawn, kind)
        for line in _points(path):
            on_cut = [x in {0, 1000} for x, _ in line]
            assert not any(one and other for one, other in pairwise(on_cut))


def test_a_circle_around_a_pole_reaches_it_at_every_longitude() -> None:
    drawn = drawn_map(Map("north", circles=(Circle((90, 0), 2000),)))
    (path,) = _shapes(drawn, "circle")
    (line,) = _points(path)
    assert {(0.0, 0.0), (1000.0, 0.0)} <= set(line)
    # 2,000 km are 17.99°.
    assert max(y for _, y in line) == pytest.approx(17.99 / 180 * 500, abs=0.2)


def test_a_part_of_the_world_may_be_across_the_antimeridian() -> None:
    spots = (Spot((60, 175), "true"), Spot((60, -175), "predicted"))
    drawn = drawn_map(Map("strait", spots, errors=(((60, 175), (60, -175)),), areas=(_BOX,), extent="content"))
    (true,), (predicted,) = (_shapes(drawn, kind) for kind in ("true", "predicted"))
    x, y = map(float, re.findall(r"[\d.]+", true)[:2])
    other_x, other_y = map(float, re.findall(r"[\d.]+", predicted)[:2])
    assert 0 < x < 500 < other_x < 1000
    assert x + other_x == pytest.approx(1000, abs=0.2)
    assert y == other_y
    # Both halves of a cell meet in the middle.
    (cell,) = _shapes(drawn, "area")
    west, east = sorted(_points(cell))
    assert max(x for x, _ in west) == min(x for x, _ in east) == 500
    meridians = [text for text, *_, anchor in drawn.labels if anchor == "middle"]
    assert meridians == ["120° E", "150° E", "180°", "150° W", "120° W"]


def test_a_part_of_the_world_is_true_to_scale_in_its_middle() -> None:
    """A small circle at 60° is as wide as high, where a degree of longitude is half of one of latitude."""
    (path,) = _shapes(drawn_map(Map("round", circles=(Circle((60, 10), 300),), extent="content")), "circle")
    (line,) = _points(path)
    across, down = np.ptp(np.array(line), axis=0)
    assert across == pytest.approx(down, rel=0.01)


def test_a_part_of_the_world_may_be_across_greenwich() -> None:
    drawn = drawn_map(Map("channel", (Spot((50, -5), "true"), Spot((50, 5), "true")), extent="content"))
    (path,) = _shapes(drawn, "true")
    west, east = (float(x) for x in re.findall(r"M([\d.]+)", path))
    assert 0 < west < 500 < east < 1000
    assert west + east == pytest.approx(1000, abs=0.2)


def test_one_place_shows_what_is_around_it() -> None:
    drawn = drawn_map(Map("one", (Spot((48.9, 2.3), "predicted"),), extent="content"))
    assert drawn.height == pytest.approx(1000 / 1.5, abs=0.1)
    assert _shapes(drawn, "predicted") == ["M500.0 333.3h0"]
    assert drawn.land


@pytest.mark.parametrize("latitude", [-90.0, -84, 0, 62, 79, 90])
def test_a_part_of_the_world_is_wider_than_high(latitude: float) -> None:
    place = (latitude, 20)
    drawn = drawn_map(Map("near", (Spot(place, "true"),), circles=(Circle(place, 0),), extent="content"))
    assert 490 < drawn.height < 670
    (x, y), *_ = re.findall(r"M([\d.]+) ([\d.]+)", _shapes(drawn, "true")[0])
    assert 0 <= float(y) <= drawn.height
    assert 0 <= float(x) <= 1000


@pytest.mark.parametrize(
    "part", [Map("nothing", extent="content"), Map("wide", circles=(Circle((0, 0), 15_000),), extent="content")]
)
def test_what_is_nowhere_or_everywhere_shows_the_world(part: Map) -> None:
    drawn = drawn_map(part)
    assert drawn.height == 500
    named = " ".join(text.replace(" ", "") for text, *_ in drawn.labels)
    assert named == "120°W 60°W 0° 60°E 120°E 60°S 30°S 0° 30°N 60°N"


@dataclass(frozen=True)
class _Place:
    """An answer that is a place."""

    shown: Sequence[Part]

    def to_json(self) -> dict[str, object]:
        return {}

    def lines(self) -> list[str]:
        return ['48.9° N, 2.3° E, "near"', "within 100 km"]

    def drawn(self, pixels: NDArray[np.uint8], /) -> NDArray[np.uint8]:
        return 255 - pixels

    def parts(self) -> Sequence[Part]:
        return self.shown


def test_a_page_has_each_photo_with_its_map(tmp_path: Path) -> None:
    photo = tmp_path / "a & b.png"
    Image.new("RGB", (1280, 640), (200, 0, 0)).save(photo)
    page = AnswersPage(tmp_path / "page.html", tmp_path / "model.tflite")
    where = Map("Where <it> was", (Spot((0, 0), "predicted", "<here>"),), key=(("predicted", "likeliest & best"),))
    page.add(PurePosixPath("a & b.png"), photo, _Place((where, "A line.")))
    page.add(PurePosixPath("gone.png"), tmp_path / "gone.png", _Place(()))
    page.finish()
    html = (tmp_path / "page.html").read_text("utf-8")
    assert "Content-Security-Policy" in html
    assert "Answers of model.tflite" in html
    assert "a &amp; b.png</h2>" in html
    assert 'aria-label="Where &lt;it&gt; was"' in html
    assert "<title>&lt;here&gt;</title>" in html
    assert "likeliest &amp; best" in html
    assert "<p>A line.</p>" in html
    assert 'alt="48.9° N, 2.3° E, &#34;near&#34;; within 100 km"' in html
    assert html.count("cannot be shown") == 1
    assert "2 photos" in html
    assert "photos are shown" not in html


def test_a_page_shows_the_first_hundred(tmp_path: Path) -> None:
    page = AnswersPage(tmp_path / "page.html", tmp_path / "model.tflite")
    for number in range(103):
        page.add(PurePosixPath(f"{number}.png"), tmp_path / f"{number}.png", _Place(()))
    page.finish()
    html = (tmp_path / "page.html").read_text("utf-8")
    assert (html.count("<h2>"), "103 photos" in html) == (100, True)
    assert "Only the first 100 photos are shown." in html


def test_no_photo_makes_no_page(tmp_path: Path) -> None:
    AnswersPage(tmp_path / "page.html", tmp_path / "model.tflite").finish()
    assert list(tmp_path.iterdir()) == []
