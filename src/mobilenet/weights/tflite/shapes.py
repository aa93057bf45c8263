"""Operators that compute shapes: TensorFlow 2 writes them before a RESHAPE, even where every shape is known."""

from mobilenet.weights.tflite.file import Graph, Operator

__all__ = ["is_shape"]

_KINDS = frozenset(
    {"ADD", "CAST", "CONCATENATION", "GATHER", "MUL", "PACK", "REDUCE_PROD", "SHAPE", "SLICE", "STRIDED_SLICE", "SUB"}
)
"""Kinds of operators that compute with shapes."""

_INTEGERS = frozenset({"INT32", "INT64"})


def is_shape(operator: Operator, graph: Graph) -> bool:
    """Whether it computes a shape or a part of one, from a shape or, a SHAPE, from any tensor."""
    if operator.kind not in _KINDS:
        return False
    made = [graph.tensors[number] for number in operator.outputs]
    given = [graph.tensors[number] for number in operator.inputs if number >= 0]
    if any(tensor.kind not in _INTEGERS or len(tensor.shape) > 1 for tensor in made):
        return False
    return operator.kind == "SHAPE" or all(tensor.kind in _INTEGERS for tensor in given)
