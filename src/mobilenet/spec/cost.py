"""The cost of a network on a device: mult-adds, parameters and bytes, by layer, by kind of layer and in total.

One multiply-accumulate is one mult-add; convolutions and linear layers are counted, for one image. Bytes are those of
an exported file at inference: batch norm is folded into the convolution before it.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import prod
from typing import Literal

from mobilenet.spec.rows import INPUT, Concat, Conv, GlobalPool, Linear, Network, Pool, Row
from mobilenet.spec.shapes import Shape, kernel_sides, output_shapes, sources

__all__ = ["Cost", "Kind", "KindCost", "LayerCost", "cost", "layer_mult_adds", "layer_params", "layer_weights"]

Kind = Literal["standard", "pointwise", "depthwise", "linear", "pool", "concat"]
"""`depthwise`: one filter per channel; `pointwise`: 1 × 1; `standard`: every other convolution."""

_KINDS: tuple[Kind, ...] = ("pointwise", "depthwise", "standard", "linear", "pool", "concat")


@dataclass(frozen=True, slots=True)
class LayerCost:
    """One row: `params` are `weights` + batch-norm scale and shift + biases.

    Weight bytes count the weights and one bias per output channel (batch norm folded): all float32; or int8 weights,
    with an int32 bias and a float32 scale per output channel.
    Activation bytes are those live while the row runs: its inputs, its output, and what later rows still read. The
    image is always uint8; every other tensor is float32 or int8. Nothing is computed in place; padding takes no memory.
    """

    name: str
    kind: Kind
    output_shape: Shape
    mult_adds: int
    params: int
    weights: int
    weight_bytes_float32: int
    weight_bytes_int8: int
    activation_bytes_float32: int
    activation_bytes_int8: int


@dataclass(frozen=True, slots=True)
class KindCost:
    """All rows of one kind; shares (0 to 1) of the network's mult-adds and of its weights (Table 2)."""

    kind: Kind
    mult_adds: int
    mult_adds_share: float
    weights: int
    weights_share: float
    params: int


@dataclass(frozen=True, slots=True)
class Cost:
    """A network and the cost of its rows."""

    network: Network
    layers: tuple[LayerCost, ...]

    @property
    def mult_adds(self) -> int:
        """Multiply-accumulates for one image."""
        return sum(layer.mult_adds for layer in self.layers)

    @property
    def params(self) -> int:
        """Trainable parameters: weights, batch-norm scale and shift, biases."""
        return sum(layer.params for layer in self.layers)

    @property
    def weights(self) -> int:
        """Weights, excluding norms and biases."""
        return sum(layer.weights for layer in self.layers)

    @property
    def weight_bytes_float32(self) -> int:
        """Bytes of folded float32 weights and biases."""
        return sum(layer.weight_bytes_float32 for layer in self.layers)

    @property
    def weight_bytes_int8(self) -> int:
        """Bytes of int8 weights with an int32 bias and a float32 scale per output channel."""
        return sum(layer.weight_bytes_int8 for layer in self.layers)

    @property
    def peak_activation_bytes_float32(self) -> int:
        """Peak bytes live at once when rows run in order, activations in float32."""
        return max(layer.activation_bytes_float32 for layer in self.layers)

    @property
    def peak_activation_bytes_int8(self) -> int:
        """Peak bytes live at once when rows run in order, activations in int8."""
        return max(layer.activation_bytes_int8 for layer in self.layers)

    def by_kind(self) -> tuple[KindCost, ...]:
        """The kinds that have mult-adds, in a fixed order."""
        kinds = (self._of_kind(kind) for kind in _KINDS)
        return tuple(kind for kind in kinds if kind.mult_adds)

    def to_json(self) -> dict[str, object]:
        """Totals, the network's hyperparameters, and shares by kind, as one JSON object."""
        network = self.network
        return {
            "mult_adds": self.mult_adds,
            "params": self.params,
            "weights": self.weights,
            "weight_bytes_float32": self.weight_bytes_float32,
            "weight_bytes_int8": self.weight_bytes_int8,
            "peak_activation_bytes_float32": self.peak_activation_bytes_float32,
            "peak_activation_bytes_int8": self.peak_activation_bytes_int8,
            "architecture": network.name,
            "width_multiplier": network.width_multiplier,
            "resolution": network.resolution,
            "classes": network.classes,
            "by_kind": [asdict(kind) for kind in self.by_kind()],
        }

    def layers_to_json(self) -> list[dict[str, object]]:
        """One JSON object per row, in order; `output_shape` is [height, width, channels]."""
        return [asdict(layer) for layer in self.layers]

    def _of_kind(self, kind: Kind) -> KindCost:
        layers = [layer for layer in self.layers if layer.kind == kind]
        mult_adds, weights = sum(layer.mult_adds for layer in layers), sum(layer.weights for layer in layers)
        params = sum(layer.params for layer in layers)
        # A network with any kind to list has a row with weights.
        shares = mult_adds / max(self.mult_adds, 1), weights / max(self.weights, 1)
        return KindCost(kind, mult_adds, shares[0], weights, shares[1], params)


