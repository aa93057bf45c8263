"""The page of a task that is not there: whatever a task says is drawn, and nothing of any other task."""

import base64
import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mobilenet import tasks
from mobilenet.evaluate import Evaluation, Mistake
from mobilenet.report import write_report
from mobilenet.report.draw.matrix import drawing
from mobilenet.report.draw.sections import drawn_section
from mobilenet.tasks.sections import Bars, Column, Figure, Gallery, Matrix, Section, Table
from mobilenet.tasks.task import Goal, Region

_BINS = ((0.0, 0.5, 3, 0.25, 1 / 3), (0.5, 1.0, 0, None, None))
_HITS = Table(
    (Column("Well"), Column("Depth, m", "number"), Column("Hits", "count"), Column("Share", "meter")),
    (("<north>", 12.25, 1204, 0.5), ("south", None, 0, None)),
    "Wells",
)
_SECTIONS = (
    Section("dry-wells", "Dry wells", "Where nothing was found.", (_HITS, "A paragraph: 5 % more.")),
    Section("rods", "Rods", "", (Matrix("Rods", ("hazel", "willow"), ((0, 0, 3), (0, 1, 1), (1, 1, 2))), _HITS)),
    Section(
        "springs",
        "Springs",
        "Two of them.",
        (
            Matrix("In spring", ("a", "b"), ((0, 0, 1), (1, 1, 1))),
            Matrix("In autumn", tuple(map(str, range(201))), (), too_large="Autumn has too many."),
        ),
    ),
    Section("trust", "Trust", "", (Bars("Right by trust", _BINS), "Beside it.", _HITS)),
    Section("misses", "Misses", "", (Gallery(),)),
)


