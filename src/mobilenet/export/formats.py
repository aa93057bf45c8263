"""The writer of each format of exported files."""

from typing import Protocol

from mobilenet.model.graph import Graph, QuantizedGraph
from mobilenet.model.suppression import Suppression

__all__ = ["WRITERS", "Writer"]


class Writer(Protocol):
    """What writes files of one format."""

    def __call__(
        self, graph: Graph | QuantizedGraph, batch: int | None, suppression: Suppression | None = None, /
    ) -> bytes:
        """The bytes of a file for `batch` photos at once, None for any number where a format can say so; with a
        `suppression` it returns boxes, otherwise the network's outputs."""


def _onnx(graph: Graph | QuantizedGraph, batch: int | None, suppression: Suppression | None = None, /) -> bytes:
    # The packages of a format are imported only when it is written.
    from mobilenet.export.onnx.model import onnx_model

    return onnx_model(graph, batch=batch, suppression=suppression)


def _litert(graph: Graph | QuantizedGraph, _batch: int | None, suppression: Suppression | None = None, /) -> bytes:
    from mobilenet.export.litert.model import litert_model

    return litert_model(graph, suppression)


WRITERS: dict[str, Writer] = {"onnx": _onnx, "litert": _litert}
"""By the names in `runtimes.engines.FORMATS`."""
