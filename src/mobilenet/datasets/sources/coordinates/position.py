"""A position on Earth, and why what is written of a photo is not one."""

import math
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Coordinates", "Fault", "Reason", "checked"]


@dataclass(frozen=True, slots=True)
class Coordinates:
    """WGS 84: `latitude_deg` -90…90, north is positive; `longitude_deg` -180…180, east is positive."""

    latitude_deg: float
    longitude_deg: float


class Reason(StrEnum):
    """Why a photo is not used."""

    NO_POSITION = "no position"
    HALF = "latitude or longitude is missing"
    NOT_DEGREES = "position not in degrees"
    SWAPPED = "latitude beyond 90, as if swapped with the longitude"
    OUT_OF_RANGE = "latitude beyond 90 or longitude beyond 180"
    ZERO = "position 0, 0, which devices write for none"
    CONTRADICTORY = "two positions"
    NO_HEMISPHERE = "its EXIF does not say which hemisphere"
    DAMAGED = "its EXIF is damaged"
    DAMAGED_XMP = "its XMP is damaged"
    UNREADABLE = "photo cannot be read"


@dataclass(frozen=True, slots=True)
class Fault:
    """A photo that is not used, by its name, and the reason; `detail` is what is written."""

    photo: str
    reason: Reason
    detail: str = ""


def checked(latitude_deg: float, longitude_deg: float) -> Coordinates | Reason:
    """Both numbers as a position, or why they are none; NaN stands for an unknown number."""
    if math.isnan(latitude_deg) or math.isnan(longitude_deg):
        both = math.isnan(latitude_deg) and math.isnan(longitude_deg)
        return Reason.NO_POSITION if both else Reason.HALF
    if latitude_deg == longitude_deg == 0:
        return Reason.ZERO
    if abs(latitude_deg) <= 90 and abs(longitude_deg) <= 180:
        return Coordinates(latitude_deg, longitude_deg)
    may_be_swapped = abs(latitude_deg) <= 180 and abs(longitude_deg) <= 90
    return Reason.SWAPPED if may_be_swapped else Reason.OUT_OF_RANGE
