"""Degrees as people and programs write them: decimals, degrees with minutes and seconds, letters of hemispheres."""

import math
import re
from typing import Literal

from mobilenet.datasets.sources.coordinates.position import Coordinates, Reason, checked

__all__ = ["Axis", "from_parts", "in_hemisphere", "parse_degrees", "parse_position"]

Axis = Literal["latitude", "longitude"]

_LETTERS = {"latitude": "NS", "longitude": "EW"}
"""Of the positive and the negative half."""

_BLANK = frozenset({"", "-", "?", "nan", "none", "null", "na", "n/a", "<na>"})
"""As spreadsheets and data frames write what they do not know."""

_MOST_CHARACTERS = 64
_BEYOND = 1000
"""Degrees, beyond any range."""

_HEMISPHERE = re.compile(r"([NSEW])?\s*(.*?)\s*([NSEW])?", re.IGNORECASE)
_DECIMAL = re.compile(r"([+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:e[+-]?\d+)?)\s*(?:[°º˚]|deg)?", re.IGNORECASE)
_SEXAGESIMAL = re.compile(
    r"""
    ([+-]?\d{1,3}) \s*(?:[°º˚d:]|deg|\s)\s*
    (\d{1,2}(?:[.,]\d+)?) \s*(?:['′’´:]|\s|$)\s*
    (?:(\d{1,2}(?:[.,]\d+)?) \s*(?:["″”]|''|′′)?)?
    """,
    re.IGNORECASE | re.VERBOSE,
)
# No letters for minutes and seconds: an s would be south.


def parse_degrees(written: object, axis: Axis) -> float | None:
    """The degrees that a cell, or a value of JSON, says, with their sign; NaN for a blank one, None for anything else.

    `48.8584`, `48,8584`, `48.8584° N`, `N 48 51.5`, `48°51'30.2"N`; minutes and seconds are below 60, or 60 from
    rounding. A letter must be one of the axis and not contradict a sign.
    """
    if written is None:
        return math.nan
    if isinstance(written, int | float) and not isinstance(written, bool):
        # A whole number in JSON may be too large for a float.
        return float(max(-_BEYOND, min(_BEYOND, written))) if isinstance(written, int) else written
    if not isinstance(written, str) or len(written) > _MOST_CHARACTERS:
        return None
    text = written.strip().replace("−", "-")
    if text.casefold() in _BLANK:
        return math.nan
    found = _HEMISPHERE.fullmatch(text)
    if found is None or (found[1] and found[3]):
        return None
    value, letter = _unsigned_or_signed(found[2]), (found[1] or found[3] or "").upper()
    return value if value is None or not letter else in_hemisphere(value, letter, axis)


def in_hemisphere(value: float, letter: str, axis: Axis) -> float | None:
    """Degrees with the letter of a hemisphere beside them; None if it is another axis's, or contradicts their sign."""
    positive, negative = tuple(_LETTERS[axis])
    if letter not in (positive, negative) or (letter == positive and value < 0):
        return None
    return abs(value) if letter == positive else -abs(value)


def from_parts(degrees: float, minutes: float, seconds: float) -> float | None:
    """Degrees as decimals; None unless minutes and seconds are within 0…60, and all are finite."""
    if not (math.isfinite(degrees) and 0 <= minutes <= 60 and 0 <= seconds <= 60):
        return None
    return math.copysign(abs(degrees) + (minutes + seconds / 60) / 60, degrees)


def parse_position(latitude: object, longitude: object) -> Coordinates | Reason:
    """What two cells, or two values of JSON, say together."""
    north, east = parse_degrees(latitude, "latitude"), parse_degrees(longitude, "longitude")
    if north is not None and east is not None:
        return checked(north, east)
    other = parse_degrees(latitude, "longitude"), parse_degrees(longitude, "latitude")
    return Reason.NOT_DEGREES if None in other else Reason.SWAPPED


def _unsigned_or_signed(text: str) -> float | None:
    if found := _DECIMAL.fullmatch(text):
        return float(found[1].replace(",", "."))
    found = _SEXAGESIMAL.fullmatch(text)
    if found is None:
        return None
    parts = [float((part or "0").replace(",", ".")) for part in found.groups()]
    return from_parts(parts[0], parts[1], parts[2])
