"""Parquet files of photos, as on the Hugging Face hub: a column of images and a column of labels."""

import json
import threading
import unicodedata
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mobilenet.datasets.archive import Archive
from mobilenet.datasets.remote.byte_files import Blob, Stream, open_blob
from mobilenet.datasets.sources.columns import LATITUDES, LONGITUDES, find
from mobilenet.datasets.sources.parquet_rows import damaged, failures
from mobilenet.errors import DataError, ImageError
from mobilenet.images.decode import Limits

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

__all__ = ["read_parquet"]

_IMAGES = ("image", "img", "jpg", "png", "webp")
_LABELS = ("label", "labels", "class", "cls", "fine_label")
_BYTES_KEPT = 2**30
"""Row groups kept in memory: threads read neighbouring photos, from a few groups."""

_MOST_GROUP_BYTES = 2**32


@dataclass(frozen=True, slots=True)
class _Columns:
    """Names of the column of images and of that of classes, and of the classes if labels are numbers; `others` are the
    columns that speak in place of one of classes."""

    image: str
    label: str | None
    classes: tuple[str, ...]
    others: tuple[str, ...] = ()


class _Rows:
    """Where each photo is: `places[name]` is the index of its file, its row group and its row in that group."""

    def __init__(self, files: Sequence[tuple[Blob, "ParquetFile", _Columns]]) -> None:
        self._files = files
        self._groups: OrderedDict[tuple[int, int], Any] = OrderedDict()
        self._broken = failures()
        self._lock = threading.Lock()
        self.places: dict[str, tuple[int, int, int]] = {}

    def read(self, file: str) -> bytes:
        number, group, row = self.places[file]
        try:
            value = self._group(number, group)[row].as_py()
        except self._broken as error:
            raise ImageError(f"cannot be read: {' '.join(str(error).split())[:80]}") from error
        data = value.get("bytes") if isinstance(value, dict) else value
        if not isinstance(data, bytes):
            raise ImageError("its row contains no bytes; only photos inside the Parquet file can be read")
        if len(data) > Limits().bytes:
            raise ImageError(f"{len(data):,} bytes is more than the limit of {Limits().bytes:,}")
        return data

    def stamp(self, file: str) -> tuple[bytes, int]:
        number, group, row = self.places[file]
        blob = self._files[number][0]
        return blob.stamp + f"{group},{row}".encode(), blob.changed_ns

    def place(self, file: str) -> tuple[int, int, int]:
        return self.places[file]

    def _group(self, number: int, group: int) -> Any:
        with self._lock:
            if (number, group) not in self._groups:
                _, file, columns = self._files[number]
                table = file.read_row_group(group, columns=[columns.image])
                self._groups[number, group] = table.column(columns.image)
                while len(self._groups) > 1 and sum(kept.nbytes for kept in self._groups.values()) > _BYTES_KEPT:
                    self._groups.popitem(last=False)
            self._groups.move_to_end((number, group))
            return self._groups[number, group]


def read_parquet(names: Sequence[str]) -> Archive:
    """The contents of the files; DataError names one that is damaged, or has no column of images or labels.

    A photo is named after its file and row. Labels are strings, or numbers with class names stored in the file as by
    the `datasets` library. Without them, or with lists of them, the archive's `about` has what the columns of numbers
    and lists say; in any case it has latitudes and longitudes.
    """
    files = [_open(name) for name in names]
    members = _Rows(files)
    classes: dict[str, str] = {}
    about: dict[str, dict[str, object]] = {}
    without = 0
    for number, (blob, file, columns) in enumerate(files):
        base = blob.name.rpartition("/")[2]
        prefix = blob.name if f"{base}/{0:08d}" in members.places else base
        row = 0
        for group in range(file.num_row_groups):
            rows, said = file.metadata.row_group(group).num_rows, _others(blob, file, group, columns)
            labels = [None] * rows if columns.label is None else _labels(blob, file, group, columns)
            for place, label in enumerate(labels):
                if label is None:
                    without += 1
                    if not columns.others:
                        continue
                name = f"{prefix}/{row + place:08d}"
                if label is not None:
                    classes[name] = unicodedata.normalize("NFC", label)
                if columns.others:
                    about[name] = said[place]
                members.places[name] = (number, group, place)
            row += rows
    return Archive(classes, members, without, about=about)