class _Dowsing:
    """Finds water; no part of a network is asked for here."""

    name = "dowsing"
    goal = Goal("hits", "hit rate", "luck", "same rod")
    vocabulary_noun = "wells"
    augmentation: Mapping[str, Any] = MappingProxyType({})
    curves = (("hit rate", "hits"), ("near hits", "near"), ("far hits", "far"))

    def headline(self, evaluation: Any) -> tuple[Figure, ...]:
        hits, depth = evaluation.figures["hits"], evaluation.figures["depth"]
        return (
            Figure("Hit rate", hits, (0.25, 0.75), "by chance 10 %"),
            Figure("Depth, m", depth, unit="number"),
            Figure("Hidden", 0.875, prominent=False),
        )

    def sections(self, _evaluation: Any) -> tuple[Section, ...]:
        return _SECTIONS


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of the task, in a table of tasks that has it."""
    monkeypatch.setitem(tasks.TASKS, "dowsing", _Dowsing())
    folder = tmp_path / "run"
    folder.mkdir()
    lines = ({"epoch": number, "hits": 0.1 * number, "near": 0.2, "far": 0.3} for number in (1, 2))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    config = {"settings": {"task": "dowsing"}, "data": {"root": str(tmp_path), "classes": ["north", "south"]}}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def _page(run: Path) -> str:
    mistakes = (Mistake("gone.jpg", "water", "sand & gravel", 0.75),)
    figures = {"hits": 0.5, "depth": 31.25}
    Evaluation("dowsing", 40, figures, mistakes, (), str(run)).write(run / "evaluation.json")
    return write_report(run).read_text("utf-8").replace("\u202f", " ")


def _text(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html))


def _parts(html: str) -> dict[str, str]:
    return {part.partition('"')[0]: part for part in html.split('<section id="')[1:]}


def test_sections_stand_in_their_order_and_are_linked(run: Path) -> None:
    html = _page(run)
    anchors = [section.anchor for section in _SECTIONS]
    assert list(_parts(html)) == ["learning", *anchors, "cost", "time", "photos", "reproduce"]
    links = re.findall(r'<a href="#([^"]*)">([^<]*)</a>', html)
    assert links[1:6] == [*zip(anchors, ("Dry wells", "Rods", "Springs", "Trust", "Misses"), strict=True)]


def test_the_headline_is_the_tasks(run: Path) -> None:
    text = _text(_page(run))
    assert "2 wells" in text
    assert "Hit rate 50.0 % 95 % interval 25.0 to 75.0 %, on 40 photos, by chance 10 %" in text
    assert "Depth, m 31.2 " in text
    assert "Hidden" not in text


def test_a_table_has_a_cell_for_each_kind_of_column(run: Path) -> None:
    part = _parts(_page(run))["dry-wells"]
    assert "Wells Well Depth, m Hits Share &lt;north&gt; 12.2 1,204 50.0 % south – 0 – A paragraph: 5 % more." in _text(
        part
    )
    assert re.findall(r"--share:([\d.]+)%", part) == ["50.0"]
    assert re.findall(r'<th scope="row">([^<]*)</th>', part) == ["&lt;north&gt;", "south"]


def test_a_matrix_named_like_its_section_has_no_heading(run: Path) -> None:
    parts = _parts(_page(run))
    assert parts["rods"].count('<svg class="matrix"') == 1
    assert "<h3>" not in parts["rods"]
    assert re.findall("<h3>([^<]*)</h3>", parts["springs"]) == ["In spring", "In autumn"]
    assert "Autumn has too many." in parts["springs"]
    assert parts["springs"].count('<svg class="matrix"') == 1


def test_what_follows_a_diagram_stands_beside_it(run: Path) -> None:
    part = _parts(_page(run))["trust"]
    assert part.index("<figure>") < part.index("Beside it.") < part.index("Wells")
    assert 'aria-label="Right by trust"' in part
    assert part.count('class="pair"') == 1


def test_the_gallery_shows_mistakes_even_without_their_photos(run: Path) -> None:
    part = _parts(_page(run))["misses"]
    assert "photo missing sand &amp; gravel 75 % labelled water gone.jpg" in _text(part)


def _pictures(part: str) -> list[NDArray[np.uint8]]:
    urls = re.findall(r'src="data:image/jpeg;base64,([^"]*)"', part)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(url)))) for url in urls]


def test_a_mistake_about_a_part_is_shown_as_labelled_and_as_predicted(run: Path) -> None:
    Image.new("RGB", (600, 400), "black").save(run / "field.png")
    labelled = (Region((0.25, 0.25, 0.75, 0.5), "water", wrong=True), Region((0.5, 0.8, 0.9, 0.9), "sand"))
    predicted = (Region((0.5, 0.8, 0.9, 0.9), "sand 90 %"),)
    mistakes = (Mistake("field.png", "water", "nothing", 0.75, labelled, predicted),)
    Evaluation("dowsing", 40, {"hits": 0.5, "depth": 1.0}, mistakes, (), str(run)).write(run / "evaluation.json")
    part = _parts(write_report(run).read_text("utf-8"))["misses"]
    assert '<ul class="photos pairs">' in part
    (picture,) = _pictures(part)
    height, width, _ = picture.shape
    assert (height, width) == (320, 2 * 480 + 12)
    left, right = picture[:, :480].astype(int), picture[:, -480:].astype(int)
    # Orange has more red than green, and green the other way round; both on the left, on the right green alone.
    orange = [int(((half[..., 0] - half[..., 1]) > 60).sum()) for half in (left, right)]
    green = [int(((half[..., 1] - half[..., 0]) > 60).sum()) for half in (left, right)]
    assert orange[0] > 500
    assert orange[1] < 50
    assert green[0] == pytest.approx(green[1], rel=0.2)
    assert green[1] > 300
    # The line of the orange box, and its label above it
    assert (left[70:90, 200, 0] > 200).any()
    assert (left[40:75, 130:180, 0] > 200).sum() > 200


@pytest.mark.parametrize(
    ("gallery", "shown"),
    [
        (Gallery(), ["a", "b", "c"]),
        (Gallery(most=2), ["a", "b"]),
        (Gallery(("sand",)), ["a", "c"]),
        (Gallery(("sand",), most=1), ["a"]),
        (Gallery(labels=("rock",)), ["b", "c"]),
        (Gallery(("sand",), ("rock",)), ["c"]),
    ],
)
def test_a_gallery_shows_what_fits_it(
    run: Path, monkeypatch: pytest.MonkeyPatch, gallery: Gallery, shown: list[str]
) -> None:
    monkeypatch.setattr(_Dowsing, "sections", lambda *_: (Section("misses", "Misses", "", (gallery,)),))
    rows = (("a", "water", "sand"), ("b", "rock", "water"), ("c", "rock", "sand"))
    mistakes = tuple(Mistake(f"{name}.jpg", label, said, 0.5) for name, label, said in rows)
    Evaluation("dowsing", 3, {"hits": 0.5, "depth": 1.0}, mistakes, (), str(run)).write(run / "evaluation.json")
    part = _parts(write_report(run).read_text("utf-8"))["misses"]
    assert re.findall(r'title="(\w)\.jpg"', part) == shown


def test_curves_are_the_tasks_in_one_plot(run: Path) -> None:
    part = _parts(_page(run))["learning"]
    assert re.findall("<h3>([^<]*)</h3>", part) == ["Validation luck"]
    assert 'aria-label="Validation luck over 2 epochs; final values: hit rate 0.2, near hits 0.2, far hits 0.3"' in part


def test_nothing_of_another_task_is_said(run: Path) -> None:
    text = _text(_page(run)).lower()
    for word in ("top-1", "top-5", "top1", "class", "confus", "recall", "precision"):
        assert word not in text, word


def test_before_its_evaluation_the_task_is_that_of_the_settings(run: Path) -> None:
    html = write_report(run).read_text("utf-8")
    assert "Luck – not evaluated" in _text(html)
    assert list(_parts(html)) == ["learning", "evaluation", "cost", "time", "photos", "reproduce"]


def test_the_pages_know_no_task() -> None:
    """Of the run's page: no module and no template names what belongs to one task."""
    folder = Path(tasks.__file__).parents[1] / "report"
    files = [*(folder / "draw").glob("*.py"), *folder.glob("run_*.py"), *(folder / "templates").glob("*.html")]
    not_its_own = {"check.html", "fit.html", "fit_plot.py", "frontier.py", "formats.py"}
    words = re.compile(r"top-?[15]|confusion|recall|precision\b|classif|\bclass(es)?\b(?!=| _?[A-Z])", re.IGNORECASE)
    for path in files:
        if path.name not in not_its_own:
            found = [line for line in path.read_text("utf-8").splitlines() if words.search(line)]
            assert not [line for line in found if '"classes"' not in line], path


def test_a_row_that_lacks_a_cell_is_a_mistake_of_the_task() -> None:
    table = Table((Column("a"), Column("b")), (("only one",),))
    with pytest.raises(ValueError, match="argument 2 is longer"):
        drawn_section(Section("x", "X", "", (table,)), ())


def test_a_matrix_of_nothing_is_not_drawn() -> None:
    drawn = drawing(Matrix("Nothing", ("a", "b"), ()))
    assert drawn
    assert (drawn.squares, drawn.total) == ((), 0)
