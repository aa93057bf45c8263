"""Model files of other tools, run on random numbers.

Their inputs are what the file says, and nothing is known of what they compute: only speed and memory can be measured.
The engines trust such a file, which has no seal; if that crashes one, it is in the process of that file alone.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.errors import ModelError
from mobilenet.model.seal import has_seal

__all__ = ["ForeignModel", "is_foreign", "open_foreign"]

_LARGEST_INPUT = 2**31
"""Bytes."""

_ORIGIN = (
    "is a file of another tool: its speed and memory are measured on random numbers, and its answers are not checked"
)

Arrays = Sequence[NDArray[Any]]


@dataclass(frozen=True, slots=True)
class ForeignModel:
    """`run` computes all outputs for one set of inputs; `resolution` is the side of a square photo as the only input,
    in pixels, else None; `remarks` are about the file."""

    run: Callable[[], object]
    resolution: int | None
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Input:
    """What a file says of an input; None for a side that it leaves open."""

    name: str
    shape: tuple[int | None, ...]
    kind: str


def is_foreign(path: Path) -> bool:
    """Whether it is a TFLite or ONNX file without this tool's seal: of another tool, or too damaged to tell."""
    suffix = path.suffix.lower()
    if suffix not in {".tflite", ".onnx"} or not path.is_file():
        return False
    data = path.read_bytes()
    return not has_seal(data) and (suffix == ".onnx" or data[4:8] == b"TFL3")


def open_foreign(path: Path, runtime: str, threads: int) -> ForeignModel:
    """Open it with one of the engines for its suffix; ModelError if that cannot run it, or for inputs that cannot be
    filled: sides other than the first that are left open, and types other than float32, uint8 and int8."""
    opened, start = _OPENERS[runtime](path, threads)
    arrays, remarks = _random(opened, path)
    return ForeignModel(start(arrays), _resolution(arrays), (_ORIGIN, *remarks))


_Opened = tuple[list[_Input], Callable[[Arrays], Callable[[], object]]]
"""The inputs of a file, and what makes a function that runs it of their values."""


def _litert(path: Path, threads: int) -> _Opened:
    from mobilenet.runtimes.litert import interpreter

    try:
        engine = interpreter(path.read_bytes(), threads)
    except (ValueError, RuntimeError) as error:
        raise _refused("LiteRT", path, error) from error
    details = engine.get_input_details()
    inputs = [
        _Input(
            str(end["name"]),
            tuple(None if sign < 0 else int(side) for sign, side in zip(_signature(end), end["shape"], strict=True)),
            np.dtype(end["dtype"]).name,
        )
        for end in details
    ]
    given, made = [int(end["index"]) for end in details], [int(end["index"]) for end in engine.get_output_details()]

    def start(arrays: Arrays) -> Callable[[], object]:
        def run() -> object:
            for index, values in zip(given, arrays, strict=True):
                engine.set_tensor(index, values)
            engine.invoke()
            return [engine.get_tensor(index) for index in made]

        return run

    return inputs, start


def _signature(end: dict[str, Any]) -> Sequence[int]:
    """The shape of a tensor with -1 for sides left open; empty in the engine for a file without any."""
    found = end["shape_signature"]
    return [int(side) for side in (found if len(found) == len(end["shape"]) else end["shape"])]


def _onnxruntime(path: Path, threads: int) -> _Opened:
    from mobilenet.runtimes.onnxruntime import REFUSALS, session

    try:
        engine = session(path.read_bytes(), threads)
    except REFUSALS as error:
        raise _refused("ONNX Runtime", path, error) from error
    kinds = {"tensor(float)": "float32", "tensor(uint8)": "uint8", "tensor(int8)": "int8"}
    inputs = [
        _Input(
            end.name,
            tuple(side if isinstance(side, int) else None for side in end.shape),
            kinds.get(end.type, end.type),
        )
        for end in engine.get_inputs()
    ]

    def start(arrays: Arrays) -> Callable[[], object]:
        feeds = {given.name: values for given, values in zip(inputs, arrays, strict=True)}
        return lambda: engine.run(None, feeds)

    return inputs, start


def _openvino(path: Path, threads: int) -> _Opened:
    from mobilenet.runtimes.openvino import compiled, read

    try:
        model = read(path.read_bytes())
    except RuntimeError as error:
        raise _refused("OpenVINO", path, error) from error
    kinds = {"f32": "float32", "u8": "uint8", "i8": "int8"}
    inputs = [
        _Input(
            end.get_any_name(),
            tuple(None if side.is_dynamic else side.get_length() for side in end.get_partial_shape()),
            kinds.get(end.get_element_type().get_type_name(), end.get_element_type().get_type_name()),
        )
        for end in model.inputs
    ]

    def start(arrays: Arrays) -> Callable[[], object]:
        try:
            model.reshape({number: list(values.shape) for number, values in enumerate(arrays)})
            request = compiled(model, threads).create_infer_request()
        except RuntimeError as error:
            raise _refused("OpenVINO", path, error) from error
        places = [tensor.data for tensor in request.input_tensors]
        made = [tensor.data for tensor in request.output_tensors]

        def run() -> object:
            for place, values in zip(places, arrays, strict=True):
                place[...] = values
            request.infer()
            return [values.copy() for values in made]

        return run

    return inputs, start


_OPENERS: dict[str, Callable[[Path, int], _Opened]] = {
    "litert": _litert,
    "onnxruntime": _onnxruntime,
    "openvino": _openvino,
}


def _refused(engine: str, path: Path, error: Exception) -> ModelError:
    reason = " ".join(str(error).split())[:200]
    return ModelError(f"{engine} cannot run {path}: {reason}; measure the others without it")


def _random(inputs: Sequence[_Input], path: Path) -> tuple[list[NDArray[Any]], list[str]]:
    """Random numbers for each input, and a remark on each that leaves its first side open, which becomes 1."""
    arrays: list[NDArray[Any]] = []
    remarks = []
    random = np.random.default_rng(0)
    for given in inputs:
        shape = tuple(1 if side is None and place == 0 else side for place, side in enumerate(given.shape))
        fixed = [side for side in shape if side is not None]
        if len(fixed) < len(shape) or min(fixed, default=1) < 1 or 4 * math.prod(fixed) > _LARGEST_INPUT:
            shown = ", ".join("?" if side is None else str(side) for side in given.shape)
            raise ModelError(f"{path}: input {given.name} has shape ({shown}); export it with a fixed shape")
        if given.kind not in {"float32", "uint8", "int8"}:
            raise ModelError(f"{path}: input {given.name} has type {given.kind}; float32, uint8 and int8 are supported")
        if len(given.shape) > 0 and given.shape[0] is None:
            remarks.append(f"leaves the first side of its input {given.name} open; it is measured with 1")
        arrays.append(_numbers(random, tuple(fixed), given.kind))
    return arrays, remarks


def _numbers(random: np.random.Generator, shape: tuple[int, ...], kind: str) -> NDArray[Any]:
    if kind == "float32":
        return np.asarray(random.random(shape, np.float32))
    limits = np.iinfo(kind)
    return random.integers(limits.min, limits.max, shape, kind, endpoint=True)


def _resolution(arrays: Arrays) -> int | None:
    if len(arrays) != 1:
        return None
    match arrays[0].shape:
        case (_, int() as height, int() as width, 3) if height == width:
            return height
        case (_, 3, int() as height, int() as width) if height == width:
            return height
    return None
