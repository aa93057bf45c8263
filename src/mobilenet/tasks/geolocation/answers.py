"""The answer for a photo: where it was taken, and how far from there it may be."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mobilenet.images.overlay import draw_caption
from mobilenet.tasks.geolocation.cells import outlines
from mobilenet.tasks.geolocation.locate import located
from mobilenet.tasks.geolocation.radius import SHARES, radii_km
from mobilenet.tasks.geolocation.table import Table
from mobilenet.tasks.sections import Area, Circle, Map, Part, Spot

__all__ = ["Cell", "Taken", "answers", "in_kilometres", "in_words"]

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: its S2 token, the centre of mass of its photos, and its `probability` (0…1)."""

    cell: str
    latitude: float
    longitude: float
    probability: float


@dataclass(frozen=True, slots=True)
class Taken:
    """Where a photo was taken: `latitude` and `longitude` in degrees; `radii`, km, around it, by the percent of such
    photos that are within, none for a model without them; the likeliest `cells`, best first.

    The photo is uncertain if the probability of the first cell is below `min_confidence`.
    """

    latitude: float
    longitude: float
    radii: Mapping[str, float]
    cells: tuple[Cell, ...]
    min_confidence: float | None = None

    @property
    def uncertain(self) -> bool | None:
        """None without a `min_confidence`."""
        return None if self.min_confidence is None else self.cells[0].probability < self.min_confidence

    def to_json(self) -> dict[str, Any]:
        """As an object for `json.dumps`; `uncertain` and `radius_km`, by percent, where they apply."""
        return {
            **({} if self.uncertain is None else {"uncertain": self.uncertain}),
            "latitude": self.latitude,
            "longitude": self.longitude,
            **({"radius_km": dict(self.radii)} if self.radii else {}),
            "cells": [asdict(cell) for cell in self.cells],
        }

    def lines(self) -> Iterator[str]:
        """As lines of text."""
        if self.uncertain:
            yield f"uncertain: below {100 * (self.min_confidence or 0):g} %"
        yield in_words((self.latitude, self.longitude))
        if self.radii:
            said = (f"{in_kilometres(radius)} ({percent} %)" for percent, radius in self.radii.items())
            yield f"within {', '.join(said)}"
        for cell in self.cells[:_SHOWN]:
            near = in_words((cell.latitude, cell.longitude))
            yield f"{100 * cell.probability:5.1f} %  around {near}"

    def drawn(self, pixels: NDArray[np.uint8], /) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 -> a copy with the lines in its upper left corner; see `images.overlay`."""
        return draw_caption(pixels, self.lines())

    def parts(self) -> tuple[Part, ...]:
        """A map of where it may be: the place, its radii, the likeliest cells where their outlines are known."""
        place, where = (self.latitude, self.longitude), in_words((self.latitude, self.longitude))
        circles = tuple(
            Circle(place, radius, f"{in_kilometres(radius)}: {percent} %") for percent, radius in self.radii.items()
        )
        chances = {cell.cell: cell.probability for cell in self.cells}
        most = max(chances.values())
        outlined = outlines(tuple(chances))
        areas = tuple(
            Area(outline, chances[token] / most, f"{100 * chances[token]:.1f} %") for token, outline in outlined.items()
        )
        keys: tuple[tuple[Literal["predicted", "circle", "area"], str, object], ...] = (
            ("predicted", "answer", True),
            ("circle", "radii", circles),
            ("area", "likeliest cells", areas),
        )
        return (
            Map(
                f"The answer, {where}, on a map",
                (Spot(place, "predicted", where),),
                areas=areas,
                circles=circles,
                key=tuple((kind, text) for kind, text, there in keys if there),
                extent="content",
            ),
        )


def answers(
    probabilities: NDArray[Any],
    names: tuple[str, ...],
    table: Table,
    decoding: Mapping[str, Any],
    top: int,
    min_confidence: float | None,
) -> list[Taken]:
    """(N, C) -> the answer for each photo with its `top` likeliest cells (all if there are fewer)."""
    places = located(probabilities, table)
    radii = radii_km(probabilities, places, table, decoding)
    found = []
    for row, (place, chances) in enumerate(zip(places.round(5).tolist(), probabilities, strict=True)):
        best = np.argsort(-chances, kind="stable")[:top].tolist()
        centres = table.centres[best].round(5).tolist()
        cells = tuple(
            Cell(names[one], latitude, longitude, float(chances[one]))
            for one, (latitude, longitude) in zip(best, centres, strict=True)
        )
        own = {} if radii is None else dict(zip(_percents(), radii[row].round(3).tolist(), strict=True))
        found.append(Taken(place[0], place[1], own, cells, min_confidence))
    return found


def in_words(place: Any) -> str:
    """Latitude and longitude -> `48.858° N, 2.294° E`."""
    latitude, longitude = map(float, place)
    return f"{abs(latitude):.3f}° {'S' if latitude < 0 else 'N'}, {abs(longitude):.3f}° {'W' if longitude < 0 else 'E'}"


def in_kilometres(distance: float) -> str:
    """`1,204 km`, `12.3 km`, `350 m`."""
    if distance < 1:
        return f"{1000 * distance:.0f} m"
    return f"{distance:,.1f} km" if distance < 100 else f"{distance:,.0f} km"


def _percents() -> tuple[str, ...]:
    return tuple(f"{100 * share:g}" for share in SHARES)
