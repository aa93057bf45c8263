"""photos.jsonl: the training and validation photos of a run, recorded once when it starts."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from mobilenet.datasets.digest import DIGEST_BYTES
from mobilenet.datasets.targets import Targets
from mobilenet.errors import DataError
from mobilenet.files import atomic_write
from mobilenet.model.vocabulary import Vocabulary

__all__ = ["Listed", "RecordedSplit", "photo_lines", "read_split", "write_photos"]


@dataclass(frozen=True, slots=True)
class RecordedSplit:
    """Digests of the bytes of photos, 16 bytes each. A photo in both was trained on."""

    training: frozenset[bytes]
    validation: frozenset[bytes]

    def trained(self, digests: Sequence[bytes]) -> list[int]:
        """The indices of the photos that were trained on."""
        return [number for number, key in enumerate(digests) if key in self.training]

    def judges(self, digests: Sequence[bytes]) -> list[int]:
        """The indices of the photos that were validated on and not trained on."""
        unseen = self.validation - self.training
        return [number for number, key in enumerate(digests) if key in unseen]

    def missing(self, digests: Sequence[bytes]) -> str:
        """One line on how many validation photos are not among these; empty if none are missing."""
        gone = len(self.validation.difference(digests))
        recorded = f"{len(self.validation):,} validation photos recorded by the run"
        return f"{gone:,} of the {recorded} {'is' if gone == 1 else 'are'} missing" if gone else ""


class Listed(Protocol):
    """Photos whose bytes are known, such as `datasets.cache.load.CachedPhotos`."""

    @property
    def files(self) -> Sequence[str]: ...

    @property
    def targets(self) -> Targets: ...

    @property
    def digests(self) -> NDArray[Any]:
        """(N,) 16 bytes each."""
        ...


def photo_lines(photos: tuple[Listed, Listed], vocabulary: Vocabulary) -> Iterator[str]:
    """Of every photo a JSON line: `["train", file, label, digest of its bytes]`, in the order of training."""
    for split, part in zip(("train", "validation"), photos, strict=True):
        for file, label, digest in zip(part.files, part.targets.lines(vocabulary), part.digests, strict=True):
            yield json.dumps([split, file, label, digest.tobytes().hex()])


def write_photos(path: Path, photos: tuple[Listed, Listed], vocabulary: Vocabulary) -> None:
    """Write `photo_lines`, whole or not at all; StorageError."""
    with atomic_write(path) as file:
        file.writelines(line.encode() + b"\n" for line in photo_lines(photos, vocabulary))


def read_split(file: Path) -> RecordedSplit | None:
    """The split in a photos.jsonl; None without the file, as in runs of earlier versions.

    DataError if a line is damaged: photos that may have been trained on prove nothing.
    """
    if not file.is_file():
        return None
    try:
        with file.open("rb") as lines:
            return _parsed(file, lines)
    except OSError as error:
        raise DataError(f"cannot read {file}: {(error.strerror or str(error)).lower()}; restore the file") from error


def _parsed(file: Path, lines: Iterable[bytes]) -> RecordedSplit:
    found: dict[str, set[bytes]] = {"train": set(), "validation": set()}
    for number, line in enumerate(lines, 1):
        try:
            split, _, _, digest = json.loads(line)
            key = bytes.fromhex(digest)
            found[split].add(key)
        except (ValueError, TypeError, KeyError) as error:
            raise _damaged(file, number) from error
        if len(key) != DIGEST_BYTES:
            raise _damaged(file, number)
    if not found["train"]:
        raise _damaged(file, 1)
    return RecordedSplit(frozenset(found["train"]), frozenset(found["validation"]))


def _damaged(file: Path, number: int) -> DataError:
    return DataError(
        f"{file}, line {number}, is damaged, so the training photos are unknown; restore the file, or give only the "
        "model file with --data"
    )
