"""The parts of the page, against figures that can be worked out by hand."""

import base64
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilenet.datasets import photo_reader
from mobilenet.evaluate import Evaluation
from mobilenet.metrics.classification import calibration
from mobilenet.metrics.hierarchy import Family
from mobilenet.report.draw.confusion import Confused, matrix, most_confused
from mobilenet.report.draw.families import drawn_families
from mobilenet.report.draw.formats import count, duration, percent, short, size
from mobilenet.report.draw.plots import Series, curves, reliability
from mobilenet.report.draw.thumbnails import thumbnail
from mobilenet.report.draw.timing import shares
from mobilenet.report.run_facts import read_run

MakeRun = Callable[..., Path]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (percent(0.83625), "83.6 %"),
        (percent(1, 0), "100 %"),
        (percent(None), "–"),
        (count(76_524_800), "76.5 M"),
        (count(1_331_592), "1.33 M"),
        (count(999_999), "1000 k"),
        (count(950), "950"),
        (count(None), "–"),
        (size(5_326_368), "5.33 MB"),
        (size(12), "12 B"),
        (duration(3.42), "3.4 s"),
        (duration(432.4), "7 min 12 s"),
        (duration(59.7), "1 min 0 s"),
        (duration(7384), "2 h 3 min"),
        (short("Apple/Pink-Lady"), "Apple/Pink-Lady"),
        (short("a" * 30 + "end", 11), "aaaaa…aaend"),
    ],
)
def test_numbers_as_people_read_them(text: str, expected: str) -> None:
    assert text.replace("\u202f", " ") == expected


def test_a_curve_is_drawn_through_its_points() -> None:
    svg = curves("loss", "Loss", [Series("training", [1, 2, 3], [3.0, 1.0, 2.0])])
    path = re.search(r'<path d="([^"]*)"[^>]*stroke: var\(--accent\)', svg)
    assert path
    points = np.array(re.findall(r"[ML] ([\d.-]+) ([\d.-]+)", path[1]), float)
    assert points.shape == (3, 2)
    assert points[1, 0] - points[0, 0] == pytest.approx(points[2, 0] - points[1, 0], abs=1e-3)
    # SVG counts y downwards: 3 is the highest point, and 2 lies half-way between 1 and 3
    assert points[2, 1] == pytest.approx((points[0, 1] + points[1, 1]) / 2, abs=1e-3)
    assert points[0, 1] < points[1, 1]


def test_a_plot_takes_its_colours_from_the_page() -> None:
    svg = curves("loss", 'a "quoted" <description>', [Series("a", [1], [0.5]), Series("b", [1], [0.7])], unit="%")
    assert not re.findall(r"#0[0-9a-f]{5}", svg)
    assert {"var(--accent)", "var(--second)", "var(--muted)"} <= set(re.findall(r"var\(--\w+\)", svg))
    assert all(name.startswith("loss-") for name in re.findall(r'\bid="([^"]*)"', svg))
    assert "&lt;description&gt;" in svg


def test_reliability_bars_are_as_high_as_the_accuracy() -> None:
    bins = calibration(np.array([0.4, 0.9, 0.9, 0.9, 0.9]), np.array([1, 1, 1, 0, 0]), bins=2).bins
    svg = reliability("reliability", "Reliability", bins)
    heights = []
    for outline in re.findall(r'<path d="([^"]*)"[^>]*style="fill: var\(--accent\)', svg):
        vertical = [float(y) for _, y in re.findall(r"[ML] ([\d.-]+) ([\d.-]+)", outline)]
        heights.append(max(vertical) - min(vertical))
    assert len(heights) == 2
    assert heights[1] / heights[0] == pytest.approx(0.5, rel=1e-3)


def _evaluation(make_run: MakeRun, confusion: list[list[int]]) -> Evaluation:
    labels = tuple("abcdefghij"[: len(confusion)])
    run = make_run(labels, tuple(f"{label}.jpg" for label in labels))
    fields = json.loads((run / "evaluation.json").read_text())
    return Evaluation.from_json(json.dumps({**fields, "confusion": confusion}))


