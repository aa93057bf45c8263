"""The writer of each format of exported files."""

from collections.abc import Callable

from mobilenet.model.graph import Graph, QuantizedGraph

__all__ = ["WRITERS", "Writer"]

Writer = Callable[[Graph | QuantizedGraph, int | None], bytes]
"""`write(graph, batch)` gives the bytes of a file for `batch` photos at once, None for any number where a format can
say so."""


def _onnx(graph: Graph | QuantizedGraph, batch: int | None) -> bytes:
    # The packages of a format are imported only when it is written.
    from mobilenet.export.onnx.model import onnx_model

    return onnx_model(graph, batch=batch)


def _litert(graph: Graph | QuantizedGraph, _batch: int | None) -> bytes:
    from mobilenet.export.litert.model import litert_model

    return litert_model(graph)


WRITERS: dict[str, Writer] = {"onnx": _onnx, "litert": _litert}
"""By the names in `runtimes.engines.FORMATS`."""
