"""Temperature scaling (Guo et al. 2017, arXiv 1706.04599): an output's raw values are divided by one number.

The division is folded into the rows that compute those values, so that every file of the network, in every format,
has it without an operator of its own.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mobilenet.errors import ModelError
from mobilenet.model.card import ModelCard
from mobilenet.model.graph import Arrays
from mobilenet.model.outputs import Output
from mobilenet.spec.rows import INPUT, Conv, Linear, Network
from mobilenet.spec.shapes import sources

__all__ = ["tempered"]


def tempered(
    card: ModelCard, arrays: Arrays, temperatures: Mapping[str, float]
) -> tuple[ModelCard, dict[str, NDArray[np.float32]]]:
    """The network whose raw values of each output named in `temperatures` are divided by that number, and its card.

    `arrays` are those of the model file: filters (out, in / groups, height, width), …. Computed in float64, rounded
    once. ModelError for a number that is not finite and positive, for an unknown output,
    and for an output whose raw values also reach something else or are clipped.
    """
    network, outputs = card.network(), {output.name: output for output in card.outputs}
    made, total = dict(arrays), dict(card.temperatures)
    for name, temperature in temperatures.items():
        if name not in outputs:
            raise ModelError(f"unknown output {name!r}; the network has {', '.join(outputs) or 'none'}")
        if not (math.isfinite(temperature) and temperature > 0):
            raise ModelError(f"temperature {temperature} of output {name} is invalid; use a positive number")
        for row in _last_rows(network, outputs[name], card.outputs):
            for part in _scaling(row):
                made[part] = (arrays[part].astype(np.float64) / temperature).astype(np.float32)
        total[name] = total.get(name, 1.0) * temperature
    return replace(card, temperatures=total), made


def _last_rows(network: Network, output: Output, others: tuple[Output, ...]) -> list[Conv | Linear]:
    """The rows with weights that compute an output's raw values, through rows that only average, select or join."""
    rows = {row.name: row for row in network.rows}
    inputs = dict(zip(rows, sources(network.rows), strict=True))
    found, waiting = set[str](), [*output.rows]
    while waiting:
        name = waiting.pop()
        if name == INPUT:
            raise ModelError(f"output {output.name} cannot have a temperature: no row with weights computes it")
        found.add(name)
        if not isinstance(rows[name], Conv | Linear):
            waiting.extend(read for read in inputs[name] if read not in found)
    readers = [name for name, reads in inputs.items() if name not in found and found & set(reads)]
    readers += [other.name for other in others if other.name != output.name and found & {*other.rows}]
    if readers:
        raise ModelError(f"output {output.name} cannot have a temperature: {readers[0]} reads the same row; add a row")
    last = [row for row in network.rows if row.name in found and isinstance(row, Conv | Linear)]
    if clipped := [row.name for row in last if row.activation == "relu6"]:
        raise ModelError(f"output {output.name} cannot have a temperature: row {clipped[0]} clips at 6; use relu")
    return last


def _scaling(row: Conv | Linear) -> Iterator[str]:
    """The arrays in which a row's result is linear, before an activation that keeps the scale."""
    match row:
        case Conv(batch_norm=True):
            yield from (f"{row.name}.norm.weight", f"{row.name}.norm.bias")
        case Conv():
            yield from (f"{row.name}.conv.weight", *((f"{row.name}.conv.bias",) if row.bias else ()))
        case Linear():
            yield from (f"{row.name}.weight", *((f"{row.name}.bias",) if row.bias else ()))
