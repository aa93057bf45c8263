"""The vectors of a gallery as one file for other tools: NumPy's or Parquet."""

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from mobilenet.errors import ConfigError
from mobilenet.extras import pip_install
from mobilenet.files import atomic_path, atomic_write
from mobilenet.retrieval.embed import Gallery

__all__ = ["check_format", "list_beside", "write_vectors"]

_SUFFIXES = (".parquet", ".npy")
_AT_ONCE = 8192


def check_format(out: Path) -> None:
    """ConfigError unless a file of this name can be written here: its ending is known, and its package installed."""
    suffix = out.suffix.lower()
    if suffix not in _SUFFIXES:
        raise ConfigError(f"{out} ends in {out.suffix or 'nothing'!r}; use {' or '.join(_SUFFIXES)}")
    if suffix == ".parquet" and find_spec("pyarrow") is None:
        raise ConfigError(f"{out} needs pyarrow; {pip_install('pyarrow')}, or write a .npy file")


def list_beside(out: Path) -> Path:
    """The file with the names of the photos, beside one of NumPy's, which has none."""
    return out.with_name(f"{out.name}.json")


def write_vectors(gallery: Gallery, out: Path, progress: Callable[[int, int], object] | None = None) -> None:
    """Write `out`, a block at a time and completely or not at all; ConfigError for another ending, StorageError.

    Parquet has the columns file_name and vector, a list of D float32. NumPy's is (N, D) float32, with a list beside it
    of the N names.
    """
    check_format(out)
    tell = progress or (lambda _done, _all: None)
    if out.suffix.lower() == ".npy":
        _write_npy(gallery, out, tell)
    else:
        _write_parquet(gallery, out, tell)


def _write_npy(gallery: Gallery, out: Path, tell: Callable[[int, int], object]) -> None:
    photos = len(gallery.files)
    with atomic_path(out) as path:
        shape = (photos, gallery.store.dimensions)
        with path.open("wb") as file:
            np.lib.format.write_array_header_1_0(
                file, {"descr": np.lib.format.dtype_to_descr(np.dtype("<f4")), "fortran_order": False, "shape": shape}
            )
            for start in range(0, photos, _AT_ONCE):
                file.write(gallery.vectors(start, start + _AT_ONCE).astype("<f4").tobytes())
                tell(min(start + _AT_ONCE, photos), photos)
        # Both are complete before either takes its place, first the list: whoever finds vectors finds their names.
        with atomic_write(list_beside(out)) as file:
            left_out = [{"file": photo.file, "reason": photo.reason} for photo in gallery.left_out]
            document = {"root": str(gallery.root), "files": gallery.files, "left_out": left_out}
            file.write(json.dumps(document).encode("ascii"))


def _write_parquet(gallery: Gallery, out: Path, tell: Callable[[int, int], object]) -> None:
    # An optional package.
    import pyarrow as pa
    import pyarrow.parquet as pq

    photos, dimensions = len(gallery.files), gallery.store.dimensions
    schema = pa.schema([("file_name", pa.string()), ("vector", pa.list_(pa.float32(), dimensions))])
    with atomic_path(out) as path, pq.ParquetWriter(path, schema) as writer:
        for start in range(0, photos, _AT_ONCE):
            block = gallery.vectors(start, start + _AT_ONCE)
            vectors = pa.FixedSizeListArray.from_arrays(pa.array(block.reshape(-1)), dimensions)
            # Names may hold bytes that are not UTF-8, which Parquet's do not.
            names = [
                name.encode("utf-8", "backslashreplace").decode() for name in gallery.files[start : start + _AT_ONCE]
            ]
            writer.write_table(pa.Table.from_arrays([pa.array(names, pa.string()), vectors], schema=schema))
            tell(min(start + _AT_ONCE, photos), photos)
