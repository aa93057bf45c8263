"""Cross-layer equalisation: channels of one tensor share 8-bit steps, so they are scaled to about the same range.

If a layer is followed by ReLU, multiplying a channel's filter and bias by f and the next layer's weights for that
channel by 1 / f changes nothing in real numbers (Nagel et al. 2019, section 4.1), but a small channel gets more steps.
Filters have steps of their own for each output channel, so the first layer loses nothing, and nor does a depthwise
layer after it: in front of it every channel is scaled to the whole range. A pointwise layer has steps for each of its
outputs, shared by all input channels, so the two layers are balanced instead.

Only channels that a single layer reads, directly or through a pool, and that are not part of an output are scaled.

ReLU6 clips at 6: a channel that reaches 6 is left unchanged, and no other is scaled beyond it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mobilenet.model.graph import ConcatNode, ConvNode, Graph, LinearNode, Node, PoolNode
from mobilenet.quantize.ranges import Observed

__all__ = ["equalised"]

_MOST = 32.0
"""The largest factor by which a channel is scaled up or down: one that is almost always zero is noise."""

_CUT = 6.0

Floats = NDArray[np.float32]


def equalised(graph: Graph, observed: Mapping[str, Observed]) -> Graph:
    """A graph that computes the same in real numbers, on photos like those of `observed`."""
    nodes: dict[str, Node] = {node.name: node for node in graph.nodes}
    shown = {row for output in graph.card.outputs for row in output.rows}
    for node in graph.nodes:
        reader = _reader(graph.nodes, node.name, shown)
        changed = nodes[node.name]
        if not isinstance(changed, ConvNode) or reader is None:
            continue
        factors = _factors(changed, nodes[reader], observed[node.name])
        scaled = (changed.filters * factors[:, None, None, None], changed.bias * factors)
        nodes[node.name] = replace(changed, filters=scaled[0], bias=scaled[1])
        nodes[reader] = _undone(nodes[reader], factors)
    return replace(graph, nodes=tuple(nodes.values()))


def _reader(nodes: Sequence[Node], name: str, shown: Collection[str]) -> str | None:
    """The only reader of this node, looking through a pool, if it has weights; otherwise None."""
    readers = [node for node in nodes if name in node.inputs]
    if name in shown or len(readers) != 1 or isinstance(readers[0], ConcatNode):
        return None
    return _reader(nodes, readers[0].name, shown) if isinstance(readers[0], PoolNode) else readers[0].name


def _factors(node: ConvNode, reader: Node, observed: Observed) -> Floats:
    """(out,) factor of each channel."""
    if node.activation == "none":
        return np.ones(len(node.bias), np.float32)
    high = np.maximum(observed.channel_high, 1e-12).astype(np.float64)
    if isinstance(reader, ConvNode) and reader.depthwise:
        factors = high.max() / high
    else:
        wanted = np.sqrt(high * _use(reader, len(high)))
        factors = wanted / wanted.max() * high.max() / high
    factors = np.clip(factors, 1 / _MOST, _MOST)
    if node.activation == "relu6":
        # At least 1: a smaller channel would be clipped at a different value.
        factors = np.where(high >= _CUT, 1.0, np.clip(factors, 1.0, _CUT / high))
    result: Floats = factors.astype(np.float32)
    return result


def _use(reader: Node, channels: int) -> NDArray[np.float64]:
    """(channels,) largest weight of the reading layer for each of its input channels."""
    match reader:
        case ConvNode():
            found = np.abs(reader.filters).max((0, 2, 3))
        case LinearNode():
            found = np.abs(_by_channel(reader, channels)).max((0, 1))
        case PoolNode() | ConcatNode():
            raise TypeError(f"{reader.name} has no weights")
    use: NDArray[np.float64] = np.maximum(found, 1e-12).astype(np.float64)
    return use


def _undone(reader: Node, factors: Floats) -> Node:
    match reader:
        case ConvNode(depthwise=True):
            return replace(reader, filters=reader.filters / factors[:, None, None, None])
        case ConvNode():
            return replace(reader, filters=reader.filters / factors[None, :, None, None])
        case LinearNode():
            return replace(reader, matrix=(_by_channel(reader, len(factors)) / factors).reshape(reader.matrix.shape))
        case PoolNode() | ConcatNode():
            return reader


def _by_channel(reader: LinearNode, channels: int) -> Floats:
    """The matrix as (out, pixels, channels): a plane is read pixel by pixel."""
    return reader.matrix.reshape(len(reader.matrix), -1, channels)
