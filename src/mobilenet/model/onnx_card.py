"""What the engines that run `.onnx` files share: reading the verified bytes, the card in them, batching."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.errors import ModelError
from mobilenet.model.card import ModelCard
from mobilenet.model.outputs import Output
from mobilenet.model.seal import check_seal, has_seal

__all__ = ["CARD_ENTRY", "check_answers", "in_batches", "one_line", "read_card", "read_sealed"]

CARD_ENTRY = "mobilenet"
"""Key of the card's JSON in the file's metadata."""

_LARGEST_FILE = 2**31
"""Bytes; the limit of protobuf."""


def read_sealed(path: Path) -> bytes:
    """The bytes of a `.onnx` file; ModelError unless they are bit for bit what this tool wrote.

    The engines are C++ and trust their input, so they are given these very bytes and never the path.
    """
    try:
        size = path.stat().st_size
        if size > _LARGEST_FILE:
            raise ModelError(f"{path} has {size:,} bytes, more than an ONNX file can have; use another file")
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error
    if not has_seal(data):
        raise ModelError(
            f"{path} is an ONNX file of another tool, or is damaged; import the TFLite, HDF5 or safetensors file that "
            "it was made from: mobilenet import FILE --out model.safetensors"
        )
    check_seal(data, path)
    return data


def read_card(metadata: Mapping[str, str], path: Path) -> ModelCard:
    """The card in the metadata that an engine read from the file; ModelError, naming `path`, if there is none."""
    if CARD_ENTRY not in metadata:
        raise ModelError(f"{path} has no model card; write it again with mobilenet export")
    try:
        return ModelCard.from_json(metadata[CARD_ENTRY])
    except ModelError as error:
        raise ModelError(f"{path} {error}") from error


def check_answers(found: Sequence[tuple[str, tuple[int, ...]]], card: ModelCard, path: Path) -> None:
    """ModelError, naming `path`, unless the file's outputs, (name, shape for one photo), are those of its card."""
    wanted = [(output.name, output.shape) for output in card.outputs]
    if list(found) != wanted:
        raise ModelError(f"{path} has outputs {found}, its card says {wanted}; write it again with mobilenet export")


def in_batches(
    images: NDArray[np.uint8],
    batch: int,
    outputs: Sequence[Output],
    run: Callable[[NDArray[np.uint8]], Sequence[NDArray[Any]]],
) -> dict[str, NDArray[Any]]:
    """(N, R, R, 3) uint8 -> each of `outputs` by name, (N, *shape), from calls of `run` with exactly `batch` images
    each; the last batch is padded. `run` returns the arrays in the order of `outputs`.

    Files that take any number of images get one at a time: the planes of one image stay in the processor's cache, those
    of a batch do not.
    """
    if len(images) == batch:
        # A single photo is the usual case on a device: it is passed on without a copy.
        made = run(np.ascontiguousarray(images))
        return {output.name: values for output, values in zip(outputs, made, strict=True)}
    answers = {output.name: np.empty((len(images), *output.shape), np.float32) for output in outputs}
    for start in range(0, len(images), batch):
        part = np.ascontiguousarray(images[start : start + batch])
        missing = batch - len(part)
        whole = np.concatenate([part, np.zeros((missing, *part.shape[1:]), np.uint8)]) if missing else part
        for answer, values in zip(answers.values(), run(whole), strict=True):
            answer[start : start + batch] = values[: len(part)]
    return answers


def one_line(error: Exception) -> str:
    """An engine's message on one line, to end a message of ours."""
    return " ".join(str(error).split())[:200]
