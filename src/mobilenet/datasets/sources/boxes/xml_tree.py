"""Small XML files within limits: no document type, so no entities that grow or reach outside; few levels, few elements.

`defusedxml` refuses the same, but wraps `xml.etree`, which has no limits on levels and elements.
"""

from dataclasses import dataclass, field
from xml.parsers import expat

from mobilenet.errors import DataError

__all__ = ["Element", "parse_xml"]

_MOST_LEVELS = 32
_MOST_ELEMENTS = 200_000


@dataclass(slots=True)
class Element:
    """One element: its name in lower case, its text without surrounding spaces, and the elements directly inside."""

    tag: str
    text: str = ""
    inside: list["Element"] = field(default_factory=list)

    def first(self, tag: str) -> "Element | None":
        """The first element directly inside with that name."""
        return next((element for element in self.inside if element.tag == tag), None)

    def said(self, tag: str) -> str:
        """The text of that element, empty if there is none."""
        found = self.first(tag)
        return "" if found is None else found.text


def parse_xml(data: bytes, place: object) -> Element:
    """The root of a document; DataError in one line, which begins with `place`, for one that is damaged, declares a
    document type, or exceeds the limits."""
    tree = _Tree(place)
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = tree.refuse
    parser.StartElementHandler = tree.start
    parser.EndElementHandler = tree.end
    parser.CharacterDataHandler = tree.characters
    try:
        parser.Parse(data, True)  # noqa: FBT003 - takes no keyword
    except expat.ExpatError as error:
        told = f"{expat.ErrorString(error.code)} at line {error.lineno}, column {error.offset + 1}"
        raise DataError(f"{place} is not XML, or is damaged: {told}; copy it again") from error
    except (LookupError, ValueError) as error:
        raise DataError(f"{place}: its encoding is not known; save it as UTF-8") from error
    return tree.root()


class _Tree:
    """Builds the elements of one document."""

    def __init__(self, place: object) -> None:
        self._place = place
        self._open = [Element("")]
        self._texts: list[list[str]] = [[]]
        self._count = 0

    def root(self) -> Element:
        return self._open[0].inside[0]

    def refuse(self, *_about: object) -> None:
        raise DataError(f"{self._place} declares a document type, which annotations do not need; remove <!DOCTYPE ...>")

    def start(self, tag: str, _attributes: object) -> None:
        self._count += 1
        if len(self._open) > _MOST_LEVELS or self._count > _MOST_ELEMENTS:
            limits = f"{_MOST_LEVELS} levels or {_MOST_ELEMENTS:,} elements"
            raise DataError(f"{self._place} has more than {limits}; it is not an annotation")
        element = Element(tag.lower())
        self._open[-1].inside.append(element)
        self._open.append(element)
        self._texts.append([])

    def end(self, _tag: str) -> None:
        self._open.pop().text = "".join(self._texts.pop()).strip()

    def characters(self, text: str) -> None:
        self._texts[-1].append(text)
