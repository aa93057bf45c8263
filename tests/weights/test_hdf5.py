"""Each way in which an HDF5 file can reach beyond its plain numbers, planted into a small file."""

import re
import struct
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from mobilenet.errors import ModelError
from mobilenet.weights.keras.hdf5 import open_hdf5

_SHAPE = (256, 5)
_KERNEL = "model_weights/dense/kernel:0"


def _read(path: Path) -> np.ndarray:
    with open_hdf5(path) as file:
        return file.read("dense/kernel:0")


def _write(path: Path, **kwargs: Any) -> Path:
    with h5py.File(path, "w", **kwargs) as file:
        file.attrs["model_config"] = "{}"
        file[_KERNEL] = np.arange(1280, dtype="f4").reshape(_SHAPE)
    return path


def _replace(file: h5py.File, **kwargs: Any) -> None:
    del file[_KERNEL]
    file.create_dataset(_KERNEL, **kwargs)


def _soft_link(file: h5py.File) -> None:
    del file[_KERNEL]
    file[_KERNEL] = h5py.SoftLink("/model_weights/conv1")


def _external_link(file: h5py.File) -> None:
    del file["model_weights/dense"]
    file["model_weights/dense"] = h5py.ExternalLink("other.h5", "/dense")


def _linked_root(file: h5py.File) -> None:
    del file["model_weights"]
    file["model_weights"] = h5py.ExternalLink("other.h5", "/model_weights")


def _virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout(_SHAPE, "f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", _SHAPE)
    del file[_KERNEL]
    file.create_virtual_dataset(_KERNEL, layout)


def _loop(file: h5py.File) -> None:
    file["model_weights/dense/again"] = file["model_weights"]


def _named_type(file: h5py.File) -> None:
    file["model_weights/dense/type"] = np.dtype("f4")


_FLOATS = np.zeros(_SHAPE, "f4")
_DAMAGE: dict[str, tuple[Callable[[h5py.File], None], str]] = {
    "a soft link": (_soft_link, "link to /model_weights/conv1; links are not followed"),
    "an external link": (_external_link, "link to other.h5; links are not followed"),
    "an external link at the root": (_linked_root, "model_weights is a link to other.h5; links are not followed"),
    "a virtual data set": (_virtual, "dense/kernel:0 (256, 5) is stored in another file"),
    "external storage": (
        lambda file: _replace(file, shape=_SHAPE, dtype="f4", external=[("other.bin", 0, 5120)]),
        "dense/kernel:0 (256, 5) is stored in another file",
    ),
    "a group in itself": (_loop, "its groups do not end"),
    "a type": (_named_type, "dense/type is neither a group nor an array"),
    "a compound": (lambda file: _replace(file, data=np.zeros(_SHAPE, "f4,i4")), "(256, 5) has type"),
    "integers": (
        lambda file: _replace(file, data=np.zeros(_SHAPE, "i4")),
        "dense/kernel:0 (256, 5) has type int32",
    ),
    "texts": (lambda file: _replace(file, data=["a"] * 5), "dense/kernel:0 (5,) has type object"),
    "five dimensions": (
        lambda file: _replace(file, data=np.zeros((1, 1, 1, 1, 1))),
        "that does not occur in a MobileNet",
    ),
    "no dimension at all": (lambda file: _replace(file, data=h5py.Empty("f4")), "damaged"),
    "a shape without numbers": (lambda file: _replace(file, shape=_SHAPE, dtype="f4"), "only 0 bytes of them"),
    "a huge shape": (
        lambda file: _replace(file, shape=(1 << 40, 1 << 20), dtype="f4", chunks=(1, 1)),
        "exceed four times the size of the file",
    ),
    "huge chunks": (
        lambda file: _replace(file, data=_FLOATS, maxshape=(None, None), chunks=(1 << 14, 1 << 10), compression=1),
        "is stored in chunks (16384, 1024), larger than four times the file",
    ),
    "a filter that may be a plug-in": (
        lambda file: _replace(file, data=_FLOATS, compression="lzf"),
        "compressed with filter 32000; use deflate, shuffle, fletcher32",
    ),
    "not finite": (
        lambda file: _replace(file, data=np.full(_SHAPE, np.nan, "f4")),
        "(256, 5) contains values that are not",
    ),
    "too large for float32": (lambda file: _replace(file, data=np.full(_SHAPE, 1e300)), "values that are not finite"),
    "no text": (lambda file: file.attrs.__setitem__("model_config", np.zeros(3)), "its model_config is not text"),
    "no JSON": (lambda file: file.attrs.__setitem__("model_config", "{"), "damaged"),
    "deep JSON": (lambda file: file.attrs.__setitem__("model_config", "[" * 100_000), "damaged"),
    "long JSON": (lambda file: file.attrs.__setitem__("model_config", " " * 2_000_000), "2,000,000 bytes"),
    "a list": (lambda file: file.attrs.__setitem__("model_config", "[]"), "not an object but list"),
}


