"""The metadata of a TFLite file: the class names in a zip archive appended to it, and the normalisation.

The metadata is a flatbuffer of its own; three tables of its schema (`metadata_schema.fbs` of TFLite Support) are read.
If it is damaged, the names are lost but not the network, and a note says so.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from flatbuffers import number_types
from flatbuffers.table import Table
from numpy.typing import NDArray

from mobilenet.errors import ConfigError
from mobilenet.images.preprocessing import Preprocessing
from mobilenet.weights.labels import without_numbers
from mobilenet.weights.tflite.file import DAMAGE

__all__ = ["Metadata", "read_metadata"]

_ENTRY = b"TFLITE_METADATA"
_IDENTIFIER = b"M001"
_NORMALIZATION, _AXIS_LABELS = 1, 2
"""Index of NormalizationOptions among a process unit's options, and of TENSOR_AXIS_LABELS among kinds of files."""

_MOST = 64
"""Limit on the entries of any list; there is one input, one output, and a file or two."""

_LONGEST_NAMES = 2**20
"""Limits in bytes on a file of class names, and on the zip archive's directory."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """The resolution in `normalization` is a placeholder; None for whatever is missing."""

    labels: tuple[str, ...] | None = None
    normalization: Preprocessing | None = None
    notes: tuple[str, ...] = ()


def read_metadata(data: bytes, entries: Mapping[bytes, NDArray[np.uint8]]) -> Metadata:
    """The content of the metadata `entries`, each (bytes,), and of the archive after the file; never raises."""
    described: tuple[str | None, Preprocessing | None] = (None, None)
    notes: list[str] = []
    if _ENTRY in entries:
        try:
            described = _describe(entries[_ENTRY].tobytes())
        except (*DAMAGE, ConfigError):
            notes.append("the metadata in the file is damaged and was ignored")
    name, normalization = described
    try:
        labels = _labels(data, name)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, *DAMAGE):
        labels = None
        notes.append("the class names in the file are damaged and were ignored")
    if labels is not None:
        labels, numbered = without_numbers(labels)
        notes += numbered
    return Metadata(labels, normalization, tuple(notes))


def _describe(data: bytes) -> tuple[str | None, Preprocessing | None]:
    """The name of the file with the output's classes, and the input's normalisation."""
    if data[4:8] != _IDENTIFIER:
        raise ValueError("no metadata")
    root = Table(data, struct.unpack_from("<I", data)[0])
    outputs = [output for graph in _tables(root, 3) for output in _tables(graph, 3)]
    inputs = [given for graph in _tables(root, 3) for given in _tables(graph, 2)]
    files = [file for output in outputs for file in _tables(output, 6) if _byte(file, 2) == _AXIS_LABELS]
    units = [unit for given in inputs for unit in _tables(given, 4) if _byte(unit, 0) == _NORMALIZATION]
    normalization = None
    if units:
        options = _table(units[0], 1)
        normalization = Preprocessing(1, None, _triple(options, 0), _triple(options, 1))
    return _text(files[0], 0) if files else None, normalization


def _place(table: Table, field: int) -> int:
    """The position of the field in the table, 0 if it is omitted."""
    return int(table.Offset(4 + 2 * field))


def _tables(table: Table, field: int) -> Iterator[Table]:
    if place := _place(table, field):
        length = table.VectorLen(place)
        if length > _MOST:
            raise ValueError("too many entries")
        start = table.Vector(place)
        for number in range(length):
            yield Table(table.Bytes, table.Indirect(start + 4 * number))


def _table(table: Table, field: int) -> Table:
    place = _place(table, field)
    if not place:
        raise ValueError("a table is missing")
    return Table(table.Bytes, table.Indirect(table.Pos + place))


def _byte(table: Table, field: int) -> int:
    place = _place(table, field)
    return int(table.Get(number_types.Uint8Flags, table.Pos + place)) if place else 0


def _text(table: Table, field: int) -> str | None:
    place = _place(table, field)
    return bytes(table.String(table.Pos + place)).decode() if place else None


def _triple(table: Table, field: int) -> tuple[float, float, float]:
    """One number for all channels, or three."""
    place = _place(table, field)
    length = table.VectorLen(place) if place else 0
    if length not in {1, 3}:
        raise ValueError("normalisation is neither for one channel nor for three")
    start = table.Vector(place)
    first, second, third = (
        float(table.Get(number_types.Float32Flags, start + 4 * (number % length))) for number in range(3)
    )
    return first, second, third


def _labels(data: bytes, name: str | None) -> tuple[str, ...] | None:
    """The lines of the file with that name in the archive, or of its only text file if no name is known."""
    end = data.rfind(b"PK\5\6", max(0, len(data) - 2**16))
    if end < 0:
        return None
    if b"PK\6\7" in data[max(0, end - 20) : end] or struct.unpack_from("<I", data, end + 12)[0] > _LONGEST_NAMES // 16:
        raise zipfile.BadZipFile("its list of files is too long")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        texts = [info for info in archive.infolist() if info.filename == name or (not name and _is_text(info))]
        if len(texts) != 1:
            return None
        if texts[0].compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise NotImplementedError("unusual compression")
        with archive.open(texts[0]) as file:
            content = file.read(_LONGEST_NAMES + 1)
    if len(content) > _LONGEST_NAMES:
        raise ValueError("too many names")
    return tuple(line.strip() for line in content.decode().strip().splitlines())


def _is_text(info: zipfile.ZipInfo) -> bool:
    return info.filename.endswith(".txt")
