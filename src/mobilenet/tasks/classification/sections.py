"""The sections of a report on a classifier's evaluation."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mobilenet.tasks.classification.confusion import Cell, cells
from mobilenet.tasks.sections import Bars, Bin, Column, Figure, Gallery, Matrix, Part, Section, Table
from mobilenet.tasks.task import Evaluated

__all__ = ["headline", "sections", "summary"]

_MOST_CONFUSED = 12
_MOST_FAMILIES = 12
"""Matrices on the page; the table lists every family."""


def headline(evaluation: Evaluated) -> tuple[Figure, ...]:
    """Top-1, top-5 if it is meaningful, loss and calibration error."""
    figures = evaluation.figures
    low, high = figures["top1_interval"]
    found = [Figure("Top-1 accuracy", figures["top1"], (low, high))]
    if figures["top5"] is not None:
        found.append(Figure("Top-5 accuracy", figures["top5"], note="true class among the top five"))
    return (
        *found,
        Figure("Loss, nats", figures["loss"], unit="number", prominent=False),
        *_calibration_errors(figures),
    )


def _calibration_errors(figures: Mapping[str, Any]) -> Iterator[Figure]:
    """That of the evaluation; how large it is for true confidences; for a run, before its temperature and cross-fitted
    with it. Evaluations of earlier versions have the first alone."""
    name, fit = "Expected calibration error", figures.get("temperature", {})
    errors = (
        (name, figures["ece"]),
        (f"{name}, cross-fitted", fit.get("ece_cross_fitted") if _tempered(figures) else None),
        (f"{name}, before temperature", fit.get("ece_before") if _tempered(figures) else None),
        (f"{name} of true confidences", figures.get("ece_floor")),
    )
    return (Figure(title, error, prominent=False) for title, error in errors if error is not None)


def _tempered(figures: Mapping[str, Any]) -> bool:
    """Whether the evaluation is that of a run whose network got a temperature."""
    return bool(figures.get("temperature", {"value": 1})["value"] != 1)


def sections(evaluation: Evaluated) -> tuple[Section, ...]:
    """Confusion matrix, levels of nested classes, worst mistakes, calibration, and scores per class."""
    figures = evaluation.figures
    levels = (_levels(figures),) if figures["levels"] else ()
    return (_confusion(figures), *levels, _mistakes(evaluation), _calibration(figures), _classes(figures))


def summary(evaluation: Evaluated) -> tuple[str, ...]:
    """One line about the levels of nested classes, none for flat ones, and one about the temperature."""
    return (*_summary_of_levels(evaluation), *_summary_of_temperature(evaluation.figures))


def _summary_of_temperature(figures: Mapping[str, Any]) -> tuple[str, ...]:
    fit = figures.get("temperature")
    if fit is None:
        return ()
    if not _tempered(figures):
        return (f"no temperature: {fit['note']}",)
    errors = f"calibration error {fit['ece_before']:.1%} before, {fit['ece_cross_fitted']:.1%} after (cross-fitted)"
    return (f"temperature {fit['value']:.2f}: {errors}",)


def _summary_of_levels(evaluation: Evaluated) -> tuple[str, ...]:
    levels = evaluation.figures["levels"]
    if not levels:
        return ()
    accuracies = ", ".join(f"{level['name']} {level['top1']:.1%}" for level in levels)
    wrong, inside = _wrong(evaluation), sum(level["inside"] for level in levels)
    return (f"{accuracies}; {inside} of {wrong} mistakes stay inside a parent" if wrong else accuracies,)


def _wrong(evaluation: Evaluated) -> int:
    """The number of photos with a wrong prediction."""
    figures = evaluation.figures
    return sum(photos for true, predicted, photos in _cells(figures) if true != predicted)


def _cells(figures: Mapping[str, Any]) -> tuple[Cell, ...]:
    return cells(figures["confusion"], len(figures["labels"]))


def _confusion(figures: Mapping[str, Any]) -> Section:
    labels, found = tuple(figures["labels"]), _cells(figures)
    of_class: Counter[int] = Counter()
    for true, _, photos in found:
        of_class[true] += photos
    pairs = [
        (labels[true], labels[predicted], photos, photos / of_class[true])
        for true, predicted, photos in found
        if true != predicted
    ]
    worst = sorted(pairs, key=lambda pair: (-pair[2], -pair[3], pair[0], pair[1]))[:_MOST_CONFUSED]
    columns = (
        Column("True class"),
        Column("Predicted class"),
        Column("Photos", "count"),
        Column("Share of true class", "share", 0),
    )
    too_large = f"{len(labels)} classes are too many to draw; the most common confusions are listed."
    parts: list[Part] = [Matrix("Confusion matrix", labels, found, too_large=too_large)]
    if worst:
        parts.append(Table(columns, tuple(worst), "Most common confusions", on_terminal=False))
    note = (
        "Rows: true class. Columns: predicted class. Blue is correct, orange is wrong; a stronger colour is a larger "
        "share of the row."
    )
    return Section("confusion", "Confusion matrix", note, tuple(parts))


def _levels(figures: Mapping[str, Any]) -> Section:
    families = figures["families"]
    columns = (
        Column("Level"),
        Column("Groups", "count"),
        Column("Top-1", "meter"),
        Column("95 % interval", "interval"),
        Column("Inside the parent", "count"),
    )
    rows = tuple(
        (
            level["name"],
            level["groups"],
            level["top1"],
            (level["top1_interval"][0], level["top1_interval"][1]),
            level["inside"] if number else None,
        )
        for number, level in enumerate(figures["levels"])
    )
    kinds = (
        Column("Parent"),
        Column("Children", "count"),
        Column("Photos", "count"),
        Column("Another child", "count"),
        Column("Something else", "count"),
    )
    taken = tuple(
        (family["label"], len(family["children"]), family["photos"], family["inside"], family["outside"])
        for family in families
    )
    confused = sorted((family for family in families if family["inside"]), key=lambda family: -family["inside"])
    note = (
        "The classes are nested. The prediction on a level is the ancestor of the predicted class on that level: "
        f"{families[0]['children'][-1]} counts as {families[0]['label']} one level above. Mistakes inside the parent "
        "are wrong on a level but correct on the one above."
    )
    parts: tuple[Part, ...] = (
        Table(columns, rows, "Accuracy by level"),
        Table(kinds, taken, "Predictions for the photos of each parent"),
        *(_family(family) for family in confused[:_MOST_FAMILIES]),
    )
    return Section("levels", "Accuracy by level", note, parts)


def _family(family: Mapping[str, Any]) -> Matrix:
    label, children = family["label"], family["children"]
    # Photos directly in the parent's own folder, beside its children.
    itself = f"{label.rpartition('/')[2]} itself"
    names = tuple(child[len(label) + 1 :] or itself for child in children)
    too_large = "It has too many children to draw."
    found = cells(family["confusion"], len(children))
    return Matrix(f"Inside {label}", tuple(children), found, names, too_large)


def _mistakes(evaluation: Evaluated) -> Section:
    wrong = _wrong(evaluation)
    if not wrong:
        return Section("mistakes", "Worst mistakes", "No predictions were wrong.", ())
    note = (
        f"{wrong} of {evaluation.photos} predictions were wrong. The most confident ones are shown, with the predicted "
        "class in orange: wrong labels and hard photos show up here first."
    )
    return Section("mistakes", "Worst mistakes", note, (Gallery(),))


def _calibration(figures: Mapping[str, Any]) -> Section:
    bins = _bins(figures["reliability"])
    before = _bins(figures["temperature"]["reliability_before"]) if _tempered(figures) else ()
    columns = (
        Column("Confidence", "interval", 0),
        Column("Photos", "count"),
        Column("Mean confidence", "share"),
        Column("Accuracy", "share"),
    )
    rows = tuple(((lower, upper), photos, sure, right) for lower, upper, photos, sure, right in bins if photos)
    ece = _percent(figures["ece"])
    note = (
        "A bar that ends at the dashed line is well calibrated: of the predictions with 80 % confidence, 80 % are "
        "correct. Above the line the model is underconfident, below it overconfident."
    )
    parts: tuple[Part, ...] = (
        Bars(f"Accuracy by confidence; expected calibration error {ece}", bins, before),
        f"Expected calibration error {ece}, loss {figures['loss']:.3f} nats.",
        *_remarks(figures),
        Table(columns, rows, on_terminal=False),
    )
    return Section("calibration", "Calibration", note, parts)


def _bins(rows: Sequence[Mapping[str, Any]]) -> tuple[Bin, ...]:
    return tuple((row["lower"], row["upper"], row["photos"], row["confidence"], row["accuracy"]) for row in rows)


def _remarks(figures: Mapping[str, Any]) -> Iterator[str]:
    """What the error is to be compared with, and what a temperature has done."""
    if (floor := figures.get("ece_floor")) is not None:
        yield f"On these photos, true confidences would have an error of {_percent(floor)} on average."
    fit = figures.get("temperature")
    if fit is None:
        return
    if not _tempered(figures):
        yield f"No temperature was applied: {fit['note']}."
        return
    yield (
        f"The logits are divided by {fit['value']:.2f}, a temperature fitted to {fit['photos']:,} validation photos. "
        f"Before, the error was {_percent(fit['ece_before'])} and the loss {fit['loss_before']:.3f} nats. "
        f"Cross-fitted ({fit['folds']} folds), on photos that the temperature was not fitted on, they are "
        f"{_percent(fit['ece_cross_fitted'])} and {fit['loss_cross_fitted']:.3f} nats."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _classes(figures: Mapping[str, Any]) -> Section:
    columns = (Column("Class"), Column("Photos", "count"), Column("Recall", "meter"), Column("Precision", "share"))
    rows = [(row["label"], row["photos"], row["recall"], row["precision"]) for row in figures["per_class"]]
    rows.sort(key=lambda row: (2.0 if row[2] is None else row[2], row[0]))
    note = (
        "Weakest first. Recall: the share of the photos of this class that were predicted correctly. Precision: the "
        "share of the predictions of this class that were correct."
    )
    return Section("classes", "Scores by class", note, (Table(columns, tuple(rows), "Scores by class"),))
