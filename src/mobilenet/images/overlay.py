"""Boxes and lines of text drawn on a photo, with letters that can be read on any background.

Lines are bright with a dark rim, names black on a bright field: whatever the photo shows, one of the two contrasts.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

__all__ = ["PALETTE", "Mark", "draw_caption", "draw_marks", "palette_colour"]

Colour = tuple[int, int, int]
_Rectangle = tuple[int, int, int, int]

PALETTE: tuple[Colour, ...] = (
    (77, 171, 247),
    (255, 212, 59),
    (255, 107, 107),
    (105, 219, 124),
    (218, 119, 242),
    (255, 146, 43),
    (34, 224, 224),
    (255, 143, 199),
    (192, 235, 117),
    (232, 195, 158),
)
"""Red, green, blue, each bright enough for black text: a contrast of at least 7 by WCAG's measure."""

_BLACK: Colour = (0, 0, 0)
_WHITE: Colour = (255, 255, 255)

_SMALLEST = 480
"""Photos whose longer side is shorter are enlarged, since a name would cover them."""

_TYPEFACES = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "LiberationSans-Regular.ttf",
    "Arial.ttf",
    "NotoSansCJK-Regular.ttc",
    "wqy-microhei.ttc",
    "Arial Unicode.ttf",
    "PingFang.ttc",
)
"""Looked for where the letters of Pillow's own typeface, which are those of English, are not enough."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A box on a photo: top, left, bottom, right as shares (0…1), the text of its label, none if empty, its colour, and
    the thickness of its line, 1 for an ordinary one."""

    box: tuple[float, float, float, float]
    text: str = ""
    colour: Colour = PALETTE[0]
    thickness: float = 1.0


@dataclass(frozen=True, slots=True)
class _Label:
    text: str
    font: ImageFont.FreeTypeFont
    field: _Rectangle
    colour: Colour
    padding: int


def palette_colour(place: int) -> Colour:
    """The colour of the class with that place, the same in every photo."""
    return PALETTE[place % len(PALETTE)]


def draw_marks(pixels: NDArray[np.uint8], marks: Sequence[Mark], *, scale: float = 1.0) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB -> a copy with the marks, the first on top; lines and letters are in proportion to its size,
    and `scale` times as large, for a picture that is shown smaller.

    A photo whose longer side is shorter than 480 pixels is enlarged by a whole factor k: (k·H, k·W, 3).
    """
    picture = _enlarged(Image.fromarray(pixels))
    pen = ImageDraw.Draw(picture)
    line, letters = scale * _line_width(picture.size), round(scale * _font_size(picture.size))
    edges = [_edges(mark, picture.size, max(2, round(line * mark.thickness))) for mark in marks]
    for mark, (outer, width) in reversed(list(zip(marks, edges, strict=True))):
        _outline(pen, outer, width, mark.colour)
    placed: list[_Label] = []
    for mark, (outer, width) in zip(marks, edges, strict=True):
        if mark.text:
            placed.append(_label(mark, outer, width, letters, picture.size, placed))
    for label in reversed(placed):
        _write(pen, label)
    return np.array(picture, np.uint8)


def draw_caption(pixels: NDArray[np.uint8], lines: Iterable[str]) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB -> a copy with lines of text in its upper left corner, as many as there is room for; letters
    and enlargement as of `draw_marks`."""
    picture = _enlarged(Image.fromarray(pixels))
    pen = ImageDraw.Draw(picture)
    letters, top = _font_size(picture.size), 0
    for line in lines:
        label = _caption(line, letters, top, picture.size)
        if label.field[3] >= picture.height:
            break
        _write(pen, label)
        top = label.field[3]
    return np.array(picture, np.uint8)


