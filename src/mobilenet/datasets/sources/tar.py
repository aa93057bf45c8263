"""WebDataset shards: tar files whose members of one key are one sample, `0001.jpg` and `0001.cls` and `0001.json`.

Members are read in place by their offset in the file; nothing is ever unpacked.
"""

import json
import re
import tarfile
import unicodedata
from collections import Counter
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from mobilenet.datasets.archive import Archive
from mobilenet.datasets.remote.byte_files import Blob, open_blob
from mobilenet.datasets.sources.endings import HEAD_BYTES, format_of, is_clutter, is_photo
from mobilenet.errors import DataError, ImageError
from mobilenet.images.decode import Limits

__all__ = ["CLASSES", "read_shards"]

CLASSES = "classes.txt"
"""File beside the shards: the class names, one per line, in the order of their numbers."""

_KEY = re.compile(r"^((?:.*/|)[^.]+)[.]([^/]*)$")
"""As in the webdataset library: the key ends at the first dot after the last slash."""

_MOST_TEXT = 2**20


@dataclass(slots=True)
class _Sample:
    """The members of one key: photos by name with offset and size, the contents of labels, and endings of others."""

    key: str
    photos: list[tuple[str, int, int]] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    number: str | None = None
    about: dict[str, object] = field(default_factory=dict)


class _Places:
    """Where each photo is: `places[name]` is the index of its shard, its offset and its size."""

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

    def place(self, file: str) -> tuple[int, int, int]:
        return self.places[file]


def read_shards(names: Sequence[str], names_of_classes: Sequence[str] = ()) -> Archive:
    """The contents of the shards; DataError names one that is damaged or cannot be read.

    The class of a photo is `label` in its JSON member, else its `.cls` member (a number is an index into
    `names_of_classes`, if there are that many), else its folder. Its name is `file` in its JSON member, else that of
    the shard and the member.
    """
    shards = [open_blob(name) for name in names]
    members = _Places(shards)
    classes: dict[str, str] = {}
    about: dict[str, dict[str, object]] = {}
    unlabelled: list[str] = []
    unread: Counter[str] = Counter()
    for number, shard in enumerate(shards):
        for sample in _samples(shard):
            if not sample.photos:
                unread.update(sample.others)
            label, more = _label(sample, names_of_classes), _more(sample.about)
            for member, offset, size in sample.photos:
                name = _name(sample, shard, (member, offset), members.places)
                classes |= {name: label} if label else {}
                about |= {name: more} if more else {}
                unlabelled += [] if label or more else [name]
                members.places[name] = (number, offset, size)
    without = len(members.places) - len(classes)
    counted = dict(sorted(unread.items()))
    return Archive(classes, members, without, counted, about, tuple(names_of_classes), tuple(unlabelled))


def _samples(shard: Blob) -> Iterator[_Sample]:
    try:
        with shard.open() as file, tarfile.open(fileobj=file, mode="r:", errors="surrogateescape") as tar:
            sample = _Sample("")
            for member in _members(tar):
                if not member.isreg() or member.issparse() or _hidden(member.name):
                    continue
                split = _KEY.match(member.name)
                key, ending = (split[1], split[2].lower()) if split else (member.name, "")
                if key != sample.key:
                    yield sample
                    sample = _Sample(key)
                _add(sample, file, member, ending)
            yield sample
    except (tarfile.TarError, EOFError, UnicodeError) as error:
        raise DataError(f"{shard.name} is not a tar file, or is damaged: {error}; pack or copy it again") from error
    except OSError as error:
        raise DataError(f"cannot read {shard.name}: {(error.strerror or str(error)).lower()}") from error


def _members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """All members; past ones are discarded, so that a tar file may have millions.

    tarfile takes a damaged header for the end of the file: the last member must be followed by zeros or nothing.
    """
    while (member := tar.next()) is not None:
        yield member
        tar.members.clear()  # type: ignore[attr-defined]
    if tar.fileobj is not None:
        tar.fileobj.seek(tar.offset)
        if any(tar.fileobj.read(tarfile.BLOCKSIZE)):
            raise tarfile.ReadError(f"bad header at byte {tar.offset:,}")


def _hidden(name: str) -> bool:
    base = name.rpartition("/")[2]
    return base.startswith((".", "__"))


def _add(sample: _Sample, shard: BinaryIO, member: tarfile.TarInfo, ending: str) -> None:
    kind = f".{ending.rpartition('.')[2]}" if ending else format_of(_read(shard, member, HEAD_BYTES))
    if is_photo(kind):
        sample.photos.append((member.name, member.offset_data, member.size))
    elif ending in ("cls", "json") and member.size <= _MOST_TEXT:
        text = _read(shard, member, _MOST_TEXT).decode("utf-8", "replace").strip()
        if ending == "cls":
            sample.number = text
        else:
            sample.about = _object(text)
    elif not is_clutter(member.name.rpartition("/")[2]):
        sample.others.append(kind)


def _read(shard: BinaryIO, member: tarfile.TarInfo, most: int) -> bytes:
    # Not tar.extractfile, which takes as long as everything else.
    shard.seek(member.offset_data)
    return shard.read(min(member.size, most))


def _object(text: str) -> dict[str, object]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _more(about: dict[str, object]) -> dict[str, object]:
    """What a JSON member says besides the name of the photo and its class."""
    return {
        key: value
        for key, value in about.items()
        if key != "file" and not (key == "label" and isinstance(value, str | int))
    }


def _label(sample: _Sample, classes: Sequence[str]) -> str | None:
    said = sample.about.get("label")
    if isinstance(said, str) and said:
        return unicodedata.normalize("NFC", said)
    text = str(said) if type(said) is int else sample.number
    if text:
        known = text.isascii() and text.isdecimal() and int(text[:9]) < len(classes)
        return unicodedata.normalize("NFC", classes[int(text)] if known else text)
    return unicodedata.normalize("NFC", sample.key.rpartition("/")[0]) or None


def _name(sample: _Sample, shard: Blob, member: tuple[str, int], taken: Container[str]) -> str:
    """The first of these names that is not taken: its original name, with its shard, with its offset."""
    said = sample.about.get("file")
    own = [said] if isinstance(said, str) and said and len(sample.photos) == 1 else []
    base = shard.name.rpartition("/")[2]
    names = (*own, f"{base}/{member[0]}", f"{base}/{member[1]}/{member[0]}", f"{shard.name}/{member[1]}/{member[0]}")
    return next(name for name in names if name not in taken)
