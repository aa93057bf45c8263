"""The plot of `paper.py`: accuracy against cost, like figures 4 and 5 of the paper."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from pathlib import Path
from statistics import mean, stdev

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from mobilenet.files import atomic_path

COLOURS = {
    "mobilenet_v1": ("#1f77b4", "depthwise separable"),
    "mobilenet_v1_standard": ("#d62728", "standard convolutions"),
    "mobilenet_v1_shallow": ("#2ca02c", "shallow"),
}

_BESIDE = 1.0
"""Points of top-1 within which two names are at the same height."""


@dataclass(frozen=True, slots=True)
class Dot:
    """A network: `kind` is its architecture, `top1` has the percentage of each seed."""

    name: str
    kind: str
    mult_adds: int
    params: int
    top1: tuple[float, ...]


def plot(dots: Sequence[Dot], path: Path) -> None:
    """Accuracy against mult-adds on a logarithmic axis, and against parameters."""
    mpl.rcParams.update({"svg.hashsalt": "mobilenet", "svg.fonttype": "none", "font.size": 10})
    figure, both = plt.subplots(1, 2, figsize=(11, 4.8), layout="constrained", sharey=True)
    for axes, costs, label, ticks in zip(
        both,
        ([dot.mult_adds / 1e6 for dot in dots], [dot.params / 1e6 for dot in dots]),
        ("million mult-adds", "million parameters"),
        ((3, 10, 30, 100, 300), (0.2, 0.5, 1, 2, 5, 10, 30)),
        strict=True,
    ):
        panel(axes, dots, costs)
        axes.set_xscale("log")
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
        axes.margins(x=0.2, y=0.08)
        axes.set_xlabel(label)
        axes.grid(alpha=0.3)
    kinds = [Line2D([], [], marker="o", linestyle="", color=colour, label=kind) for colour, kind in COLOURS.values()]
    # Below both panels, where it hides no names.
    figure.legend(handles=kinds, loc="outside lower center", ncols=len(kinds))
    both[0].set_ylabel("top-1 on validation photos, %")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="svg", metadata={"Date": None})
    plt.close(figure)


def panel(axes: Axes, dots: Sequence[Dot], costs: Sequence[float]) -> None:
    """Every network as a dot at its cost, with its name, and the deviation of its seeds if there are several."""
    places = [(cost, mean(dot.top1)) for dot, cost in zip(dots, costs, strict=True)]
    for number, (dot, (cost, top1)) in enumerate(zip(dots, places, strict=True)):
        spread = [stdev(dot.top1)] if len(dot.top1) > 1 else None
        axes.errorbar([cost], [top1], spread, marker="o", linestyle="", capsize=4, color=COLOURS[dot.kind][0])
        offset, where = (8, "left") if stands_right(number, places) else (-8, "right")
        axes.annotate(dot.name, (cost, top1), (offset, 0), textcoords="offset points", size=9, ha=where, va="center")


def stands_right(number: int, places: Sequence[tuple[float, float]]) -> bool:
    """Whether a name is to the right of its dot: away from the nearest other dot at the same height."""
    cost, top1 = places[number]
    beside = [
        (abs(log(other / cost)), other < cost or (other == cost and place < number))
        for place, (other, height) in enumerate(places)
        if place != number and abs(height - top1) < _BESIDE
    ]
    return min(beside, default=(0.0, True))[1]
