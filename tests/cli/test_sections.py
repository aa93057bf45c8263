"""What a task says of an evaluation, on a terminal; the task is made up."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mobilenet.cli.sections import print_figures, print_sections, sentence
from mobilenet.cli.train import _document, _Progress, _show
from mobilenet.evaluate import Evaluation
from mobilenet.tasks.classification import Classification
from mobilenet.tasks.sections import Bars, Column, Figure, Gallery, Matrix, Section, Table

_FIGURES = {
    "top1": 0.75,
    "top1_interval": [0.3, 0.95],
    "top5": None,
    "loss": 0.5,
    "ece": 0.125,
    "labels": ["a/x", "a/y", "b"],
    "confusion": [[1, 1, 0], [0, 1, 0], [0, 0, 1]],
    "levels": [
        {"name": "level 1", "groups": 2, "top1": 1.0, "top1_interval": [0.5, 1.0], "inside": 0},
        {"name": "leaf", "groups": 3, "top1": 0.75, "top1_interval": [0.3, 0.95], "inside": 1},
    ],
}


def _lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines() if line]


def test_figures_stand_in_a_table_with_their_intervals(capsys: pytest.CaptureFixture[str]) -> None:
    figures = (
        Figure("Hit rate", 0.5, (0.25, 0.75), prominent=False),
        Figure("IoU of hits", None),
        Figure("Depth, m", 31.24, unit="number"),
    )
    print_figures("4 wells", figures, [("wells left out", "2")])
    assert _lines(capsys) == [
        "4 wells",
        "figure value",
        "hit rate 50.0 % (25.0 % to 75.0 %)",
        "IoU of hits -",
        "depth, m 31.2",
        "wells left out 2",
    ]


def test_tables_for_a_terminal_are_printed_under_their_captions(capsys: pytest.CaptureFixture[str]) -> None:
    columns = (
        Column("Well"),
        Column("Kind"),
        Column("Hits", "count"),
        Column("Share", "meter"),
        Column("AP", "share", 0),
    )
    rows = (("<north>\n", "deep", 1204, 0.5, None), ("south", "flat", 0, None, 0.125))
    parts = (
        Matrix("Rods", ("a",), ((0, 0, 1),)),
        Table(columns, rows),
        Table((Column("Hidden"),), (), on_terminal=False),
        "words",
        Bars("bars", ()),
        Gallery(),
        Table((Column("Name"), Column("Other")), (("one", "two"),), "Words alone"),
    )
    print_sections((Section("wells", "Wells", "note", parts),))
    assert _lines(capsys) == [
        "Wells",
        "well kind hits share AP",
        "<north>\\n deep 1,204 50.0 % -",
        "south flat 0 - 12 %",
        "Words alone",
        "name other",
        "one two",
    ]


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        (Figure("x", 0.912, (0.877, 0.938)), "top-1 91.2% on 341 validation photos (95 % interval 87.7% to 93.8%)"),
        (Figure("x", 0.912), "top-1 91.2% on 341 validation photos"),
        (Figure("x", None), "top-1 - on 341 validation photos"),
    ],
)
def test_the_goal_in_a_sentence(figure: Figure, text: str) -> None:
    assert sentence("top-1", figure, 341) == text


def _result(folder: Path) -> Any:
    return SimpleNamespace(folder=folder, evaluation=Evaluation("classification", 4, _FIGURES), total_s=239.6)


def test_what_training_says_of_a_classifier(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _show(_result(Path("runs/x")), Path("runs/x/report.html"), Classification())
    assert capsys.readouterr().out.splitlines() == [
        "top-1 75.0% on 4 validation photos (95 % interval 30.0% to 95.0%), 240 s in total",
        "level 1 100.0%, leaf 75.0%; 1 of 1 mistakes stay inside a parent",
        "model   runs/x/model.safetensors",
        "report  runs/x/report.html",
    ]


def test_the_document_of_a_training_has_the_goal_the_curves_and_the_loss() -> None:
    assert _document(_result(Path("runs/x")), Path("runs/x/report.html"), Classification()) == {
        "run": "runs/x",
        "model": "runs/x/model.safetensors",
        "report": "runs/x/report.html",
        "top1": 0.75,
        "top1_interval": [0.3, 0.95],
        "top5": None,
        "loss": 0.5,
        "validation_photos": 4,
        "seconds": 239.6,
    }


def test_the_line_of_an_epoch_names_the_goal_of_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.json").write_text('{"settings": {"task": "classification"}}')
    # What an earlier session left behind does not matter.
    (tmp_path / "evaluation.json").write_text("damaged")
    progress = _Progress(tmp_path)
    progress.epoch({"epoch": 0, "validation_loss": 2.25, "top1": 0.5})
    progress.epoch({"epoch": 1, "train_loss": 2.0, "images_per_second": 99.6})
    progress.epoch({"epoch": 2, "train_loss": 1.5, "validation_loss": 1.25, "top1": 0.875, "images_per_second": 99.6})
    lines = [line.rsplit("  ", 1)[0] for line in capsys.readouterr().err.splitlines()]
    assert lines == [
        "classifier only        validation loss 2.250  top-1  50.0%",
        "epoch   1  loss 2.000  100 photos/s",
        "epoch   2  loss 1.500  validation loss 1.250  top-1  87.5%  100 photos/s",
    ]
