"""Reads weights from other tools, from any supported kind of file."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from safetensors import SafetensorError, safe_open

from mobilenet.errors import ModelError
from mobilenet.runs.folder import MODEL
from mobilenet.weights.detector import recognise_detector
from mobilenet.weights.families import family
from mobilenet.weights.labels import read_labels, without_numbers
from mobilenet.weights.layers import ForeignNetwork
from mobilenet.weights.match import Imported, Triple, recognise
from mobilenet.weights.other_files import describe_file, describe_folder

__all__ = ["import_backbone", "import_weights"]

_HUB = "hf://"
_OWN_ENTRY = "mobilenet"
"""Key of the metadata in this tool's model files."""

_UNDERSTOOD = "a TFLite file, a Keras HDF5 file, a safetensors file of timm's, or hf://OWNER/REPOSITORY"

_LARGEST_HEADER = 10**8
"""Bytes; the limit of the safetensors package itself."""


def import_weights(
    source: str | Path,
    *,
    labels: Path | None = None,
    resolution: int | None = None,
    mean: Triple | None = None,
    std: Triple | None = None,
) -> Imported:
    """Read a file, or download `hf://…` and read that; arguments override what the file says.

    `labels`: a file of class names, one per line, numbered or not. `mean` and `std` in pixel values, for R, G and B.
    The card is that of a plain classifier, whatever its `ending` (`tasks.card_ending_in`). ModelError names what is not
    understood.
    """
    names, notes = (None, ()) if labels is None else without_numbers(read_labels(labels))
    path = _local(str(source))
    kind = _kind(path)
    found, fault = _recognised(kind, path, labels=names, resolution=resolution, mean=mean, std=std)
    if fault is not None:
        raise ModelError(f"{fault}; its backbone can be trained with mobilenet train DATA --weights {source}")
    return _with_provenance(replace(found, label_notes=(*notes, *found.label_notes)), str(source), path, kind)


def import_backbone(source: str | Path) -> Imported:
    """As `import_weights`, for training: layers after the backbone that are not a classifier are left out, with a note.

    ModelError names what is not understood in the backbone.
    """
    path = _local(str(source))
    kind = _kind(path)
    found, fault = _recognised(kind, path)
    if fault is not None:
        reason = fault.removeprefix(f"{path}: ")
        note = f"only the backbone of {path.name} is used, as its head is not a classifier that can be read: {reason}"
        found = replace(found, notes=(note, *found.notes))
    return _with_provenance(found, str(source), path, kind)


def _recognised(
    kind: str,
    path: Path,
    *,
    labels: tuple[str, ...] | None = None,
    resolution: int | None = None,
    mean: Triple | None = None,
    std: Triple | None = None,
) -> tuple[Imported, str | None]:
    """The network, or its layers before a head that is not a classifier, and the fault of that; ModelError, which
    begins with that fault, if those are not a backbone either."""
    with _naming_families(kind, path):
        network = _read(kind, path)
        fault = network.head_fault
        try:
            if network.detector is not None:
                found = recognise_detector(
                    network, network.detector, labels=labels, resolution=resolution, mean=mean, std=std
                )
                return found, None
            names = labels if fault is None else None
            return recognise(network, labels=names, resolution=resolution, mean=mean, std=std), fault
        except ModelError as error:
            if fault is None:
                raise
            reason = str(error).removeprefix(f"{network.source}: ")
            raise ModelError(f"{fault}; nor can the layers before it be used: {reason}") from error


@contextmanager
def _naming_families(kind: str, path: Path) -> Iterator[None]:
    """Errors about a file of a MobileNet V2 or V3, or an EfficientNet, say that it is one."""
    try:
        yield
    except ModelError as error:
        name = family(kind, path)
        if name is None:
            raise
        raise ModelError(f"{path} is {name}; only MobileNet V1 can be imported") from error


def _with_provenance(found: Imported, source: str, path: Path, kind: str) -> Imported:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    shown = source if source.startswith(_HUB) else path.name
    notes = [*found.label_notes, *found.notes]
    provenance = {"source": {"file": shown, "kind": kind, "sha256": digest}, "notes": notes}
    return replace(found, card=replace(found.card, provenance=provenance))


def _local(source: str) -> Path:
    """The path of a file, or of what `hf://…` names, downloaded; ModelError says what to give instead."""
    if source.startswith(_HUB):
        from mobilenet.weights.hub import fetch

        return fetch(source)
    path = Path(source)
    if path.is_dir() and (what := describe_folder(path)):
        raise ModelError(f"{source} is {what}")
    if (path / MODEL).is_file():
        raise ModelError(f"{source} is a folder; give {path / MODEL}")
    if not path.is_file():
        fault = "is a folder" if path.is_dir() else "does not exist" if not path.exists() else "is not a file"
        raise ModelError(f"{source} {fault}; give {_UNDERSTOOD}")
    return path


def _kind(path: Path) -> str:
    """The kind of file, by its first bytes; ModelError for one that is not read says what it is."""
    with path.open("rb") as file:
        start = file.read(512)
    if start[4:8] == b"TFL3":
        return "TFLite"
    if start.startswith(b"\x89HDF\r\n\x1a\n"):
        return "Keras HDF5"
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= _LARGEST_HEADER:
        return "timm safetensors"
    what = describe_file(path, start)
    raise ModelError(f"{path} is {what}" if what else f"{path} is not a supported weight file; give {_UNDERSTOOD}")


def _read(kind: str, path: Path) -> ForeignNetwork:
    """What is in a file of this kind; each reader is imported where it is needed."""
    match kind:
        case "TFLite":
            from mobilenet.weights.tflite.read import read_tflite

            return read_tflite(path)
        case "Keras HDF5":
            from mobilenet.weights.keras.read import read_keras

            return read_keras(path)
    from mobilenet.weights.timm.read import read_timm

    _refuse_own(path)
    return read_timm(path)


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
