"""Cross-layer equalisation: channels of one tensor that share 8-bit steps are brought to about the same size.

Where a layer is followed by ReLU, multiplying a channel's filter and bias by f and the next layer's use of that channel
by 1 / f changes nothing in real numbers (Nagel et al. 2019, section 4.1), but a channel that was small gets more steps.
Filters have steps of their own for each output channel, so the layer before loses nothing, and a depthwise layer behind
loses nothing either: in front of it every channel is brought to the whole range. A pointwise layer behind has steps for
each of its outputs, which all input channels share, so there the two are balanced.

ReLU6 cuts at 6: a channel that reaches 6 is left as it is, and no other is brought beyond it.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mobilenet.model.graph import ConvNode, Graph, LinearNode, Node, PoolNode
from mobilenet.quantize.ranges import Observed

__all__ = ["equalised"]

_MOST = 32.0
"""Times that a channel is enlarged or reduced at most: what is almost always zero is noise."""

_CUT = 6.0

Floats = NDArray[np.float32]


def equalised(graph: Graph, observed: Mapping[str, Observed]) -> Graph:
    """A graph that computes the same in real numbers, on photos like those that `observed` has seen."""
    nodes: list[Node] = list(graph.nodes)
    for number, node in enumerate(nodes):
        reader = _reader(nodes, number)
        if not isinstance(node, ConvNode) or reader is None:
            continue
        factors = _factors(node, nodes[reader], observed[node.name])
        scaled = (node.filters * factors[:, None, None, None], node.bias * factors)
        nodes[number] = replace(node, filters=scaled[0], bias=scaled[1])
        nodes[reader] = _undone(nodes[reader], factors)
    return replace(graph, nodes=tuple(nodes))


def _reader(nodes: list[Node], number: int) -> int | None:
    """The node with arrays that reads this one, through the pool as well."""
    later = [place for place in range(number + 1, len(nodes)) if not isinstance(nodes[place], PoolNode)]
    return later[0] if later else None


def _factors(node: ConvNode, reader: Node, observed: Observed) -> Floats:
    """(out,) what each channel is multiplied by."""
    if node.activation == "none":
        return np.ones(len(node.bias), np.float32)
    high = np.maximum(observed.channel_high, 1e-12).astype(np.float64)
    if isinstance(reader, ConvNode) and reader.depthwise:
        factors = high.max() / high
    else:
        wanted = np.sqrt(high * _use(reader))
        factors = wanted / wanted.max() * high.max() / high
    factors = np.clip(factors, 1 / _MOST, _MOST)
    if node.activation == "relu6":
        # from 1 on: a smaller channel would be cut at another place than before
        factors = np.where(high >= _CUT, 1.0, np.clip(factors, 1.0, _CUT / high))
    result: Floats = factors.astype(np.float32)
    return result


def _use(reader: Node) -> NDArray[np.float64]:
    """(channels,) the largest weight that the reading layer has for each of its input channels."""
    match reader:
        case ConvNode():
            found = np.abs(reader.filters).max((0, 2, 3))
        case LinearNode():
            found = np.abs(reader.matrix).max(0)
        case PoolNode():
            raise TypeError("a pool has no weights")
    use: NDArray[np.float64] = np.maximum(found, 1e-12).astype(np.float64)
    return use


def _undone(reader: Node, factors: Floats) -> Node:
    match reader:
        case ConvNode(depthwise=True):
            return replace(reader, filters=reader.filters / factors[:, None, None, None])
        case ConvNode():
            return replace(reader, filters=reader.filters / factors[None, :, None, None])
        case LinearNode():
            return replace(reader, matrix=reader.matrix / factors)
        case PoolNode():
            return reader
