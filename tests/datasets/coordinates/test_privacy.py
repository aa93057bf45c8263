"""Pictures in reports come from pixels alone: nothing that a camera wrote into a photo is in them."""

import base64

from tests.datasets.coordinates.writers import ASCII, RATIONAL, exif, jpeg, triple, xmp

from mobilenet.images.decode import photo_metadata
from mobilenet.report.draw.thumbnails import thumbnail


def test_a_thumbnail_has_no_position() -> None:
    tags = {1: (ASCII, b"N\0"), 2: (RATIONAL, triple(48.5)), 3: (ASCII, b"E\0"), 4: (RATIONAL, triple(2.25))}
    photo = jpeg(exif(tags), xmp("48,30N", "2,15E"))
    assert photo_metadata(photo).gps
    assert photo_metadata(photo).xmp
    url = thumbnail(lambda _: photo, "photo.jpg")
    assert url is not None
    shown = base64.b64decode(url.partition(",")[2])
    assert not photo_metadata(shown).gps
    assert not photo_metadata(shown).xmp
    assert b"Exif" not in shown
