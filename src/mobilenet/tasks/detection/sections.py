"""The sections of a report on an evaluation of a detector."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mobilenet.tasks.sections import Cell, Column, Curve, Curves, Dots, Figure, Gallery, Matrix, Part, Section, Table
from mobilenet.tasks.task import Evaluated

__all__ = ["headline", "sections", "summary"]

_MOST_CURVES = 48
_MOST_CONFUSED = 12
_MOST_PHOTOS = 8
_SIZES = {"small": "up to 32 × 32 pixels", "medium": "up to 96 × 96 pixels", "large": "beyond"}


def headline(evaluation: Evaluated) -> tuple[Figure, ...]:
    """AP over all IoU, AP at IoU 0.5, F1; precision, recall, AP by size and AR."""
    figures = evaluation.figures
    more = (
        ("Average precision at IoU 0.75", "ap75"),
        *((f"Average precision of {size} boxes", f"ap_{size}") for size in _SIZES),
        *((f"Recall of {_best(most)} per photo and class", f"ar_{most}") for most in (1, 10, 100)),
        *((f"Recall of {size} boxes", f"ar_{size}") for size in _SIZES),
    )
    return (
        Figure("Average precision", figures["ap"], note="mean over classes and IoU 0.5 to 0.95"),
        Figure("Average precision at IoU 0.5", figures["ap50"]),
        Figure("F1", figures["f1"], note=_at_threshold(figures)),
        Figure("Precision", figures["precision"], prominent=False),
        Figure("Recall", figures["recall"], prominent=False),
        Figure("Score with the best F1", figures["threshold"], unit="number", prominent=False),
        *(Figure(title, figures[name], prominent=False) for title, name in more),
    )


def sections(evaluation: Evaluated) -> tuple[Section, ...]:
    """Scores by class, precision and recall, confusion with the background, boxes by size, prior boxes over labels,
    worst mistakes."""
    figures = evaluation.figures
    scores = (_classes(figures), *_curves(figures), _confusion(figures), _sizes(figures))
    return (*scores, *_priors(figures), _mistakes(figures))


def summary(evaluation: Evaluated) -> tuple[str, ...]:
    """One line on AP at IoU 0.5 and F1, and one on classes that could not be measured."""
    figures = evaluation.figures
    ap50, f1, precision, recall = (_percent(figures[name]) for name in ("ap50", "f1", "precision", "recall"))
    line = f"AP50 {ap50}, F1 {f1}{_where(figures)}, with precision {precision} and recall {recall}"
    return (line, *_unmeasured(figures))


def _best(most: int) -> str:
    return "the best box" if most == 1 else f"the best {most} boxes"


def _at_threshold(figures: Mapping[str, Any]) -> str:
    """The note of figures that are taken at a score."""
    limit = figures["threshold"]
    return "" if limit is None else f"at IoU 0.5, from a score of {limit:.2f}, which is the best for it"


def _where(figures: Mapping[str, Any]) -> str:
    limit = figures["threshold"]
    return "" if limit is None else f" from a score of {limit:.2f}"


def _unmeasured(figures: Mapping[str, Any]) -> Iterator[str]:
    names = [row["label"] for row in figures["classes"] if row["ap"] is None]
    if names:
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        yield f"not measured, as no validation photo has a box of it: {shown}"


def _classes(figures: Mapping[str, Any]) -> Section:
    columns = (
        Column("Class"),
        Column("Boxes", "count"),
        Column("Photos", "count"),
        Column("AP", "meter"),
        Column("AP50", "share"),
        Column("AR", "share"),
        Column("Precision", "share"),
        Column("Recall", "share"),
        Column("Missed", "count"),
        Column("Swapped", "count"),
        Column("False alarms", "count"),
    )
    names = ("boxes", "photos", "ap", "ap50", "ar_100", "precision", "recall", "misses", "swapped", "false_alarms")
    rows: list[tuple[Cell, ...]] = [
        (row["label"], *(row[name] for name in names)) for row in sorted(figures["classes"], key=_weakest_first)
    ]
    note = (
        "Weakest first. AP: average precision, the mean over IoU 0.5 to 0.95 of the area under the curve of precision "
        "over recall; AP50 at IoU 0.5 alone. AR: the share of the boxes found among the best 100 of a photo, over the "
        f"same IoU. The rest is counted at IoU 0.5{_where(figures)}. Swapped: found as another class."
    )
    crowds = figures["crowds"]
    if crowds:
        note += f" Boxes around crowds, {crowds:,} here, count nowhere."
    return Section("classes", "Scores by class", note, (Table(columns, tuple(rows), "Scores by class"),))


def _weakest_first(row: Mapping[str, Any]) -> tuple[float, str]:
    return (2.0 if row["ap"] is None else row["ap"], row["label"])


def _curves(figures: Mapping[str, Any]) -> Iterator[Section]:
    curves = figures["curves"]
    if curves["mean"] is None:
        return
    plots = [Curve(f"All classes: AP50 {_percent(figures['ap50'])}", _points(curves, curves["mean"]), 0.0)]
    rows = zip(figures["classes"], curves["classes"], strict=True)
    measured = [(row, curve) for row, curve in rows if curve is not None]
    measured.sort(key=lambda pair: (pair[0]["ap50"], pair[0]["label"]))
    if len(measured) > 1:
        plots += [_curve(curves, row, curve) for row, curve in measured[: _MOST_CURVES - 1]]
    parts: list[Part] = [Curves("recall", "precision", tuple(plots))]
    more = len(measured) - _MOST_CURVES + 1
    if more > 0:
        parts.append(f"The {_MOST_CURVES - 1} weakest classes are drawn; {more} more are in the table above.")
    note = (
        "At IoU 0.5. From left to right the score falls: more boxes are found, and more of those found are wrong. As "
        "on COCO, the precision drawn is the best at that recall or a higher one. The dot is the score with the best "
        "F1 of all classes together."
    )
    yield Section("precision-and-recall", "Precision and recall", note, tuple(parts))


def _curve(curves: Mapping[str, Any], row: Mapping[str, Any], curve: Sequence[float]) -> Curve:
    used = None if row["precision"] is None else (row["recall"], row["precision"])
    return Curve(f"{row['label']}: AP50 {_percent(row['ap50'])}", _points(curves, curve), 0.0, used)


def _points(curves: Mapping[str, Any], precision: Sequence[float]) -> tuple[tuple[float, float], ...]:
    return tuple(zip(curves["recall"], precision, strict=True))


def _confusion(figures: Mapping[str, Any]) -> Section:
    names = (*figures["labels"], figures["background"])
    stored = figures["confusion"]
    cells = sorted(zip(stored["true"], stored["predicted"], stored["boxes"], strict=True))
    note = (
        f"Rows are labels, columns predictions, at IoU 0.5{_where(figures)}. The last row, {names[-1]}, are boxes of "
        "nothing; the last column are boxes that were missed."
    )
    confused = sorted((cell for cell in cells if cell[0] != cell[1]), key=lambda cell: (-cell[2], cell))
    parts: list[Part] = []
    if cells:
        parts.append(
            Matrix("Confusion matrix", names, cells, too_large=f"{len(names):,} classes are too many to draw.")
        )
    if confused:
        columns = (Column("Label"), Column("Predicted as"), Column("Boxes", "count"))
        rows = tuple((names[true], names[predicted], count) for true, predicted, count in confused[:_MOST_CONFUSED])
        parts.append(Table(columns, rows, "Most frequent confusions"))
    return Section("confusion", "Confusion matrix", note, tuple(parts))


def _sizes(figures: Mapping[str, Any]) -> Section:
    columns = (
        Column("Boxes"),
        Column("Area"),
        Column("Number", "count"),
        Column("AP", "meter"),
        Column("AR", "share"),
        Column("Found", "share"),
    )
    rows = tuple(
        (row["size"].capitalize(), _SIZES[row["size"]], row["boxes"], row["ap"], row["ar_100"], row["recall"])
        for row in figures["sizes"]
    )
    note = (
        "By the area of a box in the original photo. AP and AR as above; Found: the share that was found and named "
        f"rightly, at IoU 0.5{_where(figures)}."
    )
    return Section("sizes", "Boxes by size", note, (Table(columns, rows, "Boxes by size"),))


def _priors(figures: Mapping[str, Any]) -> Iterator[Section]:
    """Nothing for evaluations that did not look at them."""
    shapes = figures.get("shapes")
    if shapes is None or shapes["overlap"] is None:
        return
    note = (
        "A labelled box overlaps the prior box most like it, around the same centre, by "
        f"{_percent(shapes['overlap'])} in the mean. Boxes far from every prior are hard to learn. "
        "Priors that are larger than the photo are not drawn."
    )
    names = "labelled boxes", "prior boxes"
    boxes, priors = (tuple((width, height) for height, width in shapes[name]) for name in ("boxes", "priors"))
    inside = tuple(prior for prior in priors if max(prior) <= 1)
    plot = Dots("Labelled boxes and prior boxes by width and height", "width", "height", names, boxes, inside)
    yield Section("prior-boxes", "Prior boxes", note, (plot,))


def _mistakes(figures: Mapping[str, Any]) -> Section:
    labels, background = tuple(figures["labels"]), figures["background"]
    totals = {name: sum(row[name] for row in figures["classes"]) for name in ("misses", "false_alarms", "swapped")}
    if not any(totals.values()):
        return Section("mistakes", "Worst mistakes", "No box was missed, invented or swapped.", ())
    kinds = (
        ("misses", "Missed", Gallery((background,), labels, _MOST_PHOTOS)),
        ("false_alarms", "Found, but not there", Gallery(labels, (background,), _MOST_PHOTOS)),
        ("swapped", "Found as another class", Gallery(labels, labels, _MOST_PHOTOS)),
    )
    parts: list[Part] = []
    for name, title, gallery in kinds:
        if totals[name]:
            parts += [f"{title}: {totals[name]:,}.", gallery]
    note = (
        "Each photo twice: on the left what is labelled, on the right what was found. The boxes in orange are the "
        "wrong ones, the others are green. Wrong and missing labels show up here first."
    )
    return Section("mistakes", "Worst mistakes", note, tuple(parts))


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"
