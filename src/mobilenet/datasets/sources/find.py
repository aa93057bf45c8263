"""Where labelled photos come from: folders, CSV files, shards; one `Source` per part of a data set."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mobilenet.datasets.archive import Archive
from mobilenet.datasets.exclusions import Exclusions, prefix_below
from mobilenet.datasets.reader import Place, Source, Unread
from mobilenet.datasets.remote.urls import is_url, spelled
from mobilenet.datasets.sources.csv import read_csv
from mobilenet.datasets.sources.folders import class_names, list_tree
from mobilenet.datasets.sources.shards import Shards, find_shards
from mobilenet.errors import DataError, ImageError
from mobilenet.images.decode import read_photo

__all__ = ["VALIDATION", "base_of", "find_places", "photo_reader", "read_source", "without"]

VALIDATION = ("validation", "valid", "val", "test")
"""Names of folders, and prefixes of shard names, for validation photos; the first one with photos is used."""


def find_places(data: Path) -> tuple[Place, tuple[Place, ...]]:
    """The place of the training photos, and the places that may contain the validation photos."""
    shards = find_shards(data)
    if shards is not None:
        return shards.split(VALIDATION)
    train = data / "train"
    if not train.is_dir():
        return data, ()
    given = tuple(data / name for name in VALIDATION if (data / name).is_dir())
    alone = not any(path.is_dir() and path != train and not path.name.startswith(".") for path in data.iterdir())
    return (train, given) if given or alone else (data, ())


def read_source(place: Place) -> Source:
    """The photos in a place with their classes; DataError."""
    if isinstance(place, Path):
        found = find_shards(place)
        return _from_disk(place) if found is None else _from_shards(found)
    return _from_shards(place)


def base_of(data: Path) -> Path:
    """What the names of photos are relative to: the folder of a CSV file, else `data` itself."""
    return data.parent if data.suffix.lower() == ".csv" and data.is_file() else data


def without(exclude: Exclusions, data: Path, source: Source) -> Source:
    """The source without the photos of a list whose names are relative to `data`."""
    if not exclude.names:
        return source
    return replace(source, annotations=exclude.kept(source.annotations, prefix_below(base_of(data), source.root)))


def photo_reader(base: Path) -> Callable[[str], bytes]:
    """A reader of photos by name relative to `base`, which is `Photos.root` or `base_of`; ImageError, DataError."""
    parts = _parts(base)
    if not parts:
        return lambda file: read_photo(base / file)
    archives: dict[str, Archive] = {}

    def read(file: str) -> bytes:
        for prefix, shards in parts:
            if not file.startswith(prefix):
                continue
            archive = archives.setdefault(prefix, archives.get(prefix) or shards.read())
            if file.removeprefix(prefix) in archive.classes:
                return archive.members.read(file.removeprefix(prefix))
        raise ImageError("is not in the shards")

    return read


def _from_disk(path: Path) -> Source:
    if path.is_file():
        if path.suffix.lower() != ".csv":
            raise DataError(f"{path} is not a folder, a .csv file or shards (.tar, .parquet)")
        return Source(path, path.parent, read_csv(path))
    tree = list_tree(path)
    classes = class_names(tree.files)
    notes = []
    if tree.empty:
        more = f" and {len(tree.empty) - 5} more" if len(tree.empty) > 5 else ""
        notes.append(f"{path}: folders without photos are not classes: {', '.join(tree.empty[:5])}{more}")
    if len(classes) < len(tree.files):
        notes.append(f"{path}: photos in no class folder are not used: {len(tree.files) - len(classes):,}")
    return Source(path, path, classes, None, tuple(notes), tree.empty)


def _from_shards(shards: Unread) -> Source:
    archive = shards.read()
    notes: tuple[str, ...] = ()
    if archive.without_class:
        notes = (f"{spelled(shards.path)}: photos without a class are not used: {archive.without_class:,}",)
    return Source(shards.path, shards.path, archive.classes, archive.members, notes)


def _parts(base: Path) -> tuple[tuple[str, Shards], ...]:
    """The shards in `base` with the prefix of their photos' names; none for photos that are files."""
    if shards := _shards(base):
        train, given = shards.split(VALIDATION)
        return tuple((f"{part.path.name}/", part) for part in (train, *given)) if given else (("", shards),)
    if not is_url(base) and base.exists():
        return ()
    whole = _shards(base.parent)
    if whole is None:
        return ()
    train, given = whole.split(VALIDATION)
    return tuple(("", part) for part in (train, *given) if part.path == base)


def _shards(path: Path) -> Shards | None:
    try:
        return find_shards(path)
    except DataError:
        return None
