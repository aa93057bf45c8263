"""Where labelled photos come from: folders, CSV files, shards; one `Source` per part of a data set."""

import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mobilenet.datasets.archive import Archive
from mobilenet.datasets.exclusions import Exclusions, prefix_below
from mobilenet.datasets.reader import NamedPart, Place, Places, Source, Unread
from mobilenet.datasets.remote.urls import is_url, spelled
from mobilenet.datasets.sources.endings import unread_line
from mobilenet.datasets.sources.folders import class_names, has_photos, list_tree, subfolders
from mobilenet.datasets.sources.rows import is_table
from mobilenet.datasets.sources.shards import Shards, find_shards
from mobilenet.datasets.sources.split_names import Mixed, folder_split, mixed_splits
from mobilenet.datasets.sources.table import read_table, table_split
from mobilenet.errors import DataError, ImageError
from mobilenet.images.decode import read_photo

__all__ = ["base_of", "find_places", "photo_reader", "read_source", "without"]

_SHOWN = 4


def find_places(data: Path) -> Places:
    """The parts of the split of a data set, all of `data` if it has none; DataError."""
    shards = find_shards(data)
    if shards is not None:
        return _in_shards(shards)
    return _in_table(data) if is_table(data) else _in_folders(data)


def read_source(place: Place) -> Source:
    """The photos in a place with their classes; DataError."""
    if isinstance(place, NamedPart):
        return _from_table(place.path, place.whole, place.name)
    if isinstance(place, Path):
        found = find_shards(place)
        return _from_disk(place) if found is None else _from_shards(found)
    return _from_shards(place)


def base_of(data: Path) -> Path:
    """What the names of photos are relative to: the folder of a file that lists them, else `data` itself."""
    return data.parent if is_table(data) or (data.is_file() and _shards(data) is None) else data


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
            if file.removeprefix(prefix) in archive:
                return archive.members.read(file.removeprefix(prefix))
        raise ImageError("is not in the shards")

    return read


def _in_folders(data: Path) -> Places:
    if not data.is_dir():
        return Places(data)
    found = folder_split(lambda path: subfolders(data / path), lambda path: has_photos(data / path))
    if found is None:
        return Places(data)
    beside = tuple(name for name in found.beside if _may_be_missed(data / name))
    return Places(data / found.train, tuple(data / name for name in found.judging), beside)


def _may_be_missed(folder: Path) -> bool:
    """Whether there are photos in a folder beside the parts of a split; one that cannot be read has none."""
    try:
        return has_photos(folder)
    except DataError:
        return False


def _in_table(data: Path) -> Places:
    found, notes = table_split(data)
    if found is None:
        return Places(data, notes=notes)
    judging = tuple(NamedPart(data, value) for value in found.judging)
    return Places(NamedPart(data, found.train), judging, found.beside, notes)


def _in_shards(shards: Shards) -> Places:
    split = shards.split()
    if split is None:
        return Places(shards)
    found, parts = split
    return Places(parts[found.train], tuple(parts[name] for name in found.judging), found.beside)


def _from_disk(path: Path) -> Source:
    if is_table(path):
        return _from_table(path, path)
    if path.is_file():
        raise DataError(f"{path} is not a folder, a .csv or .tsv file or shards (.tar, .parquet)")
    tree = list_tree(path)
    classes = class_names(tree.files)
    notes = [f"{path}: {unread_line(tree.unread)}"] if tree.unread else []
    if tree.empty:
        more = f" and {len(tree.empty) - 5} more" if len(tree.empty) > 5 else ""
        notes.append(f"{path}: folders without photos are not classes: {', '.join(tree.empty[:5])}{more}")
    if len(classes) < len(tree.files):
        notes.append(f"{path}: photos in no class folder are not used: {len(tree.files) - len(classes):,}")
    mixed, alike = _mistakable(path, classes)
    return Source(path, path, classes, None, (*notes, *mixed, *alike), tree.empty, tree.unread, mixed, alike)


def _from_table(path: Path, file: Path, part: str | None = None) -> Source:
    table = read_table(file, part)
    return Source(path, file.parent, table.labels, notes=table.notes)


def _from_shards(shards: Unread) -> Source:
    archive = shards.read()
    notes = [f"{spelled(shards.path)}: {unread_line(archive.unread)}"] if archive.unread else []
    if archive.without_class:
        notes.append(f"{spelled(shards.path)}: photos without a class are not used: {archive.without_class:,}")
    mixed, alike = _mistakable(shards.path, archive.classes)
    return Source(
        shards.path,
        shards.path,
        archive.classes,
        archive.members,
        (*notes, *mixed, *alike),
        unread=archive.unread,
        mixed=mixed,
        alike=alike,
    )


def _mistakable(path: Path, classes: Mapping[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """A line for each group of folders that are read as classes but whose names are those of a split, and for each
    whose classes are the same."""
    found = mixed_splits(Counter(classes.values()))
    lines = [(group.certain, f"{spelled(path)}: {_line(path, group)}") for group in found]
    return tuple(line for certain, line in lines if certain), tuple(line for certain, line in lines if not certain)


def _line(path: Path, group: Mixed) -> str:
    below = f"{group.parent}/" if group.parent else ""
    folders = _listed([f"{below}{name}/" for name in group.names])
    if group.certain:
        told = f"{folders} are named like parts of a split but read as classes"
    else:
        first = f"{below}{group.names[0]}/{group.classes[0]}"
        told = f"{folders} contain the same classes ({', '.join(group.classes)}), which become {first} and so on"
    if not group.apart:
        return f"{told}; put each part above its classes (train/cat, test/cat), or give a CSV file with a column split"
    if not path.is_dir():
        return f"{told}; if they are a split, name them train and test"
    train, other = (shlex.quote(str(path / below / name)) for name in group.names[:2])
    return f"{told}; if they are a split: mobilenet train {train} --val {other}"


def _listed(names: Sequence[str]) -> str:
    shown = names if len(names) <= _SHOWN else [*names[: _SHOWN - 1], f"{len(names) - _SHOWN + 1:,} others"]
    return f"{', '.join(shown[:-1])} and {shown[-1]}"


def _parts(base: Path) -> tuple[tuple[str, Unread], ...]:
    """The shards in `base` with the prefix of their photos' names; none for photos that are files."""
    if shards := _shards(base):
        parts = _unread(shards)
        return tuple((f"{part.path.name}/", part) for part in parts) if len(parts) > 1 else (("", shards),)
    if not is_url(base) and base.exists():
        return ()
    whole = _shards(base.parent)
    if whole is None:
        return ()
    return tuple(("", part) for part in _unread(whole) if part.path == base)


def _unread(shards: Shards) -> tuple[Unread, ...]:
    places = _in_shards(shards)
    return tuple(place for place in (places.train, *places.judging) if not isinstance(place, Path | NamedPart))


def _shards(path: Path) -> Shards | None:
    try:
        return find_shards(path)
    except DataError:
        return None
