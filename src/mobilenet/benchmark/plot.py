"""A plot of latencies: the cumulative distribution for each contender."""

import io
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter, ScalarFormatter

from mobilenet.benchmark.result import Benchmark, Timing
from mobilenet.errors import ConfigError
from mobilenet.files import atomic_write

__all__ = ["check_suffix", "draw"]

_SUFFIXES = (".png", ".svg", ".pdf")
_SHARES = np.linspace(0, 1, 101)
_MARKED = (50, 95, 99)
_COLOURS, _DASHES = 10, ("-", "--", ":")
"""matplotlib repeats its colours after ten curves; from there on they are dashed."""

_WIDE = 4.0
"""Medians that differ by more than this factor need a logarithmic axis."""

_TAIL = 1.15
"""The axis ends at the slowest p99 times this factor: the slowest image in a hundred may take any time."""

_STYLE: Any = {"font.size": 10, "svg.fonttype": "none", "svg.hashsalt": "mobilenet"}


def check_suffix(path: Path) -> None:
    """ConfigError if the suffix of `path` is not a supported image format."""
    if path.suffix.lower() not in _SUFFIXES:
        raise ConfigError(f"{path} is not a supported image format; use one of {', '.join(_SUFFIXES)}")


def draw(benchmark: Benchmark, path: Path) -> None:
    """Write the plot to `path`, in the format of its suffix; ConfigError for any other, StorageError if that fails."""
    check_suffix(path)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(8, 4.2 + 0.2 * len(benchmark.timings)), layout="constrained")
        axes = figure.add_subplot()
        for number, timing in enumerate(benchmark.timings):
            _curve(axes, timing, _DASHES[number // _COLOURS % len(_DASHES)])
        _finish(axes, benchmark)
        data = io.BytesIO()
        figure.savefig(data, format=path.suffix[1:].lower(), dpi=150)
    with atomic_write(path) as file:
        file.write(data.getvalue())


def _curve(axes: Axes, timing: Timing, dashes: str) -> None:
    contender = timing.contender
    threads = f"{contender.threads} thread{'' if contender.threads == 1 else 's'}"
    name = f"{Path(contender.file).name}, {contender.runtime}, {threads}: {timing.p50_ms:.3g} ms"
    (line,) = axes.plot(timing.quantiles_ms, _SHARES, dashes, linewidth=2, label=name)
    marked = [timing.quantiles_ms[percent] for percent in _MARKED]
    axes.plot(marked, [percent / 100 for percent in _MARKED], "o", color=line.get_color(), markersize=4)


def _finish(axes: Axes, benchmark: Benchmark) -> None:
    medians = [timing.p50_ms for timing in benchmark.timings]
    fastest = min(timing.quantiles_ms[0] for timing in benchmark.timings)
    slowest = max(timing.p99_ms for timing in benchmark.timings)
    if max(medians) > _WIDE * min(medians):
        axes.set_xscale("log")
        axes.set_xlim(fastest / _TAIL, slowest * _TAIL)
        axes.xaxis.set_major_formatter(ScalarFormatter())
    else:
        axes.set_xlim(0, slowest * _TAIL)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlabel("milliseconds per image (dots: p50, p95, p99)")
    axes.set_ylabel("fraction of images")
    axes.set_title(benchmark.environment.processor, loc="left")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper left", bbox_to_anchor=(0, -0.14), frameon=False, fontsize="small")
