"""The float arrays and the description inside a Keras HDF5 file, read within bounds.

HDF5 can link to other files, run plug-ins and declare arrays of any size; all of that is refused. Only hard links,
plain float arrays and the library's built-in filters are read, in at most four times the size of the file in memory.
"""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.errors import ModelError
from mobilenet.extras import pip_install
from mobilenet.weights.keras.hdf5_heap import check_heaps

__all__ = ["Hdf5File", "open_hdf5"]

_MAX_CONFIG_BYTES = 1 << 20
"""Twenty times the description of a MobileNet; JSON can take 30 times its size in memory."""

_MAX_DEPTH, _MAX_NODES, _MAX_MESSAGE = 8, 20_000, 600
_FILTERS = {1: "deflate", 2: "shuffle", 3: "fletcher32"}
"""IDs of the supported filters; any other may be a plug-in, which is code."""

_DAMAGE = (
    *(OSError, RuntimeError, KeyError, ValueError, TypeError, IndexError, AttributeError),
    *(MemoryError, OverflowError, RecursionError, SystemError),
)
"""What h5py raises on a damaged file, depending on where the damage is."""


class Hdf5File:
    """An open file: `config` is its description, if it has one, `shapes` the shape of each array by its path.

    Paths are relative to `model_weights`, or to the root of a file without it; `groups` are the names on that level.
    """

    def __init__(self, root: Any, size: int) -> None:
        self.config = _config(root)
        weights = _child(root, "model_weights") if "model_weights" in set(root) else root
        self.groups = tuple(weights)
        self._arrays = dict(_arrays(weights))
        self.shapes: Mapping[str, tuple[int, ...]] = {path: tuple(array.shape) for path, array in self._arrays.items()}
        self._left = 4 * size

    def read(self, path: str) -> NDArray[np.float32]:
        """One array as float32, of its shape in `shapes`, such as (height, width, in, out); ModelError if it is not a
        plain array of finite floats, or the arrays exceed the memory limit."""
        array = self._arrays[path]
        count = math.prod(self.shapes[path])
        label = f"{path} {self.shapes[path]}"
        _check_type(array, label)
        self._left -= 4 * count
        if self._left < 0:
            raise ModelError(f"{label} and the arrays before it exceed four times the size of the file")
        _check_storage(array, count, self._left + 4 * count, label)
        with np.errstate(over="ignore"):
            values: NDArray[np.float32] = np.asarray(array[()]).astype(np.float32)
        if not np.isfinite(values).all():
            raise ModelError(f"{label} contains values that are not finite")
        return values


@contextmanager
def open_hdf5(path: Path) -> Iterator[Hdf5File]:
    """Open a file; any failure until it is closed is a ModelError that starts with the file's name."""
    try:
        import h5py
    except ImportError as error:
        raise ModelError(f"{path} is a Keras file, which needs h5py to read; {pip_install('h5py')}") from error
    try:
        check_heaps(path)
        with h5py.File(path, "r", locking=False) as root:
            yield Hdf5File(root, path.stat().st_size)
    except ModelError as error:
        raise ModelError(f"{path}: {' '.join(str(error)[:_MAX_MESSAGE].split())}") from error
    except _DAMAGE as error:
        reason = " ".join(str(error)[:_MAX_MESSAGE].split()) or type(error).__name__
        raise ModelError(f"{path} is not a Keras HDF5 file, or is damaged: {reason}") from error


def _config(root: Any) -> dict[str, Any] | None:
    """The `model_config` of the root, None for a file with only weights."""
    import h5py

    if "model_config" not in root.attrs:
        return None
    attribute = root.attrs.get_id("model_config")
    if attribute.shape != () or h5py.check_string_dtype(attribute.dtype) is None:
        raise ModelError(f"its model_config is not text but {attribute.dtype} of shape {attribute.shape}")
    text = root.attrs["model_config"]
    if len(text) > _MAX_CONFIG_BYTES:
        raise ModelError(f"its model_config has {len(text):,} bytes; the limit is {_MAX_CONFIG_BYTES:,}")
    config = json.loads(text)
    if not isinstance(config, dict):
        raise ModelError(f"its model_config is not an object but {type(config).__name__}")
    return config


def _arrays(weights: Any) -> Iterator[tuple[str, Any]]:
    """Every array below a group with its path; ModelError if groups contain themselves."""
    import h5py

    waiting = [("", weights)]
    visited = 0
    while waiting:
        prefix, group = waiting.pop()
        for name in group:
            visited += 1
            path = f"{prefix}{name}"
            if visited > _MAX_NODES or path.count("/") > _MAX_DEPTH:
                raise ModelError(f"its groups do not end at {path[:200]}; the limit is {_MAX_NODES:,} names")
            node = _child(group, name)
            if isinstance(node, h5py.Group):
                waiting.append((f"{path}/", node))
            elif isinstance(node, h5py.Dataset):
                yield path, node
            else:
                raise ModelError(f"{path} is neither a group nor an array")


def _child(group: Any, name: str) -> Any:
    """The target of a hard link; soft and external links, which lead elsewhere, are never followed."""
    import h5py

    link = group.get(name, getlink=True)
    if not isinstance(link, h5py.HardLink):
        target = getattr(link, "filename", None) or getattr(link, "path", "unknown")
        raise ModelError(f"{name} is a link to {target}; links are not followed; save the model as one file")
    return group[name]


def _check_type(array: Any, label: str) -> None:
    if array.dtype.kind != "f" or array.dtype.itemsize not in {2, 4, 8}:
        raise ModelError(f"{label} has type {array.dtype}; float16, float32 and float64 are supported")
    if len(array.shape) > 4 or 0 in array.shape:
        raise ModelError(f"{label} has a shape that does not occur in a MobileNet")


def _check_storage(array: Any, count: int, budget: int, label: str) -> None:
    """ModelError unless the values are in this file and take at most `budget` bytes to unpack."""
    import h5py

    layout = array.id.get_create_plist()
    if array.is_virtual or array.external:
        raise ModelError(f"{label} is stored in another file; save the model as one file")
    numbers = [layout.get_filter(index)[0] for index in range(layout.get_nfilters())]
    if unknown := sorted(set(numbers) - set(_FILTERS)):
        raise ModelError(f"{label} is compressed with filter {unknown[0]}; use {', '.join(_FILTERS.values())}")
    if layout.get_layout() == h5py.h5d.CHUNKED and math.prod(array.chunks) * array.dtype.itemsize > budget:
        raise ModelError(f"{label} is stored in chunks {array.chunks}, larger than four times the file")
    stored = array.id.get_storage_size()
    if stored < (1 if numbers else count * array.dtype.itemsize):
        raise ModelError(f"{label} declares {count:,} values, but the file has only {stored:,} bytes of them")
