"""The writer of each format of exported files."""

from pathlib import Path
from typing import Protocol

from mobilenet.files import atomic_write
from mobilenet.model.graph import Graph, QuantizedGraph
from mobilenet.model.suppression import Suppression
from mobilenet.runtimes.c_file import SUFFIX, header_of
from mobilenet.runtimes.engines import Plan

__all__ = ["WRITERS", "Writer", "write_beside"]


class Writer(Protocol):
    """What writes files of one format."""

    def __call__(
        self,
        graph: Graph | QuantizedGraph,
        batch: int | None,
        suppression: Suppression | None = None,
        name: str = "network",
        plan: Plan = "speed",
        /,
    ) -> bytes:
        """The bytes of a file for `batch` photos at once, None for any number where a format can say so; with a
        `suppression` it returns boxes, otherwise the network's outputs. `name` and `plan` are those of C files."""


def _onnx(
    graph: Graph | QuantizedGraph, batch: int | None, suppression: Suppression | None = None, *_of_c: str
) -> bytes:
    # The packages of a format are imported only when it is written.
    from mobilenet.export.onnx.model import onnx_model

    return onnx_model(graph, batch=batch, suppression=suppression)


def _litert(
    graph: Graph | QuantizedGraph, _batch: int | None, suppression: Suppression | None = None, *_of_c: str
) -> bytes:
    from mobilenet.export.litert.model import litert_model

    return litert_model(graph, suppression)


def _c(
    graph: Graph | QuantizedGraph,
    _batch: int | None,
    suppression: Suppression | None = None,
    name: str = "network",
    plan: Plan = "speed",
    /,
) -> bytes:
    from mobilenet.export.c.model import c_model

    return c_model(graph, suppression, name, plan)


WRITERS: dict[str, Writer] = {"onnx": _onnx, "litert": _litert, "c": _c}
"""By the names in `runtimes.engines.FORMATS`."""


def write_beside(file: Path) -> None:
    """Write what belongs beside an exported file: the header of a C file. StorageError if it cannot be written."""
    if file.suffix == SUFFIX:
        with atomic_write(file.with_suffix(".h")) as header:
            header.write(header_of(file.read_bytes()))
