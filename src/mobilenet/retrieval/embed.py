"""From the photos in a folder to a store of their vectors; a store that exists is brought up to date."""

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mobilenet.datasets.cache.eviction import default_directory, default_max_bytes, make_room, writing
from mobilenet.datasets.photos import LeftOut
from mobilenet.datasets.sources.folders import find_photos
from mobilenet.errors import ModelError
from mobilenet.model.outputs import Output
from mobilenet.retrieval.store import Row, Stamp, Store, opened
from mobilenet.runtimes.photos import predict_photos
from mobilenet.runtimes.predictor import Predictor, model_file

__all__ = ["Gallery", "gallery", "vector_output"]

_BLOCK_PHOTOS, _BLOCK_S = 1024, 20.0
"""Photos whose vectors are written together, and seconds after which those at hand are: what an interruption loses."""

Progress = Callable[[int, int], object]


@dataclass(frozen=True, slots=True, eq=False)
class Gallery:
    """The photos of a folder with their vectors in `store`: `files` (N names below `root`, in order) and `rows` (N,),
    the numbers of their rows. `computed` photos are new or changed, `gone` ones were there before."""

    root: Path
    store: Store
    files: tuple[str, ...]
    rows: NDArray[np.int64]
    left_out: tuple[LeftOut, ...]
    computed: int
    gone: int

    def vectors(self, start: int, stop: int) -> NDArray[np.float32]:
        """(M, D) those of the files from `start` to `stop`."""
        return self.store.vectors(self.rows[start:stop])


def vector_output(predictor: Predictor, model: object) -> Output:
    """The output of a model that is a vector of length 1; ModelError if there is none."""
    found = [output for output in predictor.card.outputs if output.ending == "l2" and len(output.shape) == 1]
    if len(found) != 1:
        raise ModelError(
            f"{model} is for {predictor.task} and gives no vectors; train one that does, or import a backbone: see "
            "docs/embedding.md"
        )
    return found[0]


@contextmanager
def gallery(
    model: Path,
    predictor: Predictor,
    folder: Path,
    *,
    index: Path | None = None,
    note: Callable[[str], object] | None = None,
    progress: Progress | None = None,
) -> Iterator[Gallery]:
    """The photos in a folder and below, with their vectors by `predictor`, which has opened `model`.

    They are kept in `index`, by default in the cache: only photos that are new or have changed are computed, and an
    interruption loses the last few at most; `note` says then how many are kept. DataError without photos, ModelError
    for a model without vectors, ConfigError for an index in use or of something else, StorageError.
    """
    output = vector_output(predictor, model)
    names = find_photos(folder, note)
    about = {"model": _digest(model_file(model)), "photos": str(folder.absolute())}
    cache = default_directory()
    place = index or cache / "vectors" / _key(about)
    with (
        writing(cache),
        opened(place, output.size, about) as store,
        _saying_what_is_kept(store, names, note or (lambda _: None)),
    ):
        before = set(store.entries)
        missing = [(name, stamp) for name in names if (stamp := _new(store, folder, name)) is not None]
        if index is None and missing:
            # A folder with more vectors than the whole cache may hold gets them all the same, while it is in use.
            make_room(cache, 4 * output.size * len(missing), default_max_bytes(cache), frozenset())
        _compute(store, predictor, output, folder, missing, progress or (lambda _done, _all: None))
        store.keep_only(names)
        entries = [store.entries[name] for name in names]
        found = [(name, entry.row) for name, entry in zip(names, entries, strict=True) if entry.reason is None]
        yield Gallery(
            folder,
            store,
            tuple(name for name, _ in found),
            np.array([row for _, row in found], np.int64),
            tuple(LeftOut(name, entry.reason) for name, entry in zip(names, entries, strict=True) if entry.reason),
            len(missing),
            len(before - set(names)),
        )


@contextmanager
def _saying_what_is_kept(store: Store, names: Sequence[str], note: Callable[[str], object]) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        entries = [store.entries[name] for name in names if name in store.entries]
        kept = sum(entry.reason is None for entry in entries)
        note(f"kept {kept:,} vectors of {len(names):,} photos; the same command resumes where it stopped")
        raise


def _new(store: Store, folder: Path, name: str) -> Stamp | None:
    """The state of a file that has no vector yet, or another one; None where its vector is known."""
    try:
        status = os.stat(folder / name)  # noqa: PTH116 - a million files
        stamp = (status.st_size, status.st_mtime_ns)
    except OSError:
        # It is named as one that cannot be read, and looked at again the next time.
        stamp = (-1, time.time_ns())
    known = store.entries.get(name)
    return None if known is not None and known.stamp == stamp else stamp


def _compute(
    store: Store,
    predictor: Predictor,
    output: Output,
    folder: Path,
    missing: Sequence[tuple[str, Stamp]],
    progress: Progress,
) -> None:
    rows: list[Row] = []
    wrote = time.monotonic()
    found = predict_photos(predictor, (folder / name for name, _ in missing))
    try:
        for done, ((name, stamp), photo) in enumerate(zip(missing, found, strict=True), 1):
            vector = None if photo.outputs is None else photo.outputs[output.name][0]
            rows.append(Row(name, stamp, vector, photo.reason))
            if len(rows) == _BLOCK_PHOTOS or time.monotonic() - wrote > _BLOCK_S:
                store.add(rows)
                rows, wrote = [], time.monotonic()
            progress(done, len(missing))
    finally:
        # Also where it is interrupted: what has been computed is kept.
        if rows:
            store.add(rows)


def _digest(file: Path) -> str:
    with file.open("rb") as opened_file:
        return hashlib.file_digest(opened_file, "sha256").hexdigest()


def _key(about: dict[str, str]) -> str:
    return hashlib.blake2b("\0".join(about.values()).encode(errors="surrogateescape"), digest_size=12).hexdigest()
