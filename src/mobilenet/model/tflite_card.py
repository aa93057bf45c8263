"""The card inside a `.tflite` file, and its seal: what the engine and the writer have to agree on.

The card is an entry in the model's metadata. Three tables of the schema are read here by hand, with every length
bounded: a device that only runs a file does not need a package with the whole schema.
"""

import struct
import zlib
from pathlib import Path

from flatbuffers.table import Table

from mobilenet.errors import ModelError
from mobilenet.model.card import ModelCard
from mobilenet.model.seal import check_seal, has_seal

__all__ = ["CARD_ENTRY", "SUPPRESSING_THREADS", "pack_card", "read_card"]

CARD_ENTRY = "mobilenet"
"""Name of the entry, which holds the card's JSON compressed by zlib."""

SUPPRESSING_THREADS = 16
"""The most threads that suppress boxes correctly.

With 2 threads or more, LiteRT's operator passes over the class whose number is that of its threads
(https://github.com/tensorflow/tensorflow/issues/56058): the first classes of a file are none.
"""

_IDENTIFIER = b"TFL3"
_LARGEST_CARD = 2**28
"""Bytes of JSON."""

_MOST_ROWS = 4096
"""Entries in a list; a MobileNet has about 90 buffers."""

_BUFFERS, _METADATA = 4, 6
"""Indices of two fields of the table Model; the name and buffer of a Metadata, and the data of a Buffer, come first."""

_DAMAGE = (struct.error, IndexError, OverflowError, TypeError, ValueError)


def pack_card(card: ModelCard) -> bytes:
    """The content of the entry `CARD_ENTRY`."""
    return zlib.compress(card.to_json().encode(), 9)


def read_card(data: bytes, path: Path) -> ModelCard:
    """The card in the bytes of a `.tflite` file; ModelError, naming `path`, unless they are bit for bit what this tool
    wrote."""
    if data[4:8] != _IDENTIFIER:
        raise ModelError(f"{path} is not a TFLite file, or is damaged; write one with mobilenet export MODEL")
    if not has_seal(data):
        raise ModelError(
            f"{path} is a TFLite file of another tool, or is damaged; read its weights with mobilenet import {path} "
            "--out model.safetensors"
        )
    check_seal(data, path)
    try:
        packed = _entry(Table(data, struct.unpack_from("<I", data)[0]))
    except _DAMAGE:
        packed = None
    if packed is None:
        raise ModelError(f"{path} has no model card; write it again with mobilenet export")
    try:
        return ModelCard.from_json(_unpacked(packed))
    except ModelError as error:
        raise ModelError(f"{path} {error}") from error


def _unpacked(packed: bytes) -> str:
    engine = zlib.decompressobj()
    try:
        text = engine.decompress(packed, _LARGEST_CARD).decode()
    except (zlib.error, UnicodeDecodeError) as error:
        raise ModelError(f"has a card that is not text ({error}); write it again with mobilenet export") from error
    if not engine.eof:
        raise ModelError("has a card that is truncated or too long; write it again with mobilenet export")
    return text


def _entry(model: Table) -> bytes | None:
    for entry in _tables(model, _METADATA):
        name, place = entry.Offset(4), entry.Offset(6)
        if name and bytes(entry.String(entry.Pos + name)) == CARD_ENTRY.encode():
            number = struct.unpack_from("<I", entry.Bytes, entry.Pos + place)[0] if place else 0
            buffer = _tables(model, _BUFFERS)[number]
            field = buffer.Offset(4)
            start, length = buffer.Vector(field), buffer.VectorLen(field)
            return bytes(buffer.Bytes[start : start + length])
    return None


def _tables(table: Table, field: int) -> list[Table]:
    place = table.Offset(4 + 2 * field)
    length = table.VectorLen(place) if place else 0
    if length > _MOST_ROWS:
        raise ValueError("too many entries")
    start = table.Vector(place) if place else 0
    return [Table(table.Bytes, table.Indirect(start + 4 * number)) for number in range(length)]
