"""Writing a data set as WebDataset shards: tar files of a bounded size, each photo with what is known of it."""

import contextlib
import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mobilenet.datasets.dataset import Parts, open_parts
from mobilenet.datasets.exclusions import NOTHING, Exclusions, prefix_below
from mobilenet.datasets.photos import LeftOut, Photos
from mobilenet.datasets.reader import Reader
from mobilenet.datasets.remote.urls import is_url, spelled
from mobilenet.datasets.sources.find import base_of
from mobilenet.datasets.sources.tar import CLASSES
from mobilenet.errors import ConfigError, DataError, ImageError, StorageError
from mobilenet.files import check_writable, locked, storage_errors
from mobilenet.images.decode import decode
from mobilenet.model.vocabulary import Vocabulary
from mobilenet.parallel import in_order

__all__ = ["DEFAULT_SHARD_BYTES", "Packed", "pack"]

DEFAULT_SHARD_BYTES = 256_000_000

_LEAST_SHARD_BYTES = 100_000
_PLAIN = ("validation", "valid", "val", "test")
"""Names of parts that are kept as the names of their shards."""

_KINDS = {
    b"\xff\xd8": "jpg",
    b"\x89PNG": "png",
    b"RIFF": "webp",
    b"BM": "bmp",
    b"GIF8": "gif",
    b"II": "tif",
    b"MM": "tif",
}
"""Magic bytes, and the file extension by which readers of shards recognise the format."""


@dataclass(frozen=True, slots=True)
class Packed:
    """What was written: names of `shards` in `folder`, their total `bytes`, and the number of `photos` in them.

    `left_out` are photos that cannot be decoded; `notes` are for the user, one line each.
    """

    folder: Path
    shards: tuple[str, ...]
    bytes: int
    photos: int
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]


