"""The kinds of files that are exported: what writes each, and which engine proves it."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

from mobilenet.model.graph import Graph, QuantizedGraph

__all__ = ["FORMATS", "Format"]


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file: its suffix, the engine that proves it, what writes it, and the package that writing needs.

    `write(graph, batch)` gives the bytes of a file for `batch` photos at once, None for any number where a format can
    say so.
    """

    suffix: str
    runtime: str
    write: Callable[["Graph | QuantizedGraph", int | None], bytes]
    package: str

    @property
    def writable(self) -> bool:
        """Whether the package that writing needs is installed; it is not imported for that."""
        return find_spec(self.package) is not None


def _onnx(graph: Graph | QuantizedGraph, batch: int | None) -> bytes:
    # The packages of a format are needed by those alone who write it.
    from mobilenet.export.onnx.model import onnx_model

    return onnx_model(graph, batch=batch)


def _litert(graph: Graph | QuantizedGraph, _batch: int | None) -> bytes:
    from mobilenet.export.litert.model import litert_model

    return litert_model(graph)


FORMATS = {
    "onnx": Format(".onnx", "onnxruntime", _onnx, "onnx"),
    "litert": Format(".tflite", "litert", _litert, "tflite"),
}
