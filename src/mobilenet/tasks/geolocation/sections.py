"""The sections of a report on an evaluation of geolocation."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from mobilenet.metrics.geodesic import distance_km
from mobilenet.tasks.geolocation.answers import in_kilometres, in_words
from mobilenet.tasks.geolocation.cells import outlines
from mobilenet.tasks.sections import Area, Column, Degrees, Figure, Gallery, Map, Section, Spot, Table
from mobilenet.tasks.task import Evaluated

__all__ = ["headline", "sections", "summary"]

_NAMES = ("street", "city", "region", "country", "continent")

_SMALL_KM = 2000.0


def headline(evaluation: Evaluated) -> tuple[Figure, ...]:
    """The shares within each distance and their mean, the median error, loss, each beside the constant answer."""
    figures = evaluation.figures
    constant = figures["constant"]
    levels = [
        Figure(
            f"Within {row['distance_km']:,g} km ({name})",
            row["share"],
            tuple(row["interval"]),
            note=_same(other["share"]),
            prominent=name in {"region", "country"},
        )
        for name, row, other in zip(_NAMES, figures["within"], constant["within"], strict=True)
    ]
    return (
        Figure("Mean accuracy from 1 to 2,500 km", figures["mean_within"], note=_same(constant["mean_within"])),
        *levels,
        Figure("Median error, km", figures["median_km"], unit="number", note=_same_km(constant["median_km"])),
        Figure("Mean error, km", figures["mean_km"], unit="number", prominent=False),
        Figure("Loss, nats", figures["loss"], unit="number", prominent=False),
    )


def sections(evaluation: Evaluated) -> tuple[Section, ...]:
    """Shares by distance beside the constant answer, radii, worst mistakes."""
    figures = evaluation.figures
    return (_within(figures), _map(figures), *_radii(figures), _mistakes(evaluation))


def summary(evaluation: Evaluated) -> tuple[str, ...]:
    """One line on the errors, with those of the most frequent place, and one on the radii."""
    figures = evaluation.figures
    constant = figures["constant"]
    ours, always = (
        f"{in_kilometres(each['median_km'])}, {_percent(each['within'][3]['share'])}" for each in (figures, constant)
    )
    line = f"median error and share within 750 km: {ours}; answering {in_words(constant['place'])} always: {always}"
    return (line, *_fit(figures))


def _same(share: float) -> str:
    return f"the most frequent place always: {_percent(share)}"


def _same_km(distance: float) -> str:
    return f"the most frequent place always: {distance:,.0f}"


def _within(figures: Mapping[str, Any]) -> Section:
    constant = figures["constant"]
    columns = (
        Column("Within"),
        Column("Photos", "meter"),
        Column("95 % interval", "interval"),
        Column("Most frequent place always", "share"),
    )
    rows = tuple(
        (f"{row['distance_km']:,g} km ({name})", row["share"], tuple(row["interval"]), other["share"])
        for name, row, other in zip(_NAMES, figures["within"], constant["within"], strict=True)
    )
    note = (
        f"The distance from the answer to the place is {in_kilometres(figures['median_km'])} or less for half of the "
        f"photos, and {in_kilometres(figures['mean_km'])} on average, along the great circle. The model chooses among "
        f"{figures['cells']:,} cells. The most frequent place is {in_words(constant['place'])}, from which half of the "
        f"photos are within {in_kilometres(constant['median_km'])}."
    )
    title = "Accuracy by distance"
    return Section("distances", title, note, (Table(columns, rows, title),))


def _map(figures: Mapping[str, Any]) -> Section:
    points = [((row[0], row[1]), (row[2], row[3])) for row in figures["points"]]
    rows = {row["cell"]: row for row in figures["per_cell"]}
    worst = max(row["median_km"] for row in rows.values()) or 1.0
    areas = tuple(
        Area(outline, rows[cell]["median_km"] / worst, _about(rows[cell]))
        for cell, outline in outlines([*rows]).items()
    )
    keys: tuple[tuple[Literal["true", "predicted", "error", "area"], str, object], ...] = (
        ("true", "place", True),
        ("predicted", "answer", True),
        ("error", "error", True),
        ("area", f"cells, darker for larger errors, up to a median of {in_kilometres(worst)}", areas),
    )
    drawn = Map(
        "The places of photos and the answers on a world map",
        (
            *(Spot(true, "true", in_words(true)) for true, _ in points),
            *(Spot(said, "predicted", in_words(said)) for _, said in points),
        ),
        tuple(points),
        areas,
        key=tuple((kind, text) for kind, text, there in keys if there),
        extent="content" if _is_small(points) else "world",
    )
    note = "Where photos were taken, where the model says they were, and the cells in which it errs most."
    return Section("map", "Map", note, (drawn,))


def _about(row: Mapping[str, Any]) -> str:
    return f"{row['photos']:,} photos, median error {in_kilometres(row['median_km'])}"


def _is_small(points: Sequence[tuple[Degrees, Degrees]]) -> bool:
    """Whether a map of the world would show all places as one."""
    true = np.array([place for place, _ in points])
    return bool((distance_km(true, true[:1]) < _SMALL_KM).all())


def _radii(figures: Mapping[str, Any]) -> Iterator[Section]:
    rows = tuple((_percent(row["stated"]), row["covered"], row["median_km"]) for row in figures["radii"])
    if not rows:
        return
    columns = (Column("Stated"), Column("Photos within it", "share"), Column("Median radius, km", "number"))
    note = (
        "Each answer states radii within which half and nine tenths of such photos are. They hold where the share of "
        "photos within them is the stated one. " + " ".join(f"{line[0].upper()}{line[1:]}." for line in _fit(figures))
    )
    yield Section("radius", "Radius", note.strip(), (Table(columns, rows, "Radius"),))


def _fit(figures: Mapping[str, Any]) -> Iterator[str]:
    found = figures.get("radius_fit")
    if found is None:
        return
    if found["note"]:
        yield f"no radius: {found['note']}"
        return
    pairs = zip(figures["radii"], found["covered_cross_fitted"], strict=True)
    said = " and ".join(f"{_percent(share)} of the photos ({_percent(row['stated'])} stated)" for row, share in pairs)
    yield f"radii hold for {said}, fitted on other photos"


def _mistakes(evaluation: Evaluated) -> Section:
    figures = evaluation.figures
    wrong = round((1 - figures["within_750"]) * evaluation.photos)
    if not wrong:
        return Section("mistakes", "Worst mistakes", "No answer is more than 750 km away.", ())
    note = (
        f"{wrong:,} of {evaluation.photos:,} answers are more than 750 km away. The most confident ones are shown: "
        "wrong coordinates and places that look alike show up here first."
    )
    return Section("mistakes", "Worst mistakes", note, (Gallery(),))


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
