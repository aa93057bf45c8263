"""WebDataset shards: tar files whose members of one key are one sample, `0001.jpg` and `0001.cls` and `0001.json`.

Members are found by their place in the file and read where they are; nothing is ever unpacked.
"""

import json
import re
import tarfile
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, cast

from mobilenet.datasets.blobs import Blob, Stream, file_below, open_blob
from mobilenet.datasets.members import Archive
from mobilenet.errors import DataError, ImageError
from mobilenet.images import ENDINGS, Limits

__all__ = ["read_shards"]

_KEY = re.compile(r"^((?:.*/|)[^.]+)[.]([^/]*)$")
"""As the webdataset library splits names: the key ends at the first dot behind the last slash."""

_MOST_TEXT = 2**20


@dataclass(slots=True)
class _Sample:
    """The members of one key: photos by name with place and size, and what the others say."""

    key: str
    photos: list[tuple[str, int, int]] = field(default_factory=list)
    number: str | None = None
    about: dict[str, object] = field(default_factory=dict)


class _Places:
    """Where each photo is: `places[name]` is the number of its shard, its offset and its size."""

    def __init__(self, shards: Sequence[Blob]) -> None:
        self._shards = shards
        self.places: dict[str, tuple[int, int, int]] = {}

    def read(self, file: str) -> bytes:
        number, offset, size = self.places[file]
        if size > Limits().bytes:
            raise ImageError(f"{size:,} bytes is more than the limit of {Limits().bytes:,}")
        try:
            data = self._shards[number].read(offset, size)
        except OSError as error:
            raise ImageError(f"cannot be read: {(error.strerror or str(error)).lower()}") from error
        if len(data) < size:
            raise ImageError("truncated file")
        return data

    def stamp(self, file: str) -> tuple[bytes, int]:
        number, offset, size = self.places[file]
        return self._shards[number].stamp + f"{offset},{size}".encode(), self._shards[number].changed_ns


def read_shards(names: Sequence[str]) -> Archive:
    """What the shards hold; DataError names one that is damaged or cannot be read.

    The class of a photo is `label` in its JSON member, else its `.cls` member (a number stands for a line of
    `classes.txt` beside the shards, where there is one), else its folder. Its name is `file` in its JSON member, else
    that of the shard and the member.
    """
    shards = [open_blob(name) for name in names]
    members = _Places(shards)
    listed = file_below(names[0], "classes.txt")
    names_of_classes = [] if listed is None else listed.decode("utf-8", "surrogateescape").splitlines()
    classes: dict[str, str] = {}
    without = 0
    for number, shard in enumerate(shards):
        for sample in _samples(shard):
            label = _label(sample, names_of_classes)
            if label is None:
                without += len(sample.photos)
                continue
            for member, offset, size in sample.photos:
                name = _name(sample, shard, member, classes)
                classes[name] = label
                members.places[name] = (number, offset, size)
    return Archive(classes, members, without)


def _samples(shard: Blob) -> Iterator[_Sample]:
    try:
        with tarfile.open(fileobj=cast(BinaryIO, Stream(shard)), mode="r:", errors="surrogateescape") as tar:
            sample = _Sample("")
            for member in tar:
                split = _KEY.match(member.name)
                if not member.isreg() or member.issparse() or split is None or _hidden(member.name):
                    continue
                if split[1] != sample.key:
                    yield sample
                    sample = _Sample(split[1])
                _add(sample, tar, member, split[2].lower())
            yield sample
    except (tarfile.TarError, EOFError, UnicodeError) as error:
        raise DataError(f"{shard.name} is no tar file, or damaged: {error}; pack or copy it again") from error
    except OSError as error:
        raise DataError(f"cannot read {shard.name}: {(error.strerror or str(error)).lower()}") from error


def _hidden(name: str) -> bool:
    base = name.rpartition("/")[2]
    return base.startswith((".", "__"))


def _add(sample: _Sample, tar: tarfile.TarFile, member: tarfile.TarInfo, ending: str) -> None:
    if f".{ending.rpartition('.')[2]}" in ENDINGS:
        sample.photos.append((member.name, member.offset_data, member.size))
    elif ending in ("cls", "json") and member.size <= _MOST_TEXT:
        file = tar.extractfile(member)
        text = (file.read() if file else b"").decode("utf-8", "replace").strip()
        if ending == "cls":
            sample.number = text
        else:
            sample.about = _object(text)


def _object(text: str) -> dict[str, object]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _label(sample: _Sample, classes: Sequence[str]) -> str | None:
    said = sample.about.get("label")
    if isinstance(said, str) and said:
        return unicodedata.normalize("NFC", said)
    text = str(said) if isinstance(said, int) else sample.number
    if text:
        known = text.isdecimal() and int(text) < len(classes)
        return unicodedata.normalize("NFC", classes[int(text)] if known else text)
    return unicodedata.normalize("NFC", sample.key.rpartition("/")[0]) or None


def _name(sample: _Sample, shard: Blob, member: str, taken: dict[str, str]) -> str:
    said = sample.about.get("file")
    if isinstance(said, str) and said and len(sample.photos) == 1 and said not in taken:
        return said
    return f"{shard.name.rpartition('/')[2]}/{member}"
