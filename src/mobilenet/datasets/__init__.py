"""Labelled photos on disk or in shards anywhere: finding, splitting and decoding them, each only once."""

from mobilenet.datasets.dataset import Dataset, given_split, open_dataset, open_photos
from mobilenet.datasets.exclusions import Exclusions, read_exclusions
from mobilenet.datasets.photos import LeftOut, Photos
from mobilenet.datasets.sources.find import photo_reader
from mobilenet.datasets.sources.folders import find_photos

__all__ = [
    "Dataset",
    "Exclusions",
    "LeftOut",
    "Photos",
    "find_photos",
    "given_split",
    "open_dataset",
    "open_photos",
    "photo_reader",
    "read_exclusions",
]