@pytest.mark.parametrize(("damage", "message"), _DAMAGE.values(), ids=_DAMAGE.keys())
def test_what_is_not_plain_numbers_is_refused(
    tmp_path: Path, damage: Callable[[h5py.File], None], message: str
) -> None:
    path = _write(tmp_path / "model.h5")
    with h5py.File(path, "r+") as file:
        damage(file)
    tracemalloc.start()
    with pytest.raises(ModelError, match=re.escape(message)) as caught:
        _read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * path.stat().st_size + (16 << 20)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_link_to_another_file_is_not_followed_where_that_file_is_there(tmp_path: Path) -> None:
    _write(tmp_path / "other.h5")
    path = _write(tmp_path / "model.h5")
    with h5py.File(path, "r+") as file:
        _linked_root(file)
    with pytest.raises(ModelError, match="links are not followed"):
        _read(path)


@pytest.mark.parametrize(
    "packing", [{}, {"compression": "gzip", "shuffle": True, "fletcher32": True}, {"chunks": (8, 5)}]
)
@pytest.mark.parametrize("kind", ["<f2", "<f4", ">f4", "<f8"])
def test_plain_numbers_are_read_as_float32(tmp_path: Path, packing: dict[str, Any], kind: str) -> None:
    values = np.linspace(-1, 1, 1280).reshape(_SHAPE).astype(kind)
    path = _write(tmp_path / "model.h5")
    with h5py.File(path, "r+") as file:
        _replace(file, data=values, **packing)
    assert _read(path).dtype == np.float32
    np.testing.assert_array_equal(_read(path), values.astype("f4"))


def test_one_array_is_not_read_so_often_that_memory_fills(tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    with h5py.File(path, "w") as file:
        file["a"] = np.zeros(100_000, "f4")
        for number in range(8):
            file[f"b{number}"] = file["a"]
    with open_hdf5(path) as opened:
        first, *names, last = opened.shapes
        for name in (first, *names[:3]):
            opened.read(name)
        with pytest.raises(ModelError, match="four times the size of the file"):
            opened.read(last)


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "file.h5"
    path.write_bytes(b"PK\3\4 a zip file")
    with pytest.raises(ModelError, match="it is not an HDF5 file"):
        _read(path)
    with pytest.raises(ModelError, match="it is not an HDF5 file"):
        _read(_write(tmp_path / "block.h5", userblock_size=512))
    with pytest.raises(ModelError, match="No such file"):
        _read(tmp_path / "nothing.h5")
    whole = _write(path).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="damaged"):
        _read(path)


@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [
        (8, 1 << 40, "extend beyond the end of the file"),
        (8, 20_000, "do not fill their heap"),
        (24, 1 << 40, "do not fill their heap"),
        # Wraps around in 64 bits, to a step of 0 and of 16 bytes.
        (24, (1 << 64) - 16, "do not fill their heap"),
        (24, (1 << 64) - 1, "do not fill their heap"),
    ],
)
def test_a_damaged_heap_of_text_is_found_first(tmp_path: Path, offset: int, value: int, message: str) -> None:
    path = _write(tmp_path / "model.h5")
    content = bytearray(path.read_bytes())
    heap = content.index(b"GCOL")
    content[heap + offset : heap + offset + 8] = value.to_bytes(8, "little")
    path.write_bytes(content.ljust(heap + 30_000, b"\0"))
    with pytest.raises(ModelError, match=message):
        _read(path)


def test_heaps_inside_one_another_are_counted_once(tmp_path: Path) -> None:
    path = _write(tmp_path / "model.h5")
    content, pairs = bytearray(path.read_bytes()), 50_000
    for number in range(pairs):
        heap = b"GCOL\1\0\0\0" + struct.pack("<Q", 32 * (pairs - number))
        content += heap + struct.pack("<HHIQ", 1, 0, 0, 16)
    path.write_bytes(content + bytes(16))
    with pytest.raises(ModelError, match="do not fill their heap"):
        _read(path)


def test_heaps_that_hdf5_writes_are_read(tmp_path: Path) -> None:
    path = _write(tmp_path / "model.h5")
    random = np.random.default_rng(0)
    with h5py.File(path, "r+") as file:
        for number in range(200):
            file.attrs[f"text{number % 20}"] = "x" * int(random.integers(1, 9000))
    assert _read(path).shape == _SHAPE


def test_without_h5py_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ModelError, match=r"which needs h5py to read; pip install 'mobilenet\[train\]'"):
        _read(tmp_path / "model.h5")
