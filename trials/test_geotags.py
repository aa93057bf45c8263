"""Positions in photos: those of cameras equal exiftool's, and 10,000 damaged photos and tables do no harm."""

import json
import random
import shutil
import subprocess
import time
import tracemalloc
from pathlib import Path

import pytest
from tests.datasets.coordinates.writers import ASCII, RATIONAL, exif, jpeg, png, triple, webp, xmp

from mobilenet.datasets.sources.coordinates.find import read_positions
from mobilenet.datasets.sources.coordinates.geotag import geotag
from mobilenet.datasets.sources.coordinates.position import Coordinates, Fault
from mobilenet.errors import DataError

_DATA = Path(__file__).parents[2] / "shared" / "data" / "geotagged"

_CLOSEST_DEG = 1e-9
"""Exiftool prints fifteen digits."""

_MUTATIONS, _LONGEST_S, _MOST_BYTES = 10_000, 2.0, 64 * 2**20

_ROME = {
    1: (ASCII, b"N\0"),
    2: (RATIONAL, triple(41.9)),
    3: (ASCII, b"E\0"),
    4: (RATIONAL, triple(12.5)),
}
_XMP = xmp("41,54.0N", "12,30,0E")
_PHOTOS = (jpeg(exif(_ROME), _XMP), jpeg(exif(_ROME, ">")), jpeg(xmp=_XMP), png(exif(_ROME), _XMP, behind=True))
_WHOLE = (*_PHOTOS, png(xmp=_XMP), webp(b"Exif\0\0" + exif(_ROME), _XMP))

_TABLE = 'photo,lat,lon\n1.jpg,41.9,12.5\n2.jpg,"41°54\'0""N",12.5 E\n3.jpg,-33.9,151.2\n'.encode()
_PIECES = (b"", b"\0", b"\n", b",", b'"', b"-", b"nan", b"1e999", b"9" * 400, b"\xff\xfe", b"N", "°".encode(), b"lat")


def _exiftool(*options: str) -> dict[str, tuple[float, float]]:
    command = ["exiftool", "-n", "-json", "-GPSLatitude", "-GPSLongitude", *options]
    found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return {said["SourceFile"]: (said["GPSLatitude"], said["GPSLongitude"]) for said in found}


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
@pytest.mark.skipif(not _DATA.is_dir(), reason="the photos with GPS are not beside the project")
def test_positions_of_cameras_equal_exiftools() -> None:
    wanted = _exiftool("-r", "-ext", "jpg", str(_DATA))
    found = read_positions(_DATA)
    assert len(wanted) == len(found.photos) == 41
    assert not found.faults
    off = max(
        max(
            abs(each.latitude_deg - wanted[str(_DATA / photo)][0]),
            abs(each.longitude_deg - wanted[str(_DATA / photo)][1]),
        )
        for photo, each in found.photos.items()
    )
    print(f"{len(wanted)} photos: at most {off:.1e} degrees from exiftool (target {_CLOSEST_DEG:.0e})")
    assert off <= _CLOSEST_DEG


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
def test_what_exiftool_writes_is_read(tmp_path: Path) -> None:
    """EXIF and XMP, in each format, in every quarter of the Earth."""
    quarters = ((48.5, 2.25), (-33.8568, 151.2153), (40.689247, -74.044502), (-22.951916, -43.2104872))
    for tags in ("EXIF", "XMP-exif"):
        for number, (north, east) in enumerate(quarters):
            for ending, data in (("jpg", jpeg()), ("png", png()), ("webp", webp(b""))):
                photo = tmp_path / f"{tags}{number}.{ending}"
                photo.write_bytes(data)
                refs = [] if tags != "EXIF" else [f"-GPSLatitudeRef={north}", f"-GPSLongitudeRef={east}"]
                written = [f"-{tags}:GPSLatitude={north}", f"-{tags}:GPSLongitude={east}", *refs]
                subprocess.run(["exiftool", "-q", "-overwrite_original", *written, str(photo)], check=True)
    wanted, found = _exiftool(str(tmp_path)), read_positions(tmp_path)
    assert len(found.photos) == len(wanted) == 24
    for photo, each in found.photos.items():
        said = wanted[str(tmp_path / photo)]
        assert (each.latitude_deg, each.longitude_deg) == pytest.approx(said, abs=_CLOSEST_DEG)


def _mutated(chance: random.Random, whole: bytes) -> bytes:
    data = bytearray(whole)
    for _ in range(chance.randint(1, 6)):
        place = chance.randrange(len(data))
        match chance.randrange(4):
            case 0:
                data[place] = chance.randrange(256)
            case 1:
                data[place : place + 4] = chance.choice(
                    (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x00\x00\x00\x02")
                )
            case 2:
                data[place:place] = chance.choice(_PIECES)
            case _:
                del data[place : place + chance.randint(1, 40)]
        if not data:
            break
    return bytes(data)


def test_damaged_photos_are_read_or_listed() -> None:
    chance, faults, longest = random.Random(0), 0, 0.0
    tracemalloc.start()
    for _ in range(_MUTATIONS):
        data = _mutated(chance, chance.choice(_WHOLE))
        began = time.monotonic()
        found = geotag("photo", data)
        longest = max(longest, time.monotonic() - began)
        if isinstance(found, Fault):
            faults += 1
            assert len(found.detail.splitlines()) <= 1
        else:
            assert abs(found.latitude_deg) <= 90
            assert abs(found.longitude_deg) <= 180
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    print(
        f"{_MUTATIONS:,} damaged photos: {faults:,} listed, the others read; "
        f"at most {longest:.2f} s (target {_LONGEST_S}) and {peak / 2**20:.0f} MiB (target {_MOST_BYTES / 2**20:.0f})"
    )
    assert 0 < faults < _MUTATIONS
    assert longest <= _LONGEST_S
    assert peak <= _MOST_BYTES


def test_damaged_tables_are_read_or_refused_in_one_line(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        (tmp_path / f"{number}.jpg").write_bytes(jpeg())
    chance, refused, listed = random.Random(1), list[str](), 0
    table = tmp_path / "places.csv"
    for _ in range(_MUTATIONS):
        table.write_bytes(_mutated(chance, _TABLE))
        try:
            found = read_positions(table)
        except DataError as error:
            refused.append(str(error))
            continue
        listed += bool(found.faults)
        for each in found.photos.values():
            assert isinstance(each, Coordinates)
            assert abs(each.latitude_deg) <= 90
            assert abs(each.longitude_deg) <= 180
    print(f"{_MUTATIONS:,} damaged tables: {len(refused):,} refused in one line, {listed:,} with photos listed")
    assert refused
    assert not [error for error in refused if len(error.splitlines()) != 1]
    assert listed
