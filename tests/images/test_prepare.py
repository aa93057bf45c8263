"""Photos that are prepared in threads, against the same photos one after the other."""

import io
from collections.abc import Iterator

import numpy as np
from PIL import Image

from mobilenet.errors import ImageError
from mobilenet.images.prepare import prepare_photos
from mobilenet.images.preprocessing import Preprocessing


def _photo(number: int) -> bytes:
    pixels = np.random.default_rng(number).integers(0, 256, (40 + number, 50, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_photos_come_in_order_with_their_sizes_and_the_reason_where_there_is_none() -> None:
    preprocessing = Preprocessing(32, 0.875)

    def read(number: int) -> bytes:
        if number == 5:
            raise ImageError("is not there")
        return b"no photo" if number == 7 else _photo(number)

    found = list(prepare_photos(preprocessing, read, range(40)))
    assert [number for number, _ in found] == list(range(40))
    assert {number for number, one in found if isinstance(one, str)} == {5, 7}
    assert found[5][1] == "is not there"
    for number, one in found:
        if not isinstance(one, str):
            assert np.array_equal(one[0], preprocessing.prepare(_photo(number)))
            assert one[1] == (40 + number, 50)


def test_photos_are_asked_for_as_they_are_used() -> None:
    asked = []

    def endless() -> Iterator[int]:
        while True:
            asked.append(len(asked))
            yield asked[-1] % 3

    photos = prepare_photos(Preprocessing(32), _photo, endless())
    assert next(photos)[0] == 0
    photos.close()
    assert len(asked) < 10_000
