"""Shards behind addresses: fsspec's memory stands for a store far away, and counts what is asked of it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

fsspec = pytest.importorskip("fsspec", reason="the extra hub is not installed")

from fsspec.implementations.memory import MemoryFileSystem  # noqa: E402

from mobilenet.datasets import photo_reader  # noqa: E402
from mobilenet.datasets.cache import load as cache  # noqa: E402
from mobilenet.datasets.pack import pack  # noqa: E402
from mobilenet.datasets.remote import byte_files as blobs  # noqa: E402
from mobilenet.datasets.remote import urls as addresses  # noqa: E402
from mobilenet.errors import DataError  # noqa: E402
from mobilenet.tasks import open_dataset  # noqa: E402
from mobilenet.tasks.classification import Classification  # noqa: E402

Save = Callable[..., Path]


class _Far(MemoryFileSystem):  # type: ignore[misc]
    """A store that says what was read of it."""

    protocol = "far"
    reads: tuple[int, ...] = ()

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.removeprefix(f"{cls.protocol}:/")))

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **others: Any) -> bytes:
        """Bytes of a file."""
        _Far.reads += ((end or 0) - (start or 0),)
        return bytes(super().cat_file(path, start, end, **others))


class _Hub(_Far):
    """Stands where the hub's own file system is."""

    protocol = "hf"


@pytest.fixture
def far() -> Iterator[MemoryFileSystem]:
    """An empty store, opened by far:// and in place of the hub by hf://."""
    for system in (_Far, _Hub):
        fsspec.register_implementation(system.protocol, system, clobber=True)
    blobs._PIECES._kept.clear()
    _Far.store.clear()
    _Far.reads = ()
    yield _Far()
    _Far.store.clear()


@pytest.fixture
def photos(tmp_path: Path, save: Save) -> Path:
    """30 photos of two classes."""
    for number in range(30):
        save(tmp_path / "photos" / "ab"[number % 2] / f"{number:02}.png", number)
    return tmp_path / "photos"


def _upload(system: MemoryFileSystem, folder: Path, address: str) -> None:
    for path in folder.iterdir():
        system.pipe_file(f"{address}/{path.name}", path.read_bytes())


def test_shards_far_away_are_those_here(far: MemoryFileSystem, photos: Path, tmp_path: Path) -> None:
    pack(photos, Classification(), tmp_path / "shards", shard_bytes=500_000)
    _upload(far, tmp_path / "shards", "/store/set")
    here = open_dataset(photos)
    names = "{" + ",".join(path.stem for path in (tmp_path / "shards").glob("*.tar")) + "}.tar"
    for address in ("far://store/set", "far://store/set/" + names):
        there = open_dataset(Path(address))
        assert there.train.files == here.train.files
        assert [there.train.read(i) for i in range(5)] == [here.train.read(i) for i in range(5)]
        caches = [cache.load(part.train, 32, directory=tmp_path / "cache", max_bytes=0) for part in (here, there)]
        np.testing.assert_array_equal(*(part.batch(range(len(here.train))) for part in caches))
    assert photo_reader(Path("far://store/set"))(here.train.files[0]) == here.train.read(0)
    assert not list(Path().glob("far*"))


def test_what_follows_comes_in_large_pieces(far: MemoryFileSystem, photos: Path, tmp_path: Path) -> None:
    packed = pack(photos, Classification(), tmp_path / "shards")
    _upload(far, tmp_path / "shards", "/s")
    dataset = open_dataset(Path("far://s"))
    cache.load(dataset.train, 32, directory=tmp_path / "cache", workers=0)
    # All of it is looked through for its photos, read for the split and decoded: a few requests, not three a photo. The
    # list of classes beside it is asked for anew whenever shards are looked at.
    assert len([size for size in _Far.reads if size > len("a\nb\n")]) <= 4
    assert len(_Far.reads) <= 8
    assert sum(_Far.reads) <= packed.bytes + 4096


def test_memory_for_pieces_is_bounded_however_many_files_there_are(far: MemoryFileSystem) -> None:
    for number in range(100):
        far.pipe_file(f"/many/{number}", bytes(5000))
        opened = blobs.open_blob(f"far://many/{number}")
        assert opened.read(0, 100) + opened.read(100, 10**6) == bytes(5000)
        assert opened.read(4990, 100) == bytes(10)
    assert len(blobs._PIECES._kept) == blobs._PIECES_KEPT


