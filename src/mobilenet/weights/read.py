"""Reads weights from other tools, from any supported kind of file."""

import hashlib
from dataclasses import replace
from pathlib import Path

from safetensors import SafetensorError, safe_open

from mobilenet.errors import ModelError
from mobilenet.weights.layers import ForeignNetwork
from mobilenet.weights.match import Imported, Triple, recognise

__all__ = ["import_weights"]

_HUB = "hf://"
_OWN_ENTRY = "mobilenet"
"""Key of the metadata in this tool's model files."""

_UNDERSTOOD = "a TFLite file, a Keras HDF5 file, a safetensors file of timm's, or hf://OWNER/REPOSITORY"

_LARGEST_HEADER = 10**8
"""Bytes; the limit of the safetensors package itself."""

_LONGEST_LABELS = 2**24
"""Bytes of a label file."""


def import_weights(
    source: str | Path,
    *,
    labels: Path | None = None,
    resolution: int | None = None,
    mean: Triple | None = None,
    std: Triple | None = None,
) -> Imported:
    """Read a file, or download `hf://…` and read that; arguments override what the file says.

    `labels`: a file of class names, one per line. `mean` and `std` in pixel values, for R, G and B. ModelError names
    what is not understood.
    """
    names = None if labels is None else _read_labels(labels)
    path = _local(str(source))
    kind, network = _read(path)
    found = recognise(network, labels=names, resolution=resolution, mean=mean, std=std)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    shown = str(source) if str(source).startswith(_HUB) else path.name
    notes = [*found.label_notes, *found.notes]
    provenance = {"source": {"file": shown, "kind": kind, "sha256": digest}, "notes": notes}
    return replace(found, card=replace(found.card, provenance=provenance))


def _local(source: str) -> Path:
    if source.startswith(_HUB):
        from mobilenet.weights.hub import fetch

        return fetch(source)
    path = Path(source)
    if not path.is_file():
        fault = "is a folder" if path.is_dir() else "does not exist" if not path.exists() else "is not a file"
        raise ModelError(f"{source} {fault}; give {_UNDERSTOOD}")
    return path


def _read(path: Path) -> tuple[str, ForeignNetwork]:
    """The kind of file, by its first bytes, and what is in it; each reader is imported where it is needed."""
    with path.open("rb") as file:
        start = file.read(16)
    if start[4:8] == b"TFL3":
        from mobilenet.weights.tflite.read import read_tflite

        return "TFLite", read_tflite(path)
    if start.startswith(b"\x89HDF\r\n\x1a\n"):
        from mobilenet.weights.keras.read import read_keras

        return "Keras HDF5", read_keras(path)
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= _LARGEST_HEADER:
        from mobilenet.weights.timm.read import read_timm

        _refuse_own(path)
        return "timm safetensors", read_timm(path)
    raise ModelError(f"{path} is not a supported weight file; give {_UNDERSTOOD}")


def _refuse_own(path: Path) -> None:
    """ModelError for a file that this tool wrote: there is nothing to import."""
    try:
        with safe_open(str(path), "numpy") as file:
            own = _OWN_ENTRY in (file.metadata() or {})
    except (OSError, SafetensorError):
        return
    if own:
        raise ModelError(
            f"{path} is already a model of this tool; use it directly with mobilenet predict, evaluate or train"
        )


def _read_labels(path: Path) -> tuple[str, ...]:
    try:
        with path.open("rb") as file:
            content = file.read(_LONGEST_LABELS + 1)
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise ModelError(f"the label file {path} cannot be read: {(error.strerror or str(error)).lower()}") from error
    except UnicodeDecodeError as error:
        raise ModelError(f"the label file {path} is not UTF-8; save it as UTF-8, one name per line") from error
    if len(content) > _LONGEST_LABELS:
        raise ModelError(f"the label file {path} is larger than {_LONGEST_LABELS:,} bytes; give one name per line")
    return tuple(line.strip() for line in text.strip().splitlines())
