"""Whether a data set says where its photos were taken, and what it says."""

from pathlib import Path

from mobilenet.datasets.reader import NamedPart, Place
from mobilenet.datasets.sources.coordinates.headers import folder_positions, mostly_geotagged
from mobilenet.datasets.sources.coordinates.packed import holds_positions, packed_positions
from mobilenet.datasets.sources.coordinates.position_set import PositionSet
from mobilenet.datasets.sources.coordinates.table import is_of_positions, table_positions
from mobilenet.datasets.sources.find import find_places
from mobilenet.datasets.sources.folders import has_photos, list_tree, subfolders
from mobilenet.datasets.sources.rows import is_table
from mobilenet.datasets.sources.shards import find_shards
from mobilenet.errors import DataError

__all__ = ["has_positions", "read_positions"]


def has_positions(data: Path) -> bool:
    """Whether it is a table with latitudes and longitudes, shards with those, or a folder of photos most of which have
    GPS in their headers; in all cases without classes. False for what cannot be read."""
    try:
        if is_table(data):
            return is_of_positions(data)
        shards = find_shards(data)
        return _is_flat_and_geotagged(data) if shards is None else holds_positions(shards.read())
    except DataError:
        return False


def read_positions(place: Place) -> PositionSet:
    """The positions of the photos in a table, in shards, or in the headers of the photos of a folder; DataError."""
    if isinstance(place, NamedPart):
        return table_positions(place.path, place.whole, place.name)
    if not isinstance(place, Path):
        return packed_positions(place.path, place.read())
    if is_table(place):
        return table_positions(place, place)
    shards = find_shards(place)
    return folder_positions(place) if shards is None else packed_positions(place, shards.read())


def _is_flat_and_geotagged(data: Path) -> bool:
    """Photos in folders below would be in classes."""
    train = find_places(data).train
    if not (isinstance(train, Path) and train.is_dir()):
        return False
    if any(has_photos(train / name) for name in subfolders(train)):
        return False
    return mostly_geotagged(list_tree(train).files, lambda name: train / name)
