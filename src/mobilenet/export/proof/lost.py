"""Which part of a network 8 bits have cost most: its outputs in 8 bits one by one, among the network's own."""

from collections.abc import Callable, Iterator
from math import prod

from mobilenet.model.card import ModelCard
from mobilenet.model.outputs import Output, Outputs
from mobilenet.spec.shapes import output_shapes

__all__ = ["costliest"]


def costliest(
    network: Outputs, coarse: Outputs, card: ModelCard, measure: Callable[[Outputs], float], noun: str
) -> str | None:
    """What `noun`, which `measure` gives, loses most by, as words: an output, or a row that costs most of what its
    output does; None if no output alone costs anything.

    `network` and `coarse` are raw outputs by name (N, *shape), in float32 and in 8 bits.
    """
    whole = measure(network)
    kept = {output: measure({**network, output.name: coarse[output.name]}) for output in card.network_outputs}
    worst = min(kept, key=lambda output: kept[output])
    if kept[worst] >= whole or len(kept) == 1:
        return None
    rows = {row: measure(mixed) for row, mixed in _by_row(worst, network, coarse, card)}
    row = min(rows, key=lambda name: rows[name])
    place, left = (row, rows[row]) if whole - rows[row] > (whole - kept[worst]) / 2 else (worst.name, kept[worst])
    return f"8 bits cost most in {place}: with its values alone in 8 bits {noun} is {left:.1%}, without {whole:.1%}"


def _by_row(output: Output, network: Outputs, coarse: Outputs, card: ModelCard) -> Iterator[tuple[str, Outputs]]:
    """The network's outputs with one row of `output` in 8 bits, for each of its rows."""
    shapes = output_shapes(card.network().rows, card.resolution)
    start = 0
    for row in output.rows:
        end = start + output.shape[0] * prod(shapes[row]) // output.size
        mixed = network[output.name].copy()
        mixed[:, start:end] = coarse[output.name][:, start:end]
        yield row, {**network, output.name: mixed}
        start = end
