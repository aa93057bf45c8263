"""A network is a table of rows, from which everything else (cost, torch modules, export) is derived."""

from mobilenet.spec.mobilenet import mobilenet_v1, mobilenet_v1_head, mobilenet_v1_shallow, mobilenet_v1_standard
from mobilenet.spec.rows import (
    INPUT,
    Activation,
    Concat,
    Conv,
    ConvStyle,
    GlobalPool,
    Linear,
    Network,
    Padding,
    Pool,
    Row,
)

__all__ = [
    "INPUT",
    "Activation",
    "Concat",
    "Conv",
    "ConvStyle",
    "GlobalPool",
    "Linear",
    "Network",
    "Padding",
    "Pool",
    "Row",
    "mobilenet_v1",
    "mobilenet_v1_head",
    "mobilenet_v1_shallow",
    "mobilenet_v1_standard",
]
