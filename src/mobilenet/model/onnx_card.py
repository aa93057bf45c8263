"""What the engines that run `.onnx` files have in common: the bytes, proven whole; the card in them; batches."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.errors import ModelError
from mobilenet.model.card import ModelCard
from mobilenet.model.outputs import Output
from mobilenet.model.seal import check_seal

__all__ = ["CARD_ENTRY", "check_answers", "in_batches", "one_line", "read_card", "read_sealed"]

CARD_ENTRY = "mobilenet"
"""Key in the file's metadata; its value is the card's JSON."""

_LARGEST_FILE = 2**31
"""Bytes; a protobuf's own limit."""


def read_sealed(path: Path) -> bytes:
    """The bytes of a `.onnx` file; ModelError unless they are, to the bit, what was written by this tool.

    The engines are C++ and trust their files, so they get these very bytes and never the path.
    """
    try:
        size = path.stat().st_size
        if size > _LARGEST_FILE:
            raise ModelError(f"{path} has {size:,} bytes, more than an ONNX file can have; give another")
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error
    check_seal(data, path)
    return data


def read_card(metadata: Mapping[str, str], path: Path) -> ModelCard:
    """The card in the metadata that an engine found in the file; ModelError, with `path`, where there is none."""
    if CARD_ENTRY not in metadata:
        raise ModelError(f"{path} does not say what it is; write it again with mobilenet export")
    try:
        return ModelCard.from_json(metadata[CARD_ENTRY])
    except ModelError as error:
        raise ModelError(f"{path} {error}") from error


def check_answers(found: Sequence[tuple[str, tuple[int, ...]]], card: ModelCard, path: Path) -> None:
    """ModelError, with `path`, unless the file's outputs, (name, shape for one photo), are those that its card says."""
    wanted = [(output.name, output.shape) for output in card.outputs]
    if list(found) != wanted:
        raise ModelError(f"{path} answers with {found}, its card says {wanted}; write it again with mobilenet export")


def in_batches(
    images: NDArray[np.uint8],
    batch: int,
    outputs: Sequence[Output],
    run: Callable[[NDArray[np.uint8]], Sequence[NDArray[Any]]],
) -> dict[str, NDArray[Any]]:
    """(N, R, R, 3) uint8 -> each of `outputs` by its name, (N, *shape), by calls of `run` with exactly `batch` images
    each; the last is filled up. `run` gives the arrays in the order of `outputs`.

    Files for any number of images get one at a time: the planes of one stay in the processor's cache, those of a batch
    do not.
    """
    if len(images) == batch:
        # One photo alone is what a device does all day: nothing is copied on its way.
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
    """What an engine said, for the end of a message."""
    return " ".join(str(error).split())[:200]
