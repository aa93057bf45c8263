"""The sections of a report on vectors."""

from collections.abc import Mapping
from typing import Any

from mobilenet.tasks.sections import Column, Figure, Gallery, Part, Section, Table
from mobilenet.tasks.task import Evaluated

__all__ = ["headline", "sections", "summary"]


def headline(evaluation: Evaluated) -> tuple[Figure, ...]:
    """Retrieval, and verification where there are pairs."""
    figures = evaluation.figures
    pairs = figures["verification"]
    return (
        *(() if figures["recall_at_1"] is None else _retrieval(figures)),
        *(() if pairs is None else _rates(pairs)),
        Figure("Loss", figures["loss"], unit="number", prominent=False),
    )


def _retrieval(figures: Mapping[str, Any]) -> tuple[Figure, ...]:
    interval, queries = figures["recall_at_1_interval"], figures["queries"]
    taught = figures["map_at_r"] is None
    first = Figure(
        "Recall@1",
        figures["recall_at_1"],
        None if interval is None else (interval[0], interval[1]),
        note="same photo nearest as for the teacher" if taught else f"nearest other of the class, {queries:,} queries",
    )
    if taught:
        return (first,)
    return (
        first,
        Figure("Recall@5", figures["recall_at_5"], note="one of the class among the five nearest"),
        Figure("mAP@R", figures["map_at_r"], note="precision down to rank R, the photos of the class"),
    )


def _rates(pairs: Mapping[str, Any]) -> tuple[Figure, ...]:
    return (
        Figure("Verification accuracy", pairs["accuracy"], note="threshold of other pairs"),
        *_at_threshold(pairs["at_threshold"]),
        *(
            Figure(f"True accepts at {row['false_accept_rate']:g}", row["true_accept_rate"], prominent=False)
            for row in pairs["rates"]
        ),
    )


def _at_threshold(at: Mapping[str, Any] | None) -> tuple[Figure, ...]:
    """What the threshold of the model file does."""
    if at is None:
        return ()
    title = f"at the model's threshold, {at['threshold']:.3f}"
    return (
        Figure(f"True accepts {title}", at["true_accept_rate"], prominent=False),
        Figure(f"False accepts {title}", at["false_accept_rate"], prominent=False),
    )


def sections(evaluation: Evaluated) -> tuple[Section, ...]:
    """Verification, worst mistakes, and recall by class, as far as there are any."""
    figures = evaluation.figures
    found = []
    if figures["verification"] is not None:
        found.append(_verification(figures["verification"]))
    if figures["per_class"]:
        found += [_mistakes(figures), _classes(figures)]
    return tuple(found)


def summary(evaluation: Evaluated) -> tuple[str, ...]:
    """Lines about the threshold, and about photos that cannot be found."""
    figures = evaluation.figures
    lines = []
    if not figures["queries"] and figures["per_class"]:
        lines.append("no two validation photos are of one class: recall cannot be measured; give more with --val")
    if fit := figures.get("threshold"):
        rate = f"{fit['false_accept_rate']:g}"
        lines.append(
            f"no threshold for a false-accept rate of {rate}: {fit['note']}"
            if fit["value"] is None
            else f"threshold {fit['value']:.3f} for a false-accept rate of {rate}, fitted to {fit['pairs']:,} pairs"
        )
    return tuple(lines)


def _verification(pairs: Mapping[str, Any]) -> Section:
    counted = f"{pairs['same_pairs']:,} same and {pairs['different_pairs']:,} different pairs"
    rates = Table(
        (Column("False-accept rate", "share"), Column("Threshold", "number"), Column("True-accept rate", "meter")),
        tuple((row["false_accept_rate"], row["threshold"], row["true_accept_rate"]) for row in pairs["rates"]),
        f"True accepts by false-accept rate, {counted}",
    )
    parts: list[Part] = [rates]
    if at := pairs["at_threshold"]:
        parts.append(
            f"At the threshold of the model file, {at['threshold']:.3f}, {_share(at['true_accept_rate'])} of the pairs "
            f"of one class and {_share(at['false_accept_rate'])} of the pairs of two classes are accepted; it was "
            f"fitted for a false-accept rate of {at['fitted_for']:g}."
        )
    parts.append(_spread(pairs["similarities"]))
    note = (
        f"Whether two photos show the same, for {pairs['same_pairs']:,} pairs of one class and "
        f"{pairs['different_pairs']:,} pairs of two classes: a pair is accepted if its similarity, the cosine of the "
        "two vectors, is at least the threshold. A rate without a value needs more pairs."
    )
    return Section("verification", "Verification", note, tuple(parts))


def _spread(similarities: Mapping[str, Any]) -> Table:
    columns = (Column("Pairs"), *(Column(f"{10 * tenth} %", "number") for tenth in range(11)))
    rows = tuple(
        (title, *similarities[kind])
        for kind, title in (("same", "of one class"), ("different", "of two classes"))
        if similarities[kind]
    )
    return Table(columns, rows, "Similarity below which so many of the pairs are", on_terminal=False)


def _share(value: float | None) -> str:
    return "none" if value is None else f"{100 * value:.1f} %"


def _mistakes(figures: Mapping[str, Any]) -> Section:
    wrong = sum(round((1 - row["recall_at_1"]) * row["photos"]) for row in figures["per_class"] if row["photos"] > 1)
    if not wrong:
        return Section("mistakes", "Worst mistakes", "The nearest photo was of the same class for every query.", ())
    note = (
        f"The nearest other photo of {wrong:,} of {figures['queries']:,} queries was of another class. The most "
        "similar ones are shown, with the class of the nearest photo in orange: wrong labels show up here first."
    )
    return Section("mistakes", "Worst mistakes", note, (Gallery(),))


def _classes(figures: Mapping[str, Any]) -> Section:
    columns = (Column("Class"), Column("Photos", "count"), Column("Recall@1", "meter"))
    rows = [(row["label"], row["photos"], row["recall_at_1"]) for row in figures["per_class"]]
    rows.sort(key=lambda row: (2.0 if row[2] is None else row[2], row[0]))
    note = "Weakest first. A class with a single photo has no recall."
    return Section("classes", "Recall by class", note, (Table(columns, tuple(rows), "Recall by class"),))
