"""Positions in tables, folders and shards: the same photos are read from each, and what is not used is listed."""

import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tests.datasets.coordinates.writers import ASCII, RATIONAL, exif, jpeg, triple

from mobilenet.datasets.reader import Place
from mobilenet.datasets.sources.coordinates.find import has_positions, read_positions
from mobilenet.datasets.sources.coordinates.packed import described_position
from mobilenet.datasets.sources.coordinates.position import Coordinates, Fault, Reason
from mobilenet.datasets.sources.coordinates.position_set import PositionSet
from mobilenet.datasets.sources.find import find_places
from mobilenet.datasets.sources.shards import find_shards
from mobilenet.errors import DataError

_PLACES = {"1.jpg": (48.5, 2.25), "2.jpg": (-33.5, 151.25), "3.jpg": (40.25, -74.5), "4.jpg": (-22.5, -43.25)}
_WANTED = {name: Coordinates(*place) for name, place in _PLACES.items()}


def _photo(latitude: float, longitude: float) -> bytes:
    return jpeg(
        exif(
            {
                1: (ASCII, b"N\0" if latitude >= 0 else b"S\0"),
                2: (RATIONAL, triple(latitude)),
                3: (ASCII, b"E\0" if longitude >= 0 else b"W\0"),
                4: (RATIONAL, triple(longitude)),
            }
        )
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, place in _PLACES.items():
        (tmp_path / name).write_bytes(_photo(*place))
    return tmp_path


def _table(folder: Path, text: str) -> Path:
    (folder / "places.csv").write_text(text)
    return folder / "places.csv"


def _rows(header: str = "file_name,latitude,longitude", form: str = "{},{},{}") -> str:
    return "\n".join([header, *(form.format(name, *place) for name, place in _PLACES.items())])


def _faults(place: Place) -> list[tuple[str, Reason, str]]:
    return [(fault.photo, fault.reason, fault.detail) for fault in read_positions(place).faults]


@pytest.mark.parametrize(
    "text",
    [
        _rows(),
        *(_rows(f"{photo},{lat},{lon}") for photo, lat, lon in (("photo", "lat", "lon"), ("path", "LAT", "Lng"))),
        *(_rows(f"image,{lat},{lon}") for lat, lon in (("Latitude (deg)", "Longitude (deg)"), ("lat", "long"))),
        *(_rows(f"id,{lat},{lon}") for lat, lon in (("decimalLatitude", "decimalLongitude"), ("lat_deg", "lon_deg"))),
        _rows().replace(",", ";").replace(".jpg", ".JPG").replace(".5", ",5").replace(".25", ",25"),
        _rows("lon,lat,name,altitude", "{2},{1},{0},17"),
        _rows(form='{},"{}°",{}°'),
    ],
)
def test_tables(folder: Path, text: str) -> None:
    table = _table(folder, text)
    assert has_positions(table)
    found = read_positions(table)
    assert (found.photos, found.faults) == (_WANTED, ())


def test_parquet(folder: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    columns = {"photo": [*_PLACES, "5.jpg"], "lat": [place[0] for place in _PLACES.values()] + [None]}
    columns["lng"] = [place[1] for place in _PLACES.values()] + [None]
    parquet.write_table(pyarrow.table(columns), folder / "places.parquet")
    assert has_positions(folder / "places.parquet")
    assert read_positions(folder / "places.parquet").photos == _WANTED
    assert _faults(folder / "places.parquet") == [("5.jpg", Reason.NO_POSITION, "line 6")]


def test_each_photo_that_is_not_used_is_listed(folder: Path) -> None:
    table = _table(
        folder,
        "photo,lat,lon\n1.jpg,48.5,2.25\n2.jpg,-33.5,151.25\n3.jpg,40.25,-74.5\nblank.jpg,,\nhalf.jpg,1,\n"
        "nan.jpg,nan,nan\nwords.jpg,north,east\nnorth.jpg,91,13\nfar.jpg,91,200\nzero.jpg,0,0\n"
        "twice.jpg,1,2\ntwice.jpg,1,3\nodd.jpg,1,2\nodd.jpg,1,x\nsame.jpg,1,2\nsame.jpg,1.0,2.0\nfilled.jpg,,\nfilled.jpg,1,2\n4.jpg,-22.5,-43.25\n",
    )
    assert _faults(table) == [
        ("blank.jpg", Reason.NO_POSITION, "line 5"),
        ("half.jpg", Reason.HALF, "line 6: 1, "),
        ("nan.jpg", Reason.NO_POSITION, "line 7"),
        ("words.jpg", Reason.NOT_DEGREES, "line 8: north, east"),
        ("north.jpg", Reason.SWAPPED, "line 9: 91, 13"),
        ("far.jpg", Reason.OUT_OF_RANGE, "line 10: 91, 200"),
        ("zero.jpg", Reason.ZERO, "line 11: 0, 0"),
        ("twice.jpg", Reason.CONTRADICTORY, "lines 12 and 13"),
        ("odd.jpg", Reason.NOT_DEGREES, "line 15: 1, x"),
    ]
    source = read_positions(table).source()
    assert source.annotations == _WANTED | {"same.jpg": Coordinates(1, 2), "filled.jpg": Coordinates(1, 2)}
    assert source.doubtful[4] == "north.jpg: latitude beyond 90, as if swapped with the longitude (line 9: 91, 13)"
    (note,) = source.notes
    assert note.startswith(f"{table}: photos not used: no position: 2; position not in degrees: 2; ")
    assert note.endswith("; position 0, 0, which devices write for none: 1; two positions: 1")


def test_swapped_columns_are_refused(folder: Path) -> None:
    table = _table(folder, "photo,lat,lon\n1.jpg,151.25,-33.5\n2.jpg,116.4,39.9\n3.jpg,2.25,48.5\n")
    with pytest.raises(DataError) as error:
        read_positions(table)
    assert str(error.value) == (
        f"{table}: 2 of 3 latitudes are beyond 90 where the longitude is not (line 2: 151.25, -33.5): latitude and "
        "longitude look swapped; exchange their names"
    )


def _with_swapped(folder: Path, swapped: int, *more: str) -> Path:
    rows = [f"{number}.jpg,{100 if number < swapped else 10},20" for number in range(100)]
    return _table(folder, "\n".join(["photo,lat,lon", *rows, *more]))


def test_a_tenth_swapped_is_refused_if_no_longitude_is_beyond_90(folder: Path) -> None:
    assert len(read_positions(_with_swapped(folder, 9)).photos) == 91
    with pytest.raises(DataError, match="10 of 100 latitudes are beyond 90"):
        read_positions(_with_swapped(folder, 10))
    assert len(read_positions(_with_swapped(folder, 10, "x.jpg,10,120")).photos) == 91


def test_letters_of_the_other_axis_tell_swapped_columns(folder: Path) -> None:
    table = _table(folder, "photo,lat,lon\n1.jpg,2.25 E,48.5 N\n")
    with pytest.raises(DataError, match="look swapped"):
        read_positions(table)


@pytest.mark.parametrize(
    ("header", "missing"), [("photo,lat,place", "longitude"), ("photo,x,lng", "latitude"), ("photo,x,y", "latitude")]
)
def test_a_missing_column_is_named(folder: Path, header: str, missing: str) -> None:
    table = _table(folder, _rows(header))
    assert not has_positions(table)
    with pytest.raises(DataError, match=rf"has no column {missing}; it has: {', '.join(header.split(','))}; rename"):
        read_positions(table)


def test_errors_stay_on_one_line(folder: Path) -> None:
    for text in ("photo,lat\x1e\n1.jpg,2\n", 'photo,lat,lon\n"a\x1eb.jpg",1,2\n', "photo,lat,lon\n1.jpg,99,1\x1e0\n"):
        with pytest.raises(DataError) as error:
            read_positions(_table(folder, text))
        assert len(str(error.value).splitlines()) == 1


def test_a_table_without_photos_is_refused(folder: Path) -> None:
    table = _table(folder, _rows("where,lat,lon"))
    assert not has_positions(table)
    with pytest.raises(DataError, match="has no column file_name"):
        read_positions(table)


def test_a_column_of_classes_goes_before_positions(folder: Path) -> None:
    table = _table(folder, "photo,lat,lon,label\n1.jpg,48.5,2.25,cat\n")
    assert not has_positions(table)
    assert read_positions(table).photos == {"1.jpg": Coordinates(48.5, 2.25)}


def test_the_parts_of_a_split(folder: Path) -> None:
    rows = zip(_rows("photo,lat,lon").splitlines(), ("split", "train", "train", "test", "train"), strict=True)
    places = find_places(_table(folder, "\n".join(f"{row},{part}" for row, part in rows)))
    assert list(read_positions(places.train).photos) == ["1.jpg", "2.jpg", "4.jpg"]
    assert [list(read_positions(place).photos) for place in places.judging] == [["3.jpg"]]


def test_folders_of_photos(folder: Path) -> None:
    (folder / "none.jpg").write_bytes(jpeg())
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    (folder / "notes.txt").write_text("x")
    assert has_positions(folder)
    found = read_positions(folder)
    assert found.photos == _WANTED
    assert [(fault.photo, fault.reason) for fault in found.faults] == [
        ("broken.jpg", Reason.UNREADABLE),
        ("none.jpg", Reason.NO_POSITION),
    ]
    assert found.unread == {".txt": 1}
    source = found.source()
    assert list(source.doubtful) == [
        "broken.jpg: photo cannot be read (truncated JPEG; copy or download it again)",
        "none.jpg: no position",
    ]
    assert source.notes[0] == f"{folder}: 1 file is not read: 1 .txt"


def test_photos_in_folders_below_are_of_classes(folder: Path) -> None:
    (folder / "cat").mkdir()
    (folder / "1.jpg").rename(folder / "cat/1.jpg")
    assert not has_positions(folder)
    assert read_positions(folder).photos.keys() == {"2.jpg", "3.jpg", "4.jpg", "cat/1.jpg"}


def test_photos_without_positions_are_of_no_place(tmp_path: Path) -> None:
    (tmp_path / "none.jpg").write_bytes(jpeg())
    assert not has_positions(tmp_path)
    assert not has_positions(tmp_path / "none")
    source = read_positions(tmp_path).source()
    assert not source.annotations
    assert source.notes[-1] == f"{tmp_path}: photos not used: no position: 1"
    assert source.remedy.startswith("give a CSV file with the columns file_name, latitude and longitude")


def test_a_split_of_folders(folder: Path) -> None:
    for part, names in (("train", ("1.jpg", "2.jpg")), ("val", ("3.jpg", "4.jpg"))):
        (folder / part).mkdir()
        for name in names:
            (folder / name).rename(folder / part / name)
    assert has_positions(folder)
    places = find_places(folder)
    assert [list(read_positions(place).photos) for place in (places.train, *places.judging)] == [
        ["1.jpg", "2.jpg"],
        ["3.jpg", "4.jpg"],
    ]


def _shard(path: Path, members: Mapping[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def _samples() -> Iterator[tuple[str, bytes]]:
    for number, (name, place) in enumerate(_PLACES.items()):
        yield f"{number}.jpg", jpeg()
        yield f"{number}.json", json.dumps({"file": name, **described_position(Coordinates(*place))}).encode()


def test_shards(tmp_path: Path) -> None:
    odd = {
        "7.jpg": jpeg(),
        "7.json": b'{"file": "7.jpg", "latitude": 95, "longitude": 20}',
        "8.jpg": _photo(1.5, 2.5),
        "8.json": b'{"file": "8.jpg", "latitude": null, "longitude": null}',
        "9.jpg": _photo(1.5, 2.5),
        "9.json": b'{"file": "9.jpg", "camera": "x"}',
    }
    shard = _shard(tmp_path / "photos.tar", dict(_samples()) | odd)
    assert has_positions(shard)
    found = read_positions(shard)
    assert found.photos == _WANTED | {"9.jpg": Coordinates(1.5, 2.5)}
    assert found.faults == (Fault("7.jpg", Reason.SWAPPED, "95, 20"), Fault("8.jpg", Reason.NO_POSITION, "None, None"))
    assert found.members is not None
    assert found.members.read("9.jpg") == odd["9.jpg"]


def test_shards_of_photos_alone(tmp_path: Path) -> None:
    members = {f"train/{name}": _photo(*place) for name, place in _PLACES.items()}
    shard = _shard(tmp_path / "flat.tar", {name.partition("/")[2]: data for name, data in members.items()})
    assert has_positions(shard)
    found = read_positions(shard)
    assert found.photos == {f"flat.tar/{name}": place for name, place in _WANTED.items()}
    split = _shard(tmp_path / "split.tar", members | {"val/5.jpg": _photo(1.5, 2.5), "val/6.jpg": jpeg()})
    places = find_places(split)
    (judging,) = places.judging
    assert list(read_positions(places.train).photos.values()) == list(_WANTED.values())
    assert read_positions(judging).photos == {"split.tar/val/5.jpg": Coordinates(1.5, 2.5)}


def test_shards_of_classes_have_positions_only_if_asked(tmp_path: Path) -> None:
    shard = _shard(
        tmp_path / "cats.tar",
        {"cat/1.jpg": _photo(1.5, 2.5), "cat/2.jpg": jpeg(), "cat/2.json": b'{"latitude": "48,5", "lon": "2.25"}'},
    )
    assert not has_positions(shard)
    assert read_positions(shard).photos == {
        "cats.tar/cat/1.jpg": Coordinates(1.5, 2.5),
        "cats.tar/cat/2.jpg": Coordinates(48.5, 2.25),
    }
    found = find_shards(shard)
    assert found is not None
    assert found.read().without_class == 0


@pytest.mark.parametrize("label", [None, "cat"])
def test_parquet_of_photos(tmp_path: Path, label: str | None) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    columns = {"image": [jpeg()] * 4, "Latitude": [place[0] for place in _PLACES.values()]}
    columns["lon"] = [str(place[1]) for place in _PLACES.values()]
    columns |= {} if label is None else {"label": [label] * 4}
    parquet.write_table(pyarrow.table(columns), tmp_path / "photos.parquet")
    assert has_positions(tmp_path / "photos.parquet") is (label is None)
    found = read_positions(tmp_path / "photos.parquet")
    assert list(found.photos.values()) == list(_WANTED.values())
    assert found.faults == ()


def test_lines_of_many_faults_are_bounded(tmp_path: Path) -> None:
    faults = tuple(Fault(f"{number}\n.jpg", Reason.NO_POSITION) for number in range(10_002))
    source = PositionSet(tmp_path, tmp_path, {}, faults).source()
    assert len(source.doubtful) == 10_001
    assert source.doubtful[0] == r"'0\n.jpg': no position"
    assert source.doubtful[-1] == "and 2 more"
