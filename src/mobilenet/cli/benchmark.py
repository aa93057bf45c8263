"""`mobilenet benchmark`: how fast model files are on this device, beside each other."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mobilenet.cli.console import print_table
from mobilenet.cli.progress import turn_bar
from mobilenet.files import check_writable

if TYPE_CHECKING:
    from mobilenet.benchmark import Benchmark, Environment, Timing

__all__ = ["command"]

_LATENCIES = ("p50 ms", "p95 ms", "p99 ms")
_HEADER = ("file", "runtime", "threads", *_LATENCIES, "images/s", "ratio", "CPU ms", "MB", "load ms", "first ms")


class _Names(click.ParamType[tuple[str, ...]]):
    """Words with commas between them."""

    name = "names"

    def convert(self, value: object, _param: click.Parameter | None, _ctx: click.Context | None) -> tuple[str, ...]:
        return tuple(word.strip() for word in str(value).split(",") if word.strip())


class _Counts(click.ParamType[tuple[int, ...]]):
    """Whole numbers with commas between them."""

    name = "numbers"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        try:
            return tuple(int(word) for word in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is not a number or several with commas between them, such as 1,2", param, ctx)


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))
@click.option(
    "--runtime", "runtimes", default="", type=_Names(), help="Engines, such as litert,torch; default: all installed."
)
@click.option("--threads", default="1", show_default=True, type=_Counts(), help="Processor threads, such as 1,2.")
@click.option("--seconds", default=5.0, show_default=True, help="How long each is timed.")
@click.option("--photo", type=click.Path(path_type=Path), help="A photo to run them on; default: random pixels.")
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="Draw the latencies there (.png).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def command(
    *,
    files: tuple[Path, ...],
    runtimes: tuple[str, ...],
    threads: tuple[int, ...],
    seconds: float,
    photo: Path | None,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Time FILEs, run folders or model files, on this device: one image after another, each file on each engine that
    runs it.

    All take turns in one run, so that noise meets all alike; ratio is to the first row. CPU ms is what an image takes
    of the processor, all threads together. MB is what the model takes on top of its engine, at its peak.
    """
    from mobilenet.benchmark import Settings, measure
    from mobilenet.benchmark.engines import choose_contenders

    draw = _plotter(plot)
    settings = Settings(seconds, None if photo is None else str(photo))
    contenders = choose_contenders(files, runtimes, threads)
    with turn_bar("measuring") as progress:
        benchmark = measure(contenders, settings, progress)
    draw(benchmark)
    if as_json:
        click.echo(benchmark.to_json())
    else:
        _print(benchmark)


def _plotter(path: Path | None) -> Callable[["Benchmark"], None]:
    """What draws the picture; what would keep it from being drawn is found before anything is measured."""
    if path is None:
        return lambda _benchmark: None
    from mobilenet.benchmark.plot import check_suffix, draw

    check_suffix(path)
    check_writable(path.parent)
    return lambda benchmark: draw(benchmark, path)


def _print(benchmark: "Benchmark") -> None:
    shown = f"photo {benchmark.photo}" if benchmark.photo else "random pixels"
    title = f"One image after another, {benchmark.seconds:g} s each in {benchmark.rounds} rounds of turns, {shown}"
    print_table(title, _HEADER, [_row(timing) for timing in benchmark.timings], left=2)
    click.echo(_device(benchmark.environment))
    for timing in _first_of_engines(benchmark):
        click.echo(_engine(timing, benchmark.environment))
    for note in benchmark.notes():
        click.echo(f"note: {note}")


def _row(timing: "Timing") -> tuple[str, ...]:
    contender = timing.contender
    latencies = (f"{value:.3f}" for value in (timing.p50_ms, timing.p95_ms, timing.p99_ms))
    return (
        contender.file,
        contender.runtime,
        str(contender.threads),
        *latencies,
        f"{timing.images_per_second:,.0f}" if timing.images_per_second >= 100 else f"{timing.images_per_second:.3g}",
        f"{timing.ratio:.3f}",
        f"{timing.processor_ms:.3f}",
        f"{timing.peak_bytes / 1e6:.1f}",
        f"{timing.load_ms:.1f}",
        f"{timing.first_ms:.1f}",
    )


def _device(environment: "Environment") -> str:
    parts = [environment.processor, f"{environment.cores} cores"]
    if environment.memory_bytes is not None:
        parts.append(f"{environment.memory_bytes / 1e9:.1f} GB")
    parts.append(environment.system)
    if environment.governor is not None:
        parts.append(f"governor {environment.governor}")
    if environment.clocks_mhz is not None:
        parts.append("clock {:.0f}, then {:.0f} MHz".format(*environment.clocks_mhz))
    if environment.temperatures_c is not None:
        parts.append("{:.0f}, then {:.0f} °C".format(*environment.temperatures_c))
    if environment.load is not None:
        parts.append(f"load {environment.load:.1f}")
    return ", ".join(parts)


def _first_of_engines(benchmark: "Benchmark") -> list["Timing"]:
    first: dict[str, Timing] = {}
    for timing in benchmark.timings:
        first.setdefault(timing.contender.runtime, timing)
    return list(first.values())


def _engine(timing: "Timing", environment: "Environment") -> str:
    from mobilenet.benchmark.engines import ENGINES

    name = timing.contender.runtime
    version = environment.versions.get(ENGINES[name].distribution, "")
    return f"{name} {version} itself: {timing.engine_bytes / 1e6:.0f} MB, imported in {timing.import_ms:.0f} ms"