def test_a_file_that_is_written_anew_has_another_stamp(far: MemoryFileSystem) -> None:
    far.pipe_file("/x", b"a")
    first = blobs.open_blob("far://x").stamp
    assert blobs.open_blob("far://x").stamp == first
    far.pipe_file("/x", b"b")
    assert blobs.open_blob("far://x").stamp != first


def test_a_set_of_the_hub_in_parquet(far: MemoryFileSystem, photos: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="the extra hub is not installed")
    parquet = pytest.importorskip("pyarrow.parquet", reason="the extra hub is not installed")
    files = sorted(photos.rglob("*.png"))
    for split, some in (("train", files[:24]), ("test", files[24:])):
        images = [{"bytes": path.read_bytes(), "path": path.name} for path in some]
        labels = [path.parent.name for path in some]
        with far.open(f"/datasets/owner/name/data/{split}-00000-of-00001.parquet", "wb") as file:
            parquet.write_table(pyarrow.table({"image": images, "label": labels}), file)
    dataset = open_dataset(Path("hf://datasets/owner/name"))
    assert (len(dataset.train), len(dataset.validation), dataset.split) == (24, 6, "given: test/")
    assert [dataset.train.read(index) for index in (0, 23)] == [files[0].read_bytes(), files[23].read_bytes()]


def test_several_sets_behind_one_address_are_named(far: MemoryFileSystem) -> None:
    for name in ("small/train/0.parquet", "small/test/0.parquet", "large/train-0.parquet"):
        far.pipe_file(f"/datasets/o/n/{name}", b"x")
    message = r"o/n contains several data sets; choose one of: \S+datasets/o/n/large, \S+datasets/o/n/small$"
    with pytest.raises(DataError, match=message):
        open_dataset(Path("hf://datasets/o/n"))


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("far://nothing", r"far://nothing contains no .tar or .parquet files; photos in folders must be on disk"),
        ("far://nothing/x.tar", r"cannot open far://nothing/x.tar: .*; check the address and the network"),
        ("nowhere://x/y.tar", r"cannot open nowhere://x/y.tar: .*nowhere.*; check the address and the network"),
        ("far://x/{a,b}", "names with braces must end in .tar or .parquet"),
    ],
)
def test_an_address_that_leads_nowhere_is_one_line(far: MemoryFileSystem, address: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_dataset(Path(address))


def test_a_store_that_fails_while_photos_are_read(
    far: MemoryFileSystem, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack(photos, Classification(), tmp_path / "shards")
    _upload(far, tmp_path / "shards", "/s")
    dataset = open_dataset(Path("far://s"))
    blobs._PIECES._kept.clear()

    def broken(*_: Any) -> bytes:
        raise ConnectionResetError("connection reset by peer")

    monkeypatch.setattr(_Far, "cat_file", broken)
    cached = cache.load(dataset.train, 32, directory=tmp_path / "other")
    assert len(cached) == 0
    assert {item.reason for item in cached.left_out} == {"cannot be read: connection reset by peer"}


def test_which_paths_are_addresses() -> None:
    assert [addresses.is_url(Path(name)) for name in ("s3://b/x", "hf://datasets/a/b", "zip::https://x/y")] == [
        True
    ] * 3
    assert [addresses.is_url(Path(name)) for name in ("a/b", "/a:b/c", "c:/x", "a:b", "train-{0..9}.tar")] == [
        False
    ] * 5
    assert addresses.spelled(Path("simplecache::https://x/y")) == "simplecache::https://x/y"
    assert addresses.spelled(Path("file:///x/y.tar")) == "file:///x/y.tar"
    assert addresses.full_name(Path("hf://datasets/a/b")) == "hf://datasets/a/b"


@pytest.mark.parametrize(
    ("path", "short", "folder"),
    [
        ("/photos/dice", "dice", "dice"),
        ("/photos/dice/data.yaml", "dice", "dice"),
        ("/photos/dice/Dataset.YML", "dice", "dice"),
        ("/photos/dice/labels.csv", "labels.csv", "labels"),
        ("/data.yaml", "data.yaml", "data"),
        ("/photos/train-{0..9}.tar", "train-{0..9}.tar", "train-0-9"),
        ("hf://datasets/a/b", "b", "b"),
        ("https://x/dice/data.yaml", "dice", "dice"),
    ],
)
def test_the_names_of_data_sets(path: str, short: str, folder: str) -> None:
    assert addresses.short_name(Path(path)) == short
    assert addresses.name_for_folders(Path(path)) == folder
