"""The state of a run on disk, to resume from: the last few checkpoints, each a safetensors file and a JSON file.

A checkpoint exists once its JSON file does, which is renamed into place last, so a run that is stopped at any moment
leaves the old checkpoints, with or without the new one. The JSON file has digests of the tensors and of itself, in a
canonical form: a flipped bit in either file is detected, and the previous checkpoint is used.
"""

import contextlib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from mobilenet.errors import ModelError, StorageError
from mobilenet.files import atomic_write, storage_errors

__all__ = ["Checkpoint", "Checkpoints"]

_TENSORS, _STATE = ".safetensors", ".json"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What was saved: `fields` are JSON values; `damaged` has one line about each newer, damaged checkpoint."""

    fields: dict[str, Any]
    tensors: dict[str, Tensor]
    damaged: tuple[str, ...] = ()


class _DamageError(Exception):
    """Why a checkpoint cannot be used."""


class Checkpoints:
    """The checkpoints of one run in `folder`: numbered files, of which the last `keep` are kept."""

    def __init__(self, folder: Path, keep: int) -> None:
        self._folder, self._keep = folder, keep
        self._damaged: set[int] = set()

    def __bool__(self) -> bool:
        """Whether there is a checkpoint to load, damaged or not."""
        return bool(self._numbers())

    def save(self, fields: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Write a checkpoint of JSON values and tensors (...,), any shape and dtype, then remove all but the last few.
        StorageError leaves the others as they were, and nothing of this one.
        """
        data = save({name: value.contiguous() for name, value in tensors.items()})
        with storage_errors(self._folder):
            number = max(self._numbers(), default=0) + 1
        checksums = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        try:
            with atomic_write(self._path(number, _TENSORS)) as file:
                file.write(data)
            with atomic_write(self._path(number, _STATE)) as file:
                file.write(_spell({"fields": fields, "tensors": checksums}))
        except StorageError:
            for ending in (_STATE, _TENSORS):
                with contextlib.suppress(OSError):
                    self._path(number, ending).unlink(missing_ok=True)
            raise
        self._remove_old()

    def load(self) -> Checkpoint | None:
        """The newest intact checkpoint; None if there is none yet. ModelError if all are damaged."""
        damaged: list[str] = []
        for number in reversed(self._numbers()):
            try:
                fields, tensors = self._read(number)
            except _DamageError as error:
                self._damaged.add(number)
                damaged.append(f"{self._path(number, _STATE)} is damaged: {error}")
            else:
                return Checkpoint(fields, tensors, tuple(damaged))
        if damaged:
            raise ModelError(f"no checkpoint is intact: {'; '.join(damaged)}; start a new run")
        return None

    def tidy(self) -> None:
        """Remove what a process killed in the middle of a save has left behind."""
        with storage_errors(self._folder):
            for part in self._folder.glob(".*.part"):
                part.unlink(missing_ok=True)
        self._remove_orphans()

    def _path(self, number: int, ending: str) -> Path:
        return self._folder / f"{number:06d}{ending}"

    def _numbers(self, ending: str = _STATE) -> list[int]:
        # Not by glob, which takes an unreadable folder for an empty one.
        paths = self._folder.iterdir() if self._folder.exists() else ()
        return sorted(int(path.stem) for path in paths if path.suffix == ending and path.stem.isdecimal())

    def _read(self, number: int) -> tuple[dict[str, Any], dict[str, Tensor]]:
        try:
            text = self._path(number, _STATE).read_bytes()
            document = json.loads(text)
            fields, checksums = document["fields"], document["tensors"]
            if text != _spell({"fields": fields, "tensors": checksums}):
                raise _DamageError("its checksum differs")
            data = self._path(number, _TENSORS).read_bytes()
            if len(data) != checksums["bytes"]:
                raise _DamageError(f"{len(data):,} bytes of tensors, expected {checksums['bytes']:,}")
            if hashlib.sha256(data).hexdigest() != checksums["sha256"]:
                raise _DamageError("the checksum of its tensors differs")
            return fields, load(data)
        except OSError as error:
            raise _DamageError((error.strerror or str(error)).lower()) from error
        except (ValueError, KeyError, TypeError, RecursionError, SafetensorError) as error:
            raise _DamageError("it cannot be parsed") from error

    def _remove_old(self) -> None:
        with storage_errors(self._folder):
            whole = [number for number in self._numbers() if number not in self._damaged]
            for number in {*whole[: -self._keep], *self._damaged}:
                for ending in (_STATE, _TENSORS):
                    self._path(number, ending).unlink(missing_ok=True)
        self._damaged.clear()
        self._remove_orphans()

    def _remove_orphans(self) -> None:
        """Remove tensors without a JSON file."""
        with storage_errors(self._folder):
            for number in set(self._numbers(_TENSORS)) - set(self._numbers()):
                self._path(number, _TENSORS).unlink(missing_ok=True)


def _spell(document: dict[str, Any]) -> bytes:
    """The canonical form of a document: its values in their order, and their digest."""
    text = json.dumps(document, separators=(",", ":"))
    signed = {**document, "checksum": hashlib.sha256(text.encode()).hexdigest()}
    return json.dumps(signed, separators=(",", ":")).encode()