def test_the_matrix_has_a_cell_where_there_are_photos() -> None:
    drawing = matrix(("a", "b", "c"), [[3, 1, 0], [0, 4, 0], [2, 0, 0]])
    assert drawing
    where = {(cell.label, cell.predicted): cell for cell in drawing.cells}
    assert set(where) == {("a", "a"), ("a", "b"), ("b", "b"), ("c", "a")}
    assert where["a", "b"].share == 0.25
    assert where["a", "b"].x == drawing.margin + drawing.side
    assert where["c", "a"].y == drawing.margin + 2 * drawing.side
    assert drawing.headings[2].at == drawing.margin + 2.5 * drawing.side


def test_families_are_drawn_with_the_names_of_their_children_most_mistakes_first() -> None:
    one = Family("A/Dog", ("A/Dog", "A/Dog/Big"), 3, 1, 0, ((1, 1), (0, 1)))
    none = Family("Pear", ("Pear/a", "Pear/b"), 3, 0, 2, ((1, 0), (0, 0)))
    two = Family("Apple", ("Apple/Fuji", "Apple/Gala"), 3, 2, 0, ((0, 1), (1, 1)))
    first, second = drawn_families([one, none, two])
    assert (first.label, second.label) == ("Apple", "A/Dog")
    assert first.matrix
    assert second.matrix
    assert [(heading.text, heading.label) for heading in second.matrix.headings] == [
        ("Dog itself", "A/Dog"),
        ("Big", "A/Dog/Big"),
    ]
    assert (first.matrix.right, first.matrix.photos) == (1, 3)
    assert [(cell.label, cell.predicted, cell.photos) for cell in first.matrix.cells] == [
        ("Apple/Fuji", "Apple/Gala", 1),
        ("Apple/Gala", "Apple/Fuji", 1),
        ("Apple/Gala", "Apple/Gala", 1),
    ]


def test_the_page_draws_twelve_families_at_most() -> None:
    many = [Family(f"{n}", (f"{n}/a", f"{n}/b"), 9, n, 0, ((9 - n, n), (0, 0))) for n in range(1, 16)]
    assert [family.label for family in drawn_families(many)] == [str(n) for n in range(15, 3, -1)]


def test_commonest_confusions_come_first(make_run: MakeRun) -> None:
    evaluation = _evaluation(make_run, [[3, 1, 0], [1, 1, 0], [2, 0, 6]])
    assert most_confused(evaluation) == (
        Confused("c", "a", 2, 0.25),
        Confused("b", "a", 1, 0.5),
        Confused("a", "b", 1, 0.25),
    )


def test_the_time_adds_up(make_run: MakeRun) -> None:
    """Two epochs of 1 + 6 + 2 + 0.5 s and 3 s of caching are 22 s; the other 3 s of 25 are named as such."""
    parts = shares(read_run(make_run()))
    assert [part.seconds for part in parts] == [3.0, 2.0, 12.0, 4.0, 1.0, 3.0]
    assert parts[-1].name == "Everything else"
    assert sum(part.share for part in parts) == pytest.approx(1.0)


def test_a_line_that_was_cut_off_is_left_out_and_a_repeated_epoch_counts_once(make_run: MakeRun) -> None:
    run = make_run()
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 2, "train_loss": 0.5}\n{"epoch": 3, "train_lo')
    epochs, losses = read_run(run).curve("train_loss")
    assert (epochs, losses) == ([1, 2], [2.0, 0.5])


def test_a_thumbnail_is_the_whole_photo_made_small(tmp_path: Path) -> None:
    Image.new("RGB", (800, 400), (200, 30, 60)).save(tmp_path / "wide.png")
    url = thumbnail(photo_reader(tmp_path), "wide.png")
    assert url
    kind, _, data = url.partition(",")
    with Image.open(io.BytesIO(base64.b64decode(data))) as small:
        assert (kind, small.format, small.size) == ("data:image/jpeg;base64", "JPEG", (240, 120))
        # JPEG at quality 80 keeps a plain colour within a few levels
        assert np.asarray(small).reshape(-1, 3).mean(axis=0) == pytest.approx([200, 30, 60], abs=3)


def test_a_photo_that_is_gone_or_broken_has_no_thumbnail(tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    assert thumbnail(photo_reader(tmp_path), "broken.jpg") is None
    assert thumbnail(photo_reader(tmp_path), "gone.jpg") is None
    assert thumbnail(photo_reader(tmp_path), "") is None