def cost(network: Network) -> Cost:
    """The cost of every row; SpecError if the rows do not fit together."""
    shapes = output_shapes(network.rows, network.resolution)
    live_float32 = _live_bytes(network.rows, shapes, bytes_per_value=4)
    live_int8 = _live_bytes(network.rows, shapes, bytes_per_value=1)
    layers = (
        _layer_cost(row, shapes[row.name], float32, int8)
        for row, float32, int8 in zip(network.rows, live_float32, live_int8, strict=True)
    )
    return Cost(network, tuple(layers))


def layer_mult_adds(row: Row, output: Shape) -> int:
    """Multiply-accumulates for one image: each output value of a row takes one per weight of its filter."""
    match row:
        case Conv() | Linear():
            return prod(output[:2]) * layer_weights(row)
        case Pool() | GlobalPool() | Concat():
            return 0


def layer_weights(row: Row) -> int:
    """Weights, excluding batch norm and biases."""
    match row:
        case Conv():
            return row.out_channels * (row.in_channels // row.groups) * prod(kernel_sides(row))
        case Linear():
            return row.out_features * row.in_features
        case Pool() | GlobalPool() | Concat():
            return 0


def layer_params(row: Row) -> int:
    """Weights, batch-norm scale and shift, biases."""
    match row:
        case Conv():
            return layer_weights(row) + row.out_channels * (2 * row.batch_norm + row.bias)
        case Linear():
            return layer_weights(row) + row.out_features * row.bias
        case Pool() | GlobalPool() | Concat():
            return 0


def _layer_cost(row: Row, output: Shape, live_float32: int, live_int8: int) -> LayerCost:
    weights, biases, scales = layer_weights(row), _folded_biases(row), _outputs(row)
    return LayerCost(
        name=row.name,
        kind=_kind(row),
        output_shape=output,
        mult_adds=layer_mult_adds(row, output),
        params=layer_params(row),
        weights=weights,
        weight_bytes_float32=4 * (weights + biases),
        weight_bytes_int8=weights + 4 * (biases + scales),
        activation_bytes_float32=live_float32,
        activation_bytes_int8=live_int8,
    )


def _kind(row: Row) -> Kind:
    match row:
        case Conv():
            if row.groups == row.in_channels > 1:
                return "depthwise"
            return "pointwise" if kernel_sides(row) == (1, 1) else "standard"
        case Linear():
            return "linear"
        case Pool() | GlobalPool():
            return "pool"
        case Concat():
            return "concat"


def _folded_biases(row: Row) -> int:
    match row:
        case Conv():
            return row.out_channels if row.bias or row.batch_norm else 0
        case Linear():
            return row.out_features if row.bias else 0
        case Pool() | GlobalPool() | Concat():
            return 0


def _outputs(row: Row) -> int:
    match row:
        case Conv():
            return row.out_channels
        case Linear():
            return row.out_features
        case Pool() | GlobalPool() | Concat():
            return 0


def _live_bytes(rows: Sequence[Row], shapes: dict[str, Shape], bytes_per_value: int) -> list[int]:
    """For each row the bytes live while it runs; a tensor is freed after the last row that reads it."""
    size = {name: prod(shape) * (1 if name == INPUT else bytes_per_value) for name, shape in shapes.items()}
    last_reader = {name: number for number, names in enumerate(sources(rows)) for name in names}
    alive, live_bytes = {INPUT}, []
    for number, row in enumerate(rows):
        alive.add(row.name)
        live_bytes.append(sum(size[name] for name in alive))
        alive = {name for name in alive if last_reader.get(name, -1) > number}
    return live_bytes
