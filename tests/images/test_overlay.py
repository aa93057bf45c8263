"""Drawn boxes, by their pixels: what is seen does not depend on what the photo shows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mobilenet.images import overlay
from mobilenet.images.overlay import PALETTE, Mark, draw_marks, palette_colour

Pixels = NDArray[np.uint8]
BOX = (0.25, 0.25, 0.75, 0.75)


def _plain(value: int | tuple[int, int, int], height: int = 600, width: int = 600) -> Pixels:
    return np.broadcast_to(np.array(value, np.uint8), (height, width, 3)).copy()


def _noise(height: int = 600, width: int = 600) -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def _is(pixels: Pixels, colour: tuple[int, int, int]) -> NDArray[np.bool_]:
    return np.asarray((pixels == np.array(colour)).all(-1))


def _luminance(colour: tuple[int, int, int]) -> float:
    """WCAG 2.1."""
    values = [value / 255 for value in colour]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in values]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("colour", PALETTE)
def test_black_is_read_on_every_colour(colour: tuple[int, int, int]) -> None:
    assert (_luminance(colour) + 0.05) / 0.05 >= 7


def test_neighbours_have_colours_of_their_own() -> None:
    assert len(set(PALETTE)) == len(PALETTE)
    assert [palette_colour(place) for place in (0, 9, 10)] == [PALETTE[0], PALETTE[9], PALETTE[0]]


@pytest.mark.parametrize("photo", [_plain(0), _plain(255), _plain(PALETTE[3]), _noise()])
def test_a_line_is_its_colour_between_two_dark_ones(photo: Pixels) -> None:
    before = photo.copy()
    picture = draw_marks(photo, [Mark(BOX, colour=PALETTE[3])])
    assert np.array_equal(photo, before)
    for across in (picture[140:160, 300], picture[440:460, 300], picture[300, 140:160], picture[300, 440:460]):
        line = np.flatnonzero(_is(across, PALETTE[3]) & np.roll(_is(across, (0, 0, 0)), 1))
        assert len(line) >= 1
        bright = _is(across, PALETTE[3])
        start = int(line[0])
        end = start + int(np.argmin(bright[start:]))
        assert 2 <= end - start <= 4
        assert _is(across, (0, 0, 0))[end]
        # A side at a quarter of 600 pixels
        assert start <= 10 <= end
    assert np.array_equal(picture[160:440, 160:440], photo[160:440, 160:440])
    assert np.array_equal(picture[:140], photo[:140])


def test_a_thicker_line_covers_more() -> None:
    counts = [
        int(_is(draw_marks(_plain(0), [Mark(BOX, thickness=factor)]), PALETTE[0]).sum()) for factor in (1.0, 2.0, 4.0)
    ]
    assert counts[0] < counts[1] < counts[2]


@pytest.mark.parametrize("where", [BOX, (0.0, 0.0, 1.0, 1.0), (0.9, 0.9, 1.0, 1.0), (0.0, 0.9, 0.1, 1.0)])
def test_a_name_looks_the_same_on_any_photo(where: tuple[float, float, float, float]) -> None:
    for photo in (_plain(255), _plain(PALETTE[1]), _noise()):
        plain, named = (draw_marks(photo, [Mark(where, text, PALETTE[1])]) for text in ("", "king 97 %"))
        rows, columns = np.nonzero((plain != named).any(-1))
        top, bottom, left, right = rows.min(), rows.max() + 1, columns.min(), columns.max() + 1
        on_black = draw_marks(_plain(0), [Mark(where, "king 97 %", PALETTE[1])])
        # A label may share its border with the line, so that not all of it differs.
        assert np.array_equal(named[top:bottom, left:right], on_black[top:bottom, left:right])
        field = named[top + 2 : bottom - 2, left + 2 : right - 2]
        assert _is(field, PALETTE[1]).mean() > 0.5
        assert _is(field, (0, 0, 0)).mean() > 0.03
        assert bottom - top >= 15


def test_other_names_look_different() -> None:
    pictures = [draw_marks(_plain(0), [Mark(BOX, text)]) for text in ("ace", "acf", "king", "Größe", "Grosse")]
    assert len({picture.tobytes() for picture in pictures}) == 5


@pytest.mark.parametrize(("height", "width"), [(1800, 2400), (600, 600), (100, 600), (600, 40)])
def test_letters_grow_with_the_photo_and_stay_inside(height: int, width: int) -> None:
    text = "a rather long name of a class, that has no end 97 %" * 3
    plain, named = (draw_marks(_plain(255, height, width), [Mark((0.4, 0.4, 0.6, 0.6), said)]) for said in ("", text))
    rows = np.flatnonzero((plain != named).any((1, 2)))
    assert np.ptp(rows) >= max(13, min(max(height, width), 3 * min(height, width)) / 40)
    # The label is as wide as the photo, and its border is there on both sides: its text is cut, not its picture.
    middle = named[rows[len(rows) // 4] : rows[-len(rows) // 4]]
    for side in (0, -1):
        columns = np.flatnonzero(_is(middle, (0, 0, 0)).all(0))
        assert abs(columns[side] - (0, width - 1)[side]) <= width / 10


@pytest.mark.parametrize("where", [(0.9, 0.9, 1.0, 1.0), (0.0, 0.9, 0.1, 1.0), (0.0, 0.0, 1.0, 1.0)])
def test_a_label_at_the_edge_is_whole(where: tuple[float, float, float, float]) -> None:
    extents = []
    for box in (BOX, where):
        plain, named = (draw_marks(_plain(255), [Mark(box, text)]) for text in ("", "king 97 %"))
        rows, columns = np.nonzero((plain != named).any(-1))
        extents.append((np.ptp(rows), np.ptp(columns)))
    # It may share its border with the line.
    assert extents[1] == pytest.approx(extents[0], abs=4)


@pytest.mark.parametrize(("side", "factor"), [(1, 480), (32, 15), (96, 5), (479, 2), (480, 1), (481, 1)])
def test_small_photos_are_enlarged_by_a_whole_factor(side: int, factor: int) -> None:
    photo = _plain(77, side, side)
    picture = draw_marks(photo, [])
    assert picture.shape == (side * factor, side * factor, 3)
    assert (picture == 77).all()


def test_the_first_is_on_top_and_labels_make_room() -> None:
    marks = [Mark(BOX, "the first one", PALETTE[0]), Mark(BOX, "the second one", PALETTE[1])]
    picture = draw_marks(_plain(0), marks)
    assert _is(picture[300, 140:160], PALETTE[0]).any()
    assert not _is(picture[300, 140:160], PALETTE[1]).any()
    for mark in marks:
        alone = _is(draw_marks(_plain(0), [Mark(mark.box, mark.text, mark.colour)]), mark.colour)
        alone[145:456, 145:155] = alone[145:456, 445:456] = alone[145:155] = alone[445:456] = False
        both = _is(picture, mark.colour)
        # Lines aside, and the four places of a label have the same size.
        assert both.sum() >= alone.sum() > 500


def test_letters_that_no_typeface_has_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlay, "_faces", lambda: ("",))
    pictures = {text: draw_marks(_plain(0), [Mark(BOX, text)]).tobytes() for text in ("Café 猫", "Cafe ?", "Caf? ?")}
    assert pictures["Café 猫"] == pictures["Cafe ?"] != pictures["Caf? ?"]


@settings(deadline=None, max_examples=20)
@given(
    st.lists(st.tuples(st.tuples(*[st.floats(-1, 2)] * 4), st.text(max_size=12)), max_size=4),
    st.integers(1, 60),
    st.integers(1, 60),
)
def test_whatever_is_drawn_stays_in_the_photo(
    rows: list[tuple[tuple[float, float, float, float], str]], height: int, width: int
) -> None:
    marks = [Mark((min(a, c), min(b, d), max(a, c), max(b, d)), text) for (a, b, c, d), text in rows]
    picture = draw_marks(_plain(9, height, width), marks)
    factor = picture.shape[0] // height
    assert picture.shape == (height * factor, width * factor, 3)
    assert (picture != 9).any() == bool(marks)
