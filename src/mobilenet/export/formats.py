"""The formats of exported files: the writer of each, and the engine that verifies it."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

from mobilenet.model.graph import Graph, QuantizedGraph

__all__ = ["FORMATS", "Format"]


@dataclass(frozen=True, slots=True)
class Format:
    """A file format: its suffix, the engine that verifies it, its writer, and the package that writing needs.

    `write(graph, batch)` returns the bytes of a file for batches of `batch` photos, None for any size if the format
    supports it.
    """

    suffix: str
    runtime: str
    write: Callable[["Graph | QuantizedGraph", int | None], bytes]
    package: str

    @property
    def writable(self) -> bool:
        """Whether the package that writing needs is installed; does not import it."""
        return find_spec(self.package) is not None


def _onnx(graph: Graph | QuantizedGraph, batch: int | None) -> bytes:
    # The packages of a format are imported only when it is written.
    from mobilenet.export.onnx.model import onnx_model

    return onnx_model(graph, batch=batch)


def _litert(graph: Graph | QuantizedGraph, _batch: int | None) -> bytes:
    from mobilenet.export.litert.model import litert_model

    return litert_model(graph)


FORMATS = {
    "onnx": Format(".onnx", "onnxruntime", _onnx, "onnx"),
    "litert": Format(".tflite", "litert", _litert, "tflite"),
}
