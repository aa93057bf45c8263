"""The position that a camera or a program wrote into a photo: the GPS tags of EXIF or, without sound ones, XMP."""

import math
from collections.abc import Mapping
from pathlib import Path

from PIL.TiffImagePlugin import IFDRational

from mobilenet.datasets.sources.coordinates.degrees import Axis, from_parts, in_hemisphere
from mobilenet.datasets.sources.coordinates.position import Coordinates, Fault, Reason, checked
from mobilenet.datasets.sources.coordinates.xmp import xmp_position
from mobilenet.errors import ImageError
from mobilenet.images.decode import photo_metadata

__all__ = ["geotag"]

_LATITUDE_REF, _LATITUDE, _LONGITUDE_REF, _LONGITUDE = 1, 2, 3, 4
"""Tags of the GPS directory (Exif 2.32, 4.6.6)."""


def geotag(photo: str, source: bytes | Path) -> Coordinates | Fault:
    """The position in the header of a photo, or why there is none, with the name `photo`."""
    try:
        found = photo_metadata(source)
    except ImageError as error:
        return Fault(photo, Reason.UNREADABLE, str(error))
    by_exif = Reason.DAMAGED if found.gps is None else _exif_position(found.gps)
    if isinstance(by_exif, Coordinates):
        return by_exif
    by_xmp = xmp_position(found.xmp)
    if isinstance(by_xmp, Coordinates):
        return by_xmp
    return Fault(photo, by_xmp if by_exif is Reason.NO_POSITION else by_exif)


def _exif_position(gps: Mapping[int, object]) -> Coordinates | Reason:
    """The position in the GPS tags of EXIF, by their numbers, or why there is none.

    References (N, S, E, W) give the signs. Seconds with a denominator of zero are taken as 0; empty references, and
    degrees, minutes and seconds that all have such a denominator, are what cameras write without a fix.
    """
    north = _degrees(gps.get(_LATITUDE), gps.get(_LATITUDE_REF), "latitude")
    east = _degrees(gps.get(_LONGITUDE), gps.get(_LONGITUDE_REF), "longitude")
    if not (isinstance(north, Reason) or isinstance(east, Reason)):
        return checked(north, east)
    reasons = [found for found in (north, east) if isinstance(found, Reason)]
    broken = next((reason for reason in reasons if reason is not Reason.NO_POSITION), None)
    return broken or (Reason.NO_POSITION if len(reasons) == 2 else Reason.HALF)


def _degrees(written: object, reference: object, axis: Axis) -> float | Reason:
    """Signed degrees from the value of a tag and its reference, None where there is no such tag."""
    letter = _letter(reference)
    if written is None and not letter:
        return Reason.NO_POSITION
    parts = _numbers(written)
    if parts is None:
        return Reason.DAMAGED
    if all(map(math.isnan, parts)) or letter == "":
        return Reason.NO_POSITION
    degrees, minutes, seconds = (*parts, 0.0, 0.0)[:3]
    value = from_parts(degrees, minutes, 0.0 if math.isnan(seconds) else seconds)
    if value is None:
        return Reason.DAMAGED
    if letter is None:
        return Reason.NO_HEMISPHERE
    signed = in_hemisphere(value, letter, axis)
    return Reason.DAMAGED if signed is None else signed


def _numbers(written: object) -> list[float] | None:
    """One to three numbers, NaN for a denominator of zero; None for anything else."""
    parts = written if isinstance(written, tuple) else (written,)
    if not (1 <= len(parts) <= 3 and all(isinstance(part, int | float | IFDRational) for part in parts)):
        return None
    return [float(part) for part in parts]


def _letter(reference: object) -> str | None:
    """N, S, E, W or another first letter, "" for an empty reference, None for none at all."""
    text = reference.decode("latin-1") if isinstance(reference, bytes) else reference
    return text.strip("\0 ")[:1].upper() if isinstance(text, str) else None
