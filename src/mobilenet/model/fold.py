"""From a trained network to its inference graph: one node per row, batch norm folded into the filters before it."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from mobilenet.errors import ModelError
from mobilenet.model.card import ModelCard, check_outputs
from mobilenet.model.graph import Arrays, ConcatNode, ConvNode, Graph, LinearNode, Node, PoolNode
from mobilenet.spec.rows import INPUT, Concat, Conv, GlobalPool, Linear, Pool, Row
from mobilenet.spec.shapes import sources

__all__ = ["build_graph", "exported_rows", "on_centred_pixels"]


def build_graph(card: ModelCard, arrays: Arrays) -> Graph:
    """The graph of a trained network from the arrays of its model file, without the rows that no output needs.

    ModelError for a backbone, which has no outputs, for rows that cannot be exported, and if the arrays do not match
    the table.
    """
    if not card.outputs:
        raise ModelError("it has no classifier; train one on it with mobilenet train DATA --weights")
    wanted = {name for row in card.network().rows for name in _names(row)}
    if wanted != set(arrays):
        missing, unexpected = sorted(wanted - set(arrays))[:3], sorted(set(arrays) - wanted)[:3]
        raise ModelError(f"arrays do not match the table: missing: {missing}; unexpected: {unexpected}")
    return Graph(card, tuple(_node(row, arrays) for row in exported_rows(card)))


def exported_rows(card: ModelCard) -> tuple[Row, ...]:
    """The rows that the outputs need, in order, each with its `inputs` named explicitly.

    ModelError for a row that cannot be exported, SpecError if the rows do not fit together.
    """
    network = card.network()
    check_outputs(network, card.outputs)
    rows = [replace(row, inputs=names) for row, names in zip(network.rows, sources(network.rows), strict=True)]
    needed = {row for output in card.outputs for row in output.rows}
    for row in reversed(rows):
        if row.name in needed:
            needed.update(row.inputs)
    kept = tuple(row for row in rows if row.name in needed)
    vectors: set[str] = set()
    for row in kept:
        _check(row, vectors)
        if isinstance(row, GlobalPool | Linear) or (isinstance(row, Concat) and row.inputs[0] in vectors):
            vectors.add(row.name)
    return kept


def on_centred_pixels(graph: Graph) -> tuple[Node, ...]:
    """The nodes with 1 / std folded into the filters that read pixels, which then take pixel - mean: one pass over the
    photo fewer. Computed in float64, rounded once.

    The mean cannot be folded: padding is zero after normalisation, so it stands for the mean.
    """
    std = np.reshape(graph.card.preprocessing.std, (3, 1, 1))
    return tuple(_scaled(node, std) if INPUT in node.inputs else node for node in graph.nodes)


def _scaled(node: Node, std: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> ConvNode:
    if not isinstance(node, ConvNode) or node.depthwise:
        raise ModelError(
            f"row {node.name} reads the photo, which only a convolution over all channels can; use a mobilenet_v1"
        )
    return replace(node, filters=(node.filters / std).astype(np.float32))


def _check(row: Row, vectors: set[str]) -> None:
    """ModelError for a row that is never exported; `vectors` are the names of rows whose output is a vector."""
    if isinstance(row, Pool):
        raise ModelError(f"row {row.name} pools windows, which cannot be exported; use a Conv with a stride")
    if isinstance(row, Conv) and row.groups > 1 and not row.groups == row.in_channels == row.out_channels:
        raise ModelError(f"row {row.name} has {row.groups} groups; an exported Conv has one, or one per channel")
    if INPUT in row.inputs and not (isinstance(row, Conv) and row.groups == 1):
        raise ModelError(
            f"row {row.name} reads the photo, which only a convolution over all channels can; use a mobilenet_v1"
        )
    read = [name for name in row.inputs if name in vectors]
    if isinstance(row, Conv | GlobalPool) and read:
        raise ModelError(f"row {row.name} reads {read[0]}, which is a vector; use a Linear")
    if isinstance(row, Concat) and 0 < len(read) < len(row.inputs):
        raise ModelError(f"row {row.name} concatenates {read[0]}, a vector, with planes; concatenate like with like")


def _names(row: Row) -> Iterator[str]:
    match row:
        case Conv():
            yield f"{row.name}.conv.weight"
            if row.bias:
                yield f"{row.name}.conv.bias"
            if row.batch_norm:
                yield from (f"{row.name}.norm.{part}" for part in ("weight", "bias", "running_mean", "running_var"))
        case Linear():
            yield f"{row.name}.weight"
            if row.bias:
                yield f"{row.name}.bias"


def _node(row: Row, arrays: Arrays) -> Node:
    match row:
        case Conv():
            return _folded(row, arrays)
        case GlobalPool():
            return PoolNode(row.name, row.inputs)
        case Linear():
            bias = arrays[f"{row.name}.bias"] if row.bias else np.zeros(row.out_features, np.float32)
            return LinearNode(row.name, row.inputs, arrays[f"{row.name}.weight"], bias, row.activation)
        case Concat():
            return ConcatNode(row.name, row.inputs)
        case Pool():
            raise TypeError("exported_rows has no Pool")


def _folded(row: Conv, arrays: Arrays) -> ConvNode:
    """scale × (w * x + b - mean) / sqrt(variance + epsilon) + shift as one convolution; in float64, rounded once."""
    filters = arrays[f"{row.name}.conv.weight"].astype(np.float64)
    bias = arrays[f"{row.name}.conv.bias"].astype(np.float64) if row.bias else np.zeros(row.out_channels)
    if row.batch_norm:
        scale, shift, mean, variance = (
            arrays[f"{row.name}.norm.{part}"].astype(np.float64)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        factor = scale / np.sqrt(variance + row.epsilon)
        filters, bias = filters * factor[:, None, None, None], (bias - mean) * factor + shift
    floats = filters.astype(np.float32), bias.astype(np.float32)
    return ConvNode(row.name, row.inputs, *floats, row.stride, row.groups, row.padding, row.activation)
