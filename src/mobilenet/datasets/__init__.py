"""Labelled photos on a disk: finding them, splitting them, decoding each of them once."""

from mobilenet.datasets.dataset import Dataset, open_dataset, open_photos
from mobilenet.datasets.exclusions import Exclusions, read_exclusions
from mobilenet.datasets.folders import find_photos
from mobilenet.datasets.photos import LeftOut, Photos

__all__ = [
    "Dataset",
    "Exclusions",
    "LeftOut",
    "Photos",
    "find_photos",
    "open_dataset",
    "open_photos",
    "read_exclusions",
]