def _open(name: str) -> tuple[Blob, "ParquetFile", _Columns]:
    import pyarrow
    from pyarrow.parquet import ParquetFile

    blob = open_blob(name)
    try:
        file = ParquetFile(pyarrow.PythonFile(Stream(blob), mode="r"))
        sizes = [file.metadata.row_group(group).total_byte_size for group in range(file.num_row_groups)]
    except failures() as error:
        raise damaged(name, error) from error
    if max(sizes, default=0) > _MOST_GROUP_BYTES:
        raise DataError(
            f"{name} has a row group of {max(sizes):,} bytes, which is read as a whole and would not fit in memory; "
            "write the file again with row groups of about 100 photos"
        )
    return blob, file, _columns(name, file)


def _columns(name: str, file: "ParquetFile") -> _Columns:
    schema = file.schema_arrow
    features = _features((schema.metadata or {}).get(b"huggingface"))
    kinds = {column: kind.get("_type") for column, kind in features.items() if isinstance(kind, dict)}
    found = list(schema.names)
    image = _choose(found, [c for c, kind in kinds.items() if kind == "Image"], _IMAGES)
    label = _choose(found, [c for c, kind in kinds.items() if kind == "ClassLabel"], _LABELS)
    positions = _positions(found)
    others = _speaking(schema, image) if label is None or _is_list(schema, label) else ()
    for what, column in (("images", image), ("labels", label or (others or positions or None))):
        if column is None:
            raise DataError(f"{name} has no column of {what}; it has: {', '.join(found[:10])}")
    if others or label is None:
        return _Columns(image or "", None, (), tuple(dict.fromkeys((*others, *positions))))
    classes = features.get(label, {}).get("names") or ()
    return _Columns(image or "", label, tuple(map(str, classes)), positions)


def _positions(found: Sequence[str]) -> tuple[str, ...]:
    """The columns of latitudes and longitudes, none unless there are both."""
    latitude, longitude = find(found, LATITUDES), find(found, LONGITUDES)
    return () if latitude is None or longitude is None else (found[latitude], found[longitude])


def _is_list(schema: Any, column: str) -> bool:
    import pyarrow

    kind = schema.field(column).type
    return bool(pyarrow.types.is_list(kind) or pyarrow.types.is_large_list(kind))


def _speaking(schema: Any, image: str | None) -> tuple[str, ...]:
    """The columns of numbers, of truths, and of lists."""
    import pyarrow

    kinds = pyarrow.types
    tests = (kinds.is_boolean, kinds.is_integer, kinds.is_floating)
    return tuple(
        name
        for name in schema.names
        if name != image and (any(test(schema.field(name).type) for test in tests) or _is_list(schema, name))
    )


def _others(blob: Blob, file: "ParquetFile", group: int, columns: _Columns) -> list[dict[str, object]]:
    if not columns.others:
        return []
    try:
        found: list[dict[str, object]] = file.read_row_group(group, columns=list(columns.others)).to_pylist()
    except failures() as error:
        raise damaged(blob.name, error) from error
    return found


def _choose(found: Sequence[str], declared: Sequence[str], usual: Sequence[str]) -> str | None:
    return next((column for column in (*declared, *usual) if column in found), None)


def _features(metadata: bytes | None) -> dict[str, dict[str, Any]]:
    try:
        features = json.loads(metadata or b"{}").get("info", {}).get("features", {})
    except (ValueError, AttributeError):
        return {}
    return features if isinstance(features, dict) else {}


def _labels(blob: Blob, file: "ParquetFile", group: int, columns: _Columns) -> list[str | None]:
    try:
        values = file.read_row_group(group, columns=[columns.label]).column(columns.label).to_pylist()
    except failures() as error:
        raise damaged(blob.name, error) from error
    if any(isinstance(value, list | dict | float) for value in values):
        raise DataError(f"{blob.name}: the column {columns.label} contains neither class names nor class numbers")
    return [_name(value, columns.classes) for value in values]


def _name(value: str | int | None, classes: Sequence[str]) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(classes):
        return classes[value]
    # The datasets library writes -1 for an unknown label.
    return None if value is None or value in ("", -1) else str(value)