def _caption(line: str, letters: int, top: int, size: tuple[int, int]) -> _Label:
    text, font = _drawable(line, letters)
    padding = max(2, letters // 5)
    text = _shortened(text, font, size[0] - 2 * padding)
    wide, high = round(font.getlength(text)) + 2 * padding, sum(font.getmetrics()) + padding
    return _Label(text, font, (0, top, wide - 1, top + high - 1), _WHITE, padding)


def _enlarged(photo: Image.Image) -> Image.Image:
    factor = -(-_SMALLEST // max(photo.size))
    return photo.resize((photo.width * factor, photo.height * factor), Image.Resampling.BICUBIC)


def _reference(size: tuple[int, int]) -> int:
    """The length in pixels that lines and letters are in proportion to; not the longer side of a panorama."""
    return min(max(size), 3 * min(size))


def _line_width(size: tuple[int, int]) -> int:
    return max(2, round(_reference(size) / 240))


def _font_size(size: tuple[int, int]) -> int:
    return max(13, round(_reference(size) / 40))


def _rim(width: int) -> int:
    """The width of the dark line on both sides of a coloured one."""
    return max(1, width // 3)


def _edges(mark: Mark, size: tuple[int, int], width: int) -> tuple[_Rectangle, int]:
    """The outer pixels (left, top, right, bottom) of the line around a box, within the photo, and the line's width."""
    top, left, bottom, right = mark.box
    rim = _rim(width)
    first = [
        _within(round(side * length) - width // 2, rim, length) for side, length in zip((left, top), size, strict=True)
    ]
    last = [
        _within(round(side * length) + (width - 1) // 2, rim, length)
        for side, length in zip((right, bottom), size, strict=True)
    ]
    (x, y), (x_end, y_end) = first, last
    return (x, y, max(x, x_end), max(y, y_end)), width


def _within(place: int, rim: int, length: int) -> int:
    """A pixel of that side of the photo, with room for the rim."""
    return max(min(place, length - 1 - rim), min(rim, length - 1))


def _outline(pen: ImageDraw.ImageDraw, outer: _Rectangle, width: int, colour: Colour) -> None:
    rim = _rim(width)
    left, top, right, bottom = outer
    around = (left - rim, top - rim, right + rim, bottom + rim)
    pen.rectangle(around, outline=_BLACK, width=width + 2 * rim)
    pen.rectangle(outer, outline=colour, width=width)


def _label(
    mark: Mark, outer: _Rectangle, width: int, letters: int, size: tuple[int, int], placed: Sequence[_Label]
) -> _Label:
    """Above the box if there is room and no other label, else inside of it, below it, or inside at the bottom."""
    text, font = _drawable(mark.text, letters)
    padding = max(2, letters // 5)
    text = _shortened(text, font, size[0] - 2 * padding)
    wide, high = round(font.getlength(text)) + 2 * padding, sum(font.getmetrics()) + padding
    left, top, _, bottom = outer
    rim = _rim(width)
    x = max(0, min(left - rim, size[0] - wide))
    choices = [top - rim - high, top + width, bottom + rim + 1, bottom - width - high]
    fields = [(x, y, x + wide - 1, y + high - 1) for y in choices if 0 <= y <= size[1] - high]
    free = (field for field in fields if not any(_overlap(field, other.field) for other in placed))
    inside = max(0, min(top, size[1] - high))
    field = next(free, fields[0] if fields else (x, inside, x + wide - 1, inside + high - 1))
    return _Label(text, font, field, mark.colour, padding)


def _write(pen: ImageDraw.ImageDraw, label: _Label) -> None:
    left, top, _, _ = label.field
    pen.rectangle(label.field, fill=label.colour, outline=_BLACK, width=1)
    pen.text((left + label.padding, top + label.padding // 2), label.text, fill=_BLACK, font=label.font)


def _overlap(one: _Rectangle, other: _Rectangle) -> bool:
    return one[0] <= other[2] and other[0] <= one[2] and one[1] <= other[3] and other[1] <= one[3]


def _shortened(text: str, font: ImageFont.FreeTypeFont, room: int) -> str:
    """As much of the text as fits into that many pixels, followed by … if it is not all."""
    if font.getlength(text) <= room:
        return text
    kept = text
    while kept and font.getlength(f"{kept}…") > room:
        kept = kept[:-1]
    return f"{kept.rstrip()}…"


def _drawable(text: str, size: int) -> tuple[str, ImageFont.FreeTypeFont]:
    """The text and a typeface that has its letters; of those that no typeface here has, their base letters or `?`."""
    one_line = " ".join(text.split())
    for name in _faces():
        if all(_has(name, letter) for letter in one_line):
            return one_line, _font(name, size)
    best = max(_faces(), key=lambda name: sum(_has(name, letter) for letter in one_line))
    return "".join(letter if _has(best, letter) else _base(letter) for letter in one_line), _font(best, size)


def _base(letter: str) -> str:
    """`é` -> `e`; `?` for what is not made of a letter of English."""
    return unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode("ascii") or "?"


@lru_cache(maxsize=1)
def _faces() -> tuple[str, ...]:
    """Pillow's own typeface, which is the empty name, and those that are installed."""
    return ("", *(name for name in (*_of_matplotlib(), *_TYPEFACES) if _installed(name)))


def _of_matplotlib() -> Iterator[str]:
    """The typeface of Greek, Cyrillic and most Latin letters that comes with it."""
    found = find_spec("matplotlib")
    if found is not None and found.origin is not None:
        yield str(Path(found.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf")


def _installed(name: str) -> bool:
    try:
        ImageFont.truetype(name, 16)
    except OSError:
        return False
    return True


@lru_cache(maxsize=64)
def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    if name:
        return ImageFont.truetype(name, size)
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise TypeError("Pillow was built without FreeType")
    return font


@lru_cache(maxsize=4096)
def _has(name: str, letter: str) -> bool:
    """Whether a typeface draws a letter as anything but its sign for a missing one."""
    font = _font(name, 16)
    return letter.isspace() or bytes(font.getmask(letter)) != bytes(font.getmask("\uffff"))
