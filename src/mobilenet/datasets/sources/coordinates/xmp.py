"""The position in an XMP packet: `exif:GPSLatitude` and `exif:GPSLongitude` of the photo itself."""

from xml.etree.ElementTree import Element, ParseError

from mobilenet.datasets.sources.coordinates.degrees import parse_position
from mobilenet.datasets.sources.coordinates.position import Coordinates, Reason

__all__ = ["xmp_position"]

_MOST_BYTES = 2**20
"""Packets of cameras and programs are a few KB; 64 KB fit into one segment of a JPEG."""

_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_EXIF = "{http://ns.adobe.com/exif/1.0/}"
_LATITUDE, _LONGITUDE = "GPSLatitude", "GPSLongitude"


def xmp_position(packet: bytes) -> Coordinates | Reason:
    """The position that a packet says, as `48,51.5N` or `48,51,30N` (GPSCoordinate of XMP's part 2) or in decimals, or
    why there is none. Positions of other places, such as those that a photo shows, are not read."""
    if _LATITUDE.encode() not in packet:
        return Reason.NO_POSITION
    root = None if len(packet) > _MOST_BYTES else _parsed(packet)
    if root is None:
        return Reason.DAMAGED_XMP
    said = dict[str, str]()
    for description in (child for rdf in root.iter(f"{_RDF}RDF") for child in rdf):
        said |= {name.removeprefix(_EXIF): value for name, value in description.items() if name.startswith(_EXIF)}
        said |= {
            child.tag.removeprefix(_EXIF): child.text or "" for child in description if child.tag.startswith(_EXIF)
        }
    return parse_position(*(_with_spaces(said.get(name, "")) for name in (_LATITUDE, _LONGITUDE)))


def _parsed(packet: bytes) -> Element | None:
    """The root of its tree; None for broken XML, and for entities, which a packet has no use for."""
    # Not everybody has photos with XMP alone: it needs an optional package.
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        root: Element = fromstring(packet.strip(b"\0 \t\r\n"), forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        return None
    return root


def _with_spaces(written: str) -> str:
    """`48 51.5N` for `48,51.5N`: a comma in decimals without a letter may be that of some languages."""
    written = written.strip()
    return written.replace(",", " ") if written[-1:].isalpha() else written
