"""Which column of a table is which, by its name."""

import re
from collections.abc import Sequence

__all__ = ["FILE_NAMES", "LABELS", "LATITUDES", "LONGITUDES", "SPLITS", "find", "normal"]

FILE_NAMES = (
    "filename",
    "file",
    "filenames",
    "files",
    "filepath",
    "filepaths",
    "path",
    "paths",
    "imagepath",
    "imagepaths",
    "imgpath",
    "imagename",
    "imgname",
    "imagefile",
    "imagefilename",
    "image",
    "images",
    "img",
    "photo",
    "photos",
    "picture",
    "imageid",
    "imgid",
    "photoid",
    "id",
    "name",
)
LABELS = (
    "label",
    "labels",
    "class",
    "classname",
    "classes",
    "classlabel",
    "category",
    "categoryname",
    "target",
    "targets",
    "labelname",
    "species",
)
SPLITS = ("split", "datasplit", "subset", "partition", "dataset", "set", "phase", "usage")
LATITUDES = ("latitude", "lat", "latitudedeg", "latdeg", "gpslatitude", "gpslat", "decimallatitude")
LONGITUDES = (
    "longitude",
    "lon",
    "lng",
    "long",
    "longitudedeg",
    "londeg",
    "lngdeg",
    "gpslongitude",
    "gpslon",
    "gpslng",
    "decimallongitude",
)
"""Headers of columns, in order of preference, without case and punctuation: `File_Name` is `filename`."""


def find(header: Sequence[str], known: Sequence[str]) -> int | None:
    """The column with the first of these names that there is."""
    names = [normal(name) for name in header]
    return next((names.index(name) for name in known if name in names), None)


def normal(name: str) -> str:
    """Without case and punctuation."""
    return re.sub(r"[\W_]+", "", name).casefold()
