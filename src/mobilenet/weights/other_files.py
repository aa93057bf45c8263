"""What a file that holds no weights that this tool reads is, judged by its first bytes, and what to do about it."""

import re
import zipfile
import zlib
from pathlib import Path

from mobilenet.weights.families import family_of_names

__all__ = ["describe_file", "describe_folder"]

_PICKLE = (
    "a PyTorch checkpoint, a pickle, which can run code and is never opened; in PyTorch, save its weights with "
    "safetensors.torch.save_file(model.state_dict(), 'model.safetensors')"
)
_SAVED_MODEL = "convert it with tf.lite.TFLiteConverter.from_saved_model(FOLDER)"
_ARCHIVE = "a compressed archive; unpack it and give the file of weights in it"
_ONNX = "an ONNX file, which cannot be imported; give the weights that it was made from, as TFLite, HDF5 or safetensors"
_PHOTO = "a photo, not weights"

_STARTS: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs", "a git-lfs pointer, not the file itself; fetch that with git lfs pull"),
    (b"<!doctype html", "a web page, not weights; download the file itself"),
    (b"<html", "a web page, not weights; download the file itself"),
    (b"<?xml", "an XML file, such as OpenVINO's, without weights; give the model that it was made from"),
    (b"\x1f\x8b", _ARCHIVE),
    (b"BZh", _ARCHIVE),
    (b"\xfd7zXZ", _ARCHIVE),
    (b"7z\xbc\xaf", _ARCHIVE),
    (b"Rar!", _ARCHIVE),
    (b"\x80\x02", _PICKLE),
    (b"\x80\x03", _PICKLE),
    (b"\x80\x04", _PICKLE),
    (b"\x80\x05", _PICKLE),
    (b"\x93NUMPY", "a NumPy array, without the layers of a network; save the whole model"),
    (b"GGUF", "a GGUF file of a language model"),
    (b"\xff\xd8\xff", _PHOTO),
    (b"\x89PNG", _PHOTO),
    (b"{", "a JSON file, which describes a model without its weights; give the file of weights"),
)
"""In lower case where that is text; a remedy follows after the semicolon."""

_ENDINGS = {
    ".onnx": _ONNX,
    ".pb": f"a TensorFlow graph; {_SAVED_MODEL} of its folder",
    ".mlmodel": "a Core ML model; give the model that it was made from",
    ".caffemodel": "a Caffe model; give a TFLite, Keras or timm one",
    ".bin": "a file of bare weights, such as a pickle of PyTorch or OpenVINO's; give it as safetensors",
    ".index": f"a TensorFlow checkpoint; save the whole model, and {_SAVED_MODEL}",
    ".meta": f"a TensorFlow checkpoint; save the whole model, and {_SAVED_MODEL}",
    ".ckpt": f"a TensorFlow checkpoint; save the whole model, and {_SAVED_MODEL}",
}
"""For formats without a mark at their beginning."""

_SEARCHED = 1 << 22
"""Bytes of a file that are searched for names of layers."""

_NAMES = re.compile(rb"[\w./:]{5,200}")


def describe_file(path: Path, start: bytes) -> str | None:
    """`an ONNX file …; what to do`, for a file that begins with `start`, 512 bytes if it has them; with the name of the
    network if that is one this tool does not read. None for a file of no known kind."""
    if not start:
        return "empty; download or save it again"
    if start.startswith(b"PK\x03\x04"):
        return _zip(path)
    lower = start.lstrip().lower()
    found = next((what for mark, what in _STARTS if start.startswith(mark) or lower.startswith(mark)), None)
    if found is None and start[257:262] == b"ustar":
        found = _ARCHIVE
    if found is None and _is_onnx(start):
        found = _ONNX
    found = found or _ENDINGS.get(path.suffix.lower())
    return _named(found, _beginning(path)) if found in {_ONNX, _PICKLE} else found


def describe_folder(path: Path) -> str | None:
    """As `describe_file`, for a folder."""
    if (path / "saved_model.pb").is_file():
        return f"a TensorFlow SavedModel; {_SAVED_MODEL.replace('FOLDER', repr(str(path)))}"
    if path.suffix == ".mlpackage":
        return _ENDINGS[".mlmodel"]
    return None


def _is_onnx(start: bytes) -> bool:
    """Protobuf without a mark of its own: ONNX begins with its version, then the name of what wrote it or the graph."""
    return start[0] == 8 and start[1] < 32 and start[2:3] in {b"\x12", b"\x1a", b"\x22", b"\x3a", b"\x42"}


def _zip(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()[:10_000]
            if "config.json" in names and any(name.endswith("weights.h5") for name in names):
                return _named(
                    "a .keras file of Keras 3, which is not read; save it as HDF5 with model.save('model.h5')",
                    _member(archive, "config.json"),
                )
            pickle = next((name for name in names if name.endswith("data.pkl")), None)
            if pickle is not None:
                return _named(_PICKLE, _member(archive, pickle))
            if names and all(name.endswith(".npy") for name in names):
                return "a NumPy archive, without the layers of a network; save the whole model"
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError):
        return "a zip archive that is damaged; download or save it again"
    return _ARCHIVE


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as file:
        return file.read(_SEARCHED)


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_SEARCHED)


def _named(what: str, content: bytes) -> str:
    """`what`, or with the name of a network that is not read instead of its remedy, by the names of layers in it."""
    found = family_of_names(b" ".join(_NAMES.findall(content)).decode("utf-8", "replace"))
    if found is None:
        return what
    return f"{what.split(';', 1)[0].split(',', 1)[0]} of {found}; only MobileNet V1 can be imported"