def pack(
    data: Path,
    reader: Reader,
    out: Path,
    *,
    validation: Path | None = None,
    exclude: Exclusions = NOTHING,
    shard_bytes: int = DEFAULT_SHARD_BYTES,
    seed: int = 0,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Packed:
    """Write the photos of `data` to shards in a new folder `out`, which is created atomically.

    Shards have at most `shard_bytes`, unless a single photo is larger, and are named after their part of the split:
    `train-000000.tar`, `validation-000000.tar`; `photos-000000.tar` without a split, which is then made when they are
    opened, as it would be for `data`. Photos keep their bytes, their names, and their classes or attributes; photos
    that are files are shuffled by `seed`, others keep their order. `workers` threads decode every photo (default: one
    per core) to find the undecodable. DataError, ConfigError, StorageError.
    """
    if shard_bytes < _LEAST_SHARD_BYTES:
        raise ConfigError(f"shards of {shard_bytes:,} bytes are too small; use {_LEAST_SHARD_BYTES:,} or more")
    if is_url(out):
        raise ConfigError(
            f"shards can only be written to disk, not to {spelled(out)}; choose another --out, and copy them there"
        )
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise StorageError(f"{out} already exists; choose another --out")
    check_writable(out)
    parts = open_parts(data, reader, validation=validation, exclude=exclude)
    with _folder(out) as folder, storage_errors(out):
        packing = _Packing(folder, shard_bytes, reader, parts.vocabulary)
        for kind, photos, prefix in _named(parts, base_of(data)):
            packing.add(kind, photos, prefix, _order(photos, seed), workers, progress)
        if not packing.photos:
            raise DataError(f"none of the {len(packing.left_out):,} photos in {spelled(data)} can be decoded")
        if parts.vocabulary.names:
            lines = "".join(f"{_line(name)}\n" for name in parts.vocabulary.names)
            _write(folder / CLASSES, lines.encode(errors="surrogateescape"))
    return Packed(out, tuple(packing.shards), packing.bytes, packing.photos, tuple(packing.left_out), parts.notes)


class _Packing:
    """The state of one run of `pack`."""

    def __init__(self, folder: Path, shard_bytes: int, reader: Reader, vocabulary: Vocabulary) -> None:
        self._folder, self._shard_bytes, self._reader, self._vocabulary = folder, shard_bytes, reader, vocabulary
        self.shards: list[str] = []
        self.bytes = 0
        self.photos = 0
        self.left_out: list[LeftOut] = []

    def add(
        self,
        kind: str,
        photos: Photos,
        prefix: str,
        order: Sequence[int],
        workers: int | None,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        """Write one part of the split; names in `left_out` begin with `prefix`."""
        described = self._reader.described(photos.targets, self._vocabulary)
        if described is None:
            raise DataError("what is known of these photos cannot be packed as shards; train on the original data")
        said = list(described)
        place = {name: number for number, name in enumerate(self._vocabulary.names)}
        with _Writer(self._folder, kind, self._shard_bytes) as writer:
            see = partial(_see, photos)
            for done, (index, seen) in enumerate(in_order(see, order, _threads(workers)), 1):
                file, about = photos.files[index], said[index]
                if isinstance(seen, str):
                    self.left_out.append(LeftOut(prefix + file, seen))
                else:
                    writer.add(seen, {"file": file, **about}, place.get(about.get("label", "")))
                if progress is not None:
                    progress(done, len(order))
        self.shards += writer.names
        self.bytes += writer.bytes
        self.photos += writer.samples


class _Writer:
    """Writes samples to tar files `KIND-000000.tar`, … of at most `most_bytes`, or a single sample."""

    def __init__(self, folder: Path, kind: str, most_bytes: int) -> None:
        self._folder, self._kind, self._most_bytes = folder, kind, most_bytes
        self._tar: tarfile.TarFile | None = None
        self.names: list[str] = []
        self.samples = 0
        self.bytes = 0

    def __enter__(self) -> "_Writer":
        return self

    def __exit__(self, *_: object) -> None:
        self._end_shard()

    def add(self, photo: bytes, about: Mapping[str, Any], label: int | None) -> None:
        """One sample with the next key: the photo as it is, the index of its class if it has one, what is known."""
        classes = {} if label is None else {"cls": str(label).encode()}
        members = {_ending(photo): photo, **classes, "json": json.dumps(about).encode()}
        size = sum(tarfile.BLOCKSIZE * (1 + -(-len(data) // tarfile.BLOCKSIZE)) for data in members.values())
        tar = self._tar
        # The last member is followed by two blocks of zeros, padded to a whole record.
        if tar is None or tar.offset + size + 2 * tarfile.BLOCKSIZE + tarfile.RECORDSIZE > self._most_bytes:
            tar = self._begin_shard()
        for ending, data in members.items():
            member = tarfile.TarInfo(f"{self.samples:09d}.{ending}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
            tar.members.clear()  # type: ignore[attr-defined]
        self.samples += 1

    def _begin_shard(self) -> tarfile.TarFile:
        self._end_shard()
        self.names.append(f"{self._kind}-{len(self.names):06d}.tar")
        self._tar = tarfile.open(self._folder / self.names[-1], "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115
        return self._tar

    def _end_shard(self) -> None:
        if self._tar is None:
            return
        self._tar.close()
        self._tar = None
        path = self._folder / self.names[-1]
        self.bytes += path.stat().st_size
        _flush(path)


def _threads(workers: int | None) -> int:
    return (os.cpu_count() or 1) if workers is None else workers


def _named(parts: Parts, base: Path) -> Iterator[tuple[str, Photos, str]]:
    """Each part of the split: the name of its shards, its photos, and the prefix of its names relative to `base`."""
    if parts.validation is None:
        yield "photos", parts.train, prefix_below(base, parts.train.root)
        return
    yield "train", parts.train, prefix_below(base, parts.train.root)
    own = parts.validation.root.name
    kind = own if own in _PLAIN and parts.validation.root.parent == parts.root else "validation"
    yield kind, parts.validation, prefix_below(base, parts.validation.root)


def _order(photos: Photos, seed: int) -> list[int]:
    """Files are shuffled, for readers that read shards sequentially; photos in shards are read in their order there."""
    if photos.members is not None:
        return photos.in_reading_order(range(len(photos)))
    order: list[int] = np.random.default_rng(seed).permutation(len(photos)).tolist()
    return order


def _see(photos: Photos, index: int) -> bytes | str:
    """The bytes of a photo, or the reason why it cannot be decoded."""
    try:
        data = photos.read(index)
        decode(data)
    except ImageError as error:
        return str(error)
    return data


def _ending(photo: bytes) -> str:
    return next(ending for begin, ending in _KINDS.items() if photo.startswith(begin))


def _line(name: str) -> str:
    """A class on one line; as a JSON string if it has a line break (each photo also has the name itself)."""
    return name if len(name.splitlines()) == 1 else json.dumps(name)


@contextlib.contextmanager
def _folder(out: Path) -> Iterator[Path]:
    """A hidden folder beside `out` that is renamed to it at the end; leftovers of a killed run are removed."""
    whole = out.absolute()
    temporary = whole.parent / f".{whole.name}.part"
    with storage_errors(out):
        temporary.mkdir(parents=True, exist_ok=True)
    with _locked(temporary, out):
        try:
            with storage_errors(out):
                for old in temporary.iterdir():
                    old.unlink()
            yield temporary
            with storage_errors(out):
                temporary.rename(whole)
                _flush(whole.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def _locked(folder: Path, out: Path) -> Iterator[None]:
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(locked(folder))
        except OSError as error:
            raise StorageError(f"another process is writing {out}; wait for it, or choose another --out") from error
        yield


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    _flush(path)


def _flush(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
