"""The parts of the page, against figures that can be worked out by hand."""

import base64
import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilenet.datasets import photo_reader
from mobilenet.report.draw.formats import capitalised, count, duration, narrow, percent, short, size
from mobilenet.report.draw.matrix import drawing
from mobilenet.report.draw.plots import Series, curves, reliability
from mobilenet.report.draw.thumbnails import thumbnail
from mobilenet.report.draw.timing import shares
from mobilenet.report.run_facts import read_run
from mobilenet.tasks.sections import Bars, Matrix

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
        (narrow("95 % of 3 %d"), "95 % of 3 %d"),
        (capitalised("top-1 accuracy"), "Top-1 accuracy"),
        (capitalised("mAP at 0.5"), "mAP at 0.5"),
        (capitalised(""), ""),
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


def test_each_of_three_lines_has_a_colour_of_its_own() -> None:
    svg = curves("goal", "Goal", [Series(name, [1, 2], [0.1, 0.2]) for name in "abc"], unit="%")
    assert {"var(--accent)", "var(--second)", "var(--t3)"} <= set(re.findall(r"stroke: (var\(--\w+\))", svg))


def test_reliability_bars_are_as_high_as_the_accuracy() -> None:
    """Empty ranges have no bar."""
    bins = ((0.0, 0.5, 1, 0.4, 1.0), (0.5, 0.75, 0, None, None), (0.75, 1.0, 4, 0.9, 0.5))
    svg = reliability("calibration", Bars("Right by confidence", bins))
    heights = []
    for outline in re.findall(r'<path d="([^"]*)"[^>]*style="fill: var\(--accent\)', svg):
        vertical = [float(y) for _, y in re.findall(r"[ML] ([\d.-]+) ([\d.-]+)", outline)]
        heights.append(max(vertical) - min(vertical))
    assert len(heights) == 2
    assert heights[1] / heights[0] == pytest.approx(0.5, rel=1e-3)


def test_bars_before_calibration_are_outlines_beside_a_legend() -> None:
    bins, before = ((0.0, 0.5, 1, 0.4, 0.5),), ((0.0, 0.5, 1, 0.4, 1.0), (0.5, 1.0, 0, None, None))
    svg = reliability("calibration", Bars("Right by confidence", bins, before))
    bars = re.findall(r'<path d="([^"]*)"[^>]*style="(fill: (?:var|none)[^"]*)"', svg)
    outlines = [outline for outline, look in bars if look.startswith("fill: none; stroke: var(--muted)")]
    # The bar, and its sample in the legend.
    assert len(outlines) == 2
    assert "after calibration" in svg
    assert "after calibration" not in reliability("calibration", Bars("Right by confidence", bins))


def test_the_matrix_has_a_square_where_there_is_something() -> None:
    drawn = drawing(Matrix("Confusions", ("a", "b", "c"), ((0, 0, 3), (0, 1, 1), (1, 1, 4), (2, 0, 2))))
    assert drawn
    where = {(square.label, square.answer): square for square in drawn.squares}
    assert set(where) == {("a", "a"), ("a", "b"), ("b", "b"), ("c", "a")}
    assert where["a", "b"].share == 0.25
    assert where["a", "b"].x == drawn.margin + drawn.side
    assert where["c", "a"].y == drawn.margin + 2 * drawn.side
    assert drawn.headings[2].at == drawn.margin + 2.5 * drawn.side
    assert (drawn.right, drawn.total) == (7, 10)


def test_a_matrix_may_have_other_names_than_labels() -> None:
    drawn = drawing(Matrix("Inside", ("Dog", "Dog/Big"), ((0, 0, 1), (0, 1, 1), (1, 1, 1)), ("Dog itself", "Big")))
    assert drawn
    assert [(heading.text, heading.label) for heading in drawn.headings] == [("Dog itself", "Dog"), ("Big", "Dog/Big")]


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
