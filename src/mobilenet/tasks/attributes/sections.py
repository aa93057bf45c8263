"""The sections of a report on an evaluation of attributes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mobilenet.tasks.sections import Bars, Bin, Column, Curve, Curves, Figure, Gallery, Part, Section, Table
from mobilenet.tasks.task import Evaluated

__all__ = ["headline", "sections", "summary"]

_MOST_CURVES = 48
_MOST_PAIRS = 30


def headline(evaluation: Evaluated) -> tuple[Figure, ...]:
    """Mean AP, mean F1, exact matches, each with what guessing reaches; loss and calibration error."""
    figures = evaluation.figures
    limits = figures.get("thresholds", {})
    found = [
        Figure("Mean average precision", figures["mean_ap"], note=f"random scores {_percent(figures['chance_ap'])}"),
        Figure("Mean F1", figures["mean_f1"], note=_cross_fitted(limits)),
        Figure(
            "Exact matches",
            figures["exact"],
            note=f"photos with every answer right; the same answer always {_percent(figures['constant_exact'])}",
        ),
        Figure("Mean balanced accuracy", figures["mean_balanced_accuracy"], prominent=False),
        Figure("Average precision of random scores", figures["chance_ap"], prominent=False),
        Figure("Exact matches of constant answers", figures["constant_exact"], prominent=False),
        Figure("Loss, nats", figures["loss"], unit="number", prominent=False),
        Figure("Expected calibration error", figures["ece"], prominent=False),
        Figure("Expected calibration error of true confidences", figures["ece_floor"], prominent=False),
    ]
    if limits.get("mean_f1_cross_fitted") is not None:
        found.append(Figure("Mean F1, cross-fitted", limits["mean_f1_cross_fitted"], prominent=False))
    return tuple(found)


def sections(evaluation: Evaluated) -> tuple[Section, ...]:
    """Scores by attribute, precision and recall, mistakes both ways, attributes together, and calibration."""
    figures = evaluation.figures
    return (
        _scores(figures),
        *_curves(figures),
        _mistakes(figures),
        _together(figures),
        _calibration(figures),
    )


def summary(evaluation: Evaluated) -> tuple[str, ...]:
    """One line on F1 and exact matches, with what guessing reaches, one on attributes that could not be measured, and
    one on the temperature."""
    figures = evaluation.figures
    scores = f"mean F1 {_percent(figures['mean_f1'])}{_cross_fitted(figures.get('thresholds', {}), ' (', ')')}"
    exact, constant = (_percent(figures[name]) for name in ("exact", "constant_exact"))
    return (
        f"{scores}, every answer right on {exact} of the photos ({constant} by always answering the same)",
        *_unmeasured(figures),
        *_temperature(figures),
    )


def _cross_fitted(limits: Mapping[str, Any], before: str = "", after: str = "") -> str:
    value = limits.get("mean_f1_cross_fitted")
    return "" if value is None else f"{before}{_percent(value)} with thresholds from other photos{after}"


def _unmeasured(figures: Mapping[str, Any]) -> Iterator[str]:
    names = [row["label"] for row in figures["per_attribute"] if row["ap"] is None]
    if names:
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        yield f"not measured, as no validation photo, or every one, is known to have it: {shown}"


def _temperature(figures: Mapping[str, Any]) -> Iterator[str]:
    fit = figures.get("temperature")
    if fit is None:
        return
    if fit["value"] == 1:
        yield f"no temperature: {fit['note']}"
        return
    errors = f"{_percent(fit['ece_before'])} before, {_percent(fit['ece_cross_fitted'])} after (cross-fitted)"
    yield f"temperature {fit['value']:.2f}: calibration error {errors}"


def _scores(figures: Mapping[str, Any]) -> Section:
    columns = (
        Column("Attribute"),
        Column("Known", "count"),
        Column("With it", "count"),
        Column("AP", "meter"),
        Column("F1", "share"),
        Column("Precision", "share"),
        Column("Recall", "share"),
        Column("Balanced accuracy", "share"),
        Column("Threshold", "number"),
    )
    rows = [
        (
            row["label"],
            row["known"],
            row["with"],
            row["ap"],
            *(
                row[name] if row["ap"] is not None else None
                for name in ("f1", "precision", "recall", "balanced_accuracy")
            ),
            row["threshold"],
        )
        for row in figures["per_attribute"]
    ]
    rows.sort(key=lambda row: (2.0 if row[3] is None else row[3], row[0]))
    unknown = figures["unknown_values"]
    note = (
        "Weakest first. AP: average precision, the area under the curve of precision over recall; random scores reach "
        "the share of photos with the attribute. Balanced accuracy: the mean of the shares of right answers among "
        "photos with the attribute and among those without, 50 % for an answer that is always the same. "
        f"{figures['measured']} of {len(figures['labels'])} attributes can be measured; it takes both kinds of photos."
    )
    if unknown:
        note += f" {unknown:,} values are not known; they count nowhere."
    return Section("attributes", "Scores by attribute", note, (Table(columns, tuple(rows), "Scores by attribute"),))


def _curves(figures: Mapping[str, Any]) -> Iterator[Section]:
    measured = [row for row in figures["per_attribute"] if row["curve"] is not None]
    measured.sort(key=lambda row: (row["ap"], row["label"]))
    if not measured:
        return
    note = (
        "From left to right the threshold falls: more photos are found, and more of those found do not have the "
        "attribute. The dot is the threshold in use; the dashed line is what random scores reach."
    )
    more = len(measured) - _MOST_CURVES
    parts: list[Part] = [Curves("recall", "precision", tuple(map(_curve, measured[:_MOST_CURVES])))]
    if more > 0:
        parts.append(f"The {_MOST_CURVES} weakest are drawn; {more} more are in the table above.")
    yield Section("precision-and-recall", "Precision and recall", note, tuple(parts))


def _curve(row: Mapping[str, Any]) -> Curve:
    points = [(0.0, row["curve"]["precision"][0])]
    points += zip(row["curve"]["recall"], row["curve"]["precision"], strict=True)
    used = None if row["precision"] is None else (row["recall"], row["precision"])
    return Curve(f"{row['label']}: AP {_percent(row['ap'])}", tuple(points), row["with"] / row["known"], used)


def _mistakes(figures: Mapping[str, Any]) -> Section:
    rows = figures["per_attribute"]
    alarms, misses = (sum(row[name] for row in rows) for name in ("false_alarms", "misses"))
    wrong = alarms + misses
    if not wrong:
        return Section("mistakes", "Worst mistakes", "No answers were wrong.", ())
    note = (
        f"{wrong:,} of {figures['known_values']:,} answers were wrong. The most confident ones are shown, with the "
        "answer in orange: wrong labels and hard photos show up here first."
    )
    parts: list[Part] = []
    labels = tuple(figures["labels"])
    if alarms:
        parts += [f"Found, but not there: {alarms:,}.", Gallery(labels)]
    if misses:
        parts += [f"There, but not found: {misses:,}.", Gallery(tuple(f"not {label}" for label in labels))]
    return Section("mistakes", "Worst mistakes", note, tuple(parts))


def _together(figures: Mapping[str, Any]) -> Section:
    labels = figures["labels"]
    true = _pairs(figures["together"]["true"])
    answered = _pairs(figures["together"]["answered"])
    alone = {one: photos for (one, other), photos in true.items() if one == other}
    found = sorted(
        {pair for pair in (*true, *answered) if pair[0] < pair[1]},
        key=lambda pair: (-true.get(pair, 0), -answered.get(pair, 0), pair),
    )
    rows = tuple(
        (
            labels[one],
            labels[other],
            true.get((one, other), 0),
            _share(true.get((one, other), 0), alone.get(one, 0)),
            _share(true.get((one, other), 0), alone.get(other, 0)),
            answered.get((one, other), 0),
        )
        for one, other in found[:_MOST_PAIRS]
    )
    columns = (
        Column("Attribute"),
        Column("Another"),
        Column("Photos with both", "count"),
        Column("Of those with the first", "share", 0),
        Column("Of those with the other", "share", 0),
        Column("Answered as both", "count"),
    )
    if not rows:
        return Section("together", "Attributes together", "No photo has two attributes.", ())
    note = (
        "The pairs that occur most often. Where a model answers with both much more often than photos have both, it "
        "has learned that they go together rather than to see them."
    )
    return Section("together", "Attributes together", note, (Table(columns, rows, on_terminal=False),))


def _pairs(rows: Sequence[Sequence[int]]) -> dict[tuple[int, int], int]:
    return {(one, other): photos for one, other, photos in rows}


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _calibration(figures: Mapping[str, Any]) -> Section:
    bins: tuple[Bin, ...] = tuple(
        (row["lower"], row["upper"], row["photos"], row["confidence"], row["accuracy"])
        for row in figures["reliability"]
    )
    columns = (
        Column("Probability", "interval", 0),
        Column("Answers", "count"),
        Column("Mean probability", "share"),
        Column("Share that has it", "share"),
    )
    rows = tuple(((lower, upper), count, sure, right) for lower, upper, count, sure, right in bins if count)
    note = (
        "A bar that ends at the dashed line is well calibrated: of the attributes given 80 %, 80 % are there. Above "
        "the line they are there more often than the model says, below it less often."
    )
    parts: list[Part] = [
        Bars(f"Share that has the attribute by probability; calibration error {_percent(figures['ece'])}", bins),
        f"Expected calibration error {_percent(figures['ece'])}, loss {figures['loss']:.3f} nats.",
        f"True probabilities would have an error of {_percent(figures['ece_floor'])} on average.",
        *(f"{line[0].upper()}{line[1:]}." for line in _temperature(figures)),
        Table(columns, rows, on_terminal=False),
    ]
    return Section("calibration", "Calibration", note, tuple(parts))


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"
