"""From the table to torch: one module per row, named after the row."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from mobilenet.errors import SpecError
from mobilenet.model.card import classifier_output
from mobilenet.model.outputs import Output
from mobilenet.nn.layers import Concatenation, Convolution, ConvUnit, GlobalAverage, LinearUnit, in_reading_order
from mobilenet.spec.rows import INPUT, Concat, Conv, GlobalPool, Linear, Network, Row
from mobilenet.spec.shapes import sources

__all__ = ["TableNetwork", "place"]


class TableNetwork(nn.Module):
    """The network of a spec: (N, 3, R, R) normalised pixels -> its outputs by name, each (N, *shape) float32.

    Outputs are those of their rows, before the ending: logits, not probabilities. Without `outputs`, a network with
    classes returns its classifier's, and a backbone nothing. SpecError for a row that has no module (the pools of the
    networks for comparison).
    """

    def __init__(self, spec: Network, outputs: tuple[Output, ...] = ()) -> None:
        super().__init__()
        self.spec = spec
        self.outputs = outputs or ((classifier_output(spec.classes),) if spec.classes else ())
        for row in spec.rows:
            self._place(row.name, _module(row, spec.name))
        self.turned = _is_turned(self, spec.name)
        for module in self.modules():
            if isinstance(module, LinearUnit):
                module.turned = self.turned
        self._inputs = dict(zip((row.name for row in spec.rows), sources(spec.rows), strict=True))
        self._body = [row.name for row in spec.rows[: _body_rows(spec)]]
        kept = {row for output in self.outputs for row in output.rows}
        self._done = _last_reads(self._inputs, kept)

    def features(self, x: Tensor) -> Tensor:
        """(N, 3, R, R) normalised pixels -> (N, features) float32: the average over the body's last plane."""
        return self._computed(x, self._body)[self._body[-1]]

    def body(self) -> Iterator[tuple[str, nn.Module]]:
        """The modules of the body, with the names of their rows, in the order of computation."""
        return ((name, self.get_submodule(name)) for name in self._body)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        values = self._computed(x, list(self._inputs))
        return {output.name: self._answer([values[row] for row in output.rows], output) for output in self.outputs}

    def _computed(self, x: Tensor, names: list[str]) -> dict[str, Tensor]:
        """The results of these rows, in order, except those that no later row reads."""
        values = {INPUT: x.flip((2, 3)) if self.turned else x}
        for name in names:
            values[name] = self.get_submodule(name)(*[values[read] for read in self._inputs[name]])
            for done in self._done[name]:
                values.pop(done, None)
        return values

    def _answer(self, values: list[Tensor], output: Output) -> Tensor:
        """(N, *shape) float32 from the results of the output's rows."""
        within = output.shape[1:]
        read = [in_reading_order(value, turned=self.turned) for value in values]
        parts = [value.reshape(len(value), -1, *within) for value in read]
        return (torch.cat(parts, 1) if len(parts) > 1 else parts[0]).float()

    def _place(self, name: str, module: nn.Module) -> None:
        parent: nn.Module = self
        *groups, last = name.split(".")
        for group in groups:
            if not hasattr(parent, group):
                parent.add_module(group, nn.Module())
            parent = parent.get_submodule(group)
        if hasattr(parent, last):
            raise SpecError(f"row {name} has the name of an attribute of the network; give it another one")
        parent.add_module(last, module)


def place(network: nn.Module, device: torch.device) -> nn.Module:
    """Move `network` to `device`, with filters in channels_last, (out, height, width, in), the fastest layout."""
    return network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def _body_rows(spec: Network) -> int:
    """The number of rows up to and including the global pool, which ends the body."""
    pools = [number for number, row in enumerate(spec.rows) if isinstance(row, GlobalPool)]
    return pools[0] + 1 if pools else len(spec.rows)


def _last_reads(inputs: Mapping[str, tuple[str, ...]], kept: set[str]) -> dict[str, list[str]]:
    """Row -> the tensors that no later row reads, except those in `kept`."""
    last = {read: name for name, reads in inputs.items() for read in reads}
    done: dict[str, list[str]] = {name: [] for name in inputs}
    for read, name in last.items():
        if read not in kept:
            done[name].append(read)
    return done


def _is_turned(network: nn.Module, architecture: str) -> bool:
    """Whether convolutions take turned planes (`nn.layers.Convolution`): either all larger than 1 × 1, or none.

    The average over a plane is the same either way; whatever depends on positions rotates planes back first.
    """
    found = [module for module in network.modules() if isinstance(module, Convolution) and module.kernel_size != (1, 1)]
    turned = {module.turned for module in found}
    if len(turned) > 1:
        raise SpecError(f"{architecture} mixes TensorFlow's padding with another; use one padding for all rows")
    return turned == {True}


def _module(row: Row, architecture: str) -> nn.Module:
    match row:
        case Conv():
            return ConvUnit(row)
        case GlobalPool():
            return GlobalAverage(row)
        case Linear():
            return LinearUnit(row)
        case Concat():
            return Concatenation()
    raise SpecError(f"{architecture} can be costed but not trained: row {row.name} has no module; use a mobilenet_v1")
