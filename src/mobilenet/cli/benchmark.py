"""`mobilenet benchmark`: times model files on this device, side by side."""

import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mobilenet.cli.console import megabytes, print_table
from mobilenet.cli.params import Numbers
from mobilenet.cli.progress import turn_bar
from mobilenet.files import check_writable

if TYPE_CHECKING:
    from mobilenet.benchmark.device.profile import Curve, DeviceProfile
    from mobilenet.benchmark.result import Benchmark, Environment, Timing

__all__ = ["Names", "command"]

_SECONDS, _GRID_SECONDS = 5.0, 90.0

_LATENCIES = ("p50 ms", "p95 ms", "p99 ms")
_HEADER = ("file", "runtime", "threads", *_LATENCIES, "images/s", "ratio", "CPU ms", "MB", "load ms", "first ms")


class Names(click.ParamType[tuple[str, ...]]):
    """Comma-separated words, without duplicates."""

    name = "names"

    def convert(self, value: object, _param: click.Parameter | None, _ctx: click.Context | None) -> tuple[str, ...]:
        return tuple(dict.fromkeys(word.strip() for word in str(value).split(",") if word.strip()))


@click.command()
@click.argument("files", nargs=-1, metavar="FILE...", type=click.Path(path_type=Path))
@click.option(
    "--runtime", "runtimes", default="", type=Names(), help="Engines, such as litert,torch.  [default: all installed]"
)
@click.option("--threads", default="1", show_default=True, type=Numbers(int, "1,2"), help="CPU threads, such as 1,2.")
@click.option("--seconds", type=float, help="Timing duration per row; with --grid, in total.  [default: 5; 90]")
@click.option("--photo", type=click.Path(path_type=Path), help="Photo to run the models on.  [default: random pixels]")
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="Write a latency plot there (.png).")
@click.option("--grid", is_flag=True, help="Profile this device instead: time untrained candidates of all sizes.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Profile to write, with --grid.")
@click.option("--classes", type=int, help="Number of classes of the candidates, with --grid.  [default: 10]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def command(
    *,
    files: tuple[Path, ...],
    runtimes: tuple[str, ...],
    threads: tuple[int, ...],
    seconds: float | None,
    photo: Path | None,
    plot: Path | None,
    grid: bool,
    out: Path | None,
    classes: int | None,
    as_json: bool,
) -> None:
    """Time each FILE, a run folder or model file, on this device: one image at a time, on every engine that runs it.

    All take turns within one run, so that noise affects them equally; ratio is relative to the first row. CPU ms is
    processor time per image, summed over threads. MB is the peak memory of the model on top of its engine.

    With --grid, MobileNets of all widths and resolutions are timed in float32 and int8 in place of FILEs. Pass the
    profile written to --out to mobilenet fit --device.

    \b
    mobilenet benchmark model.tflite model-int8.tflite --threads 1,2
    mobilenet benchmark --grid --out device.json
    """
    if grid:
        if photo is not None or plot is not None:
            raise click.UsageError("--photo and --plot cannot be combined with --grid; leave them out")
        profile = _measure_grid(files, runtimes, threads, _GRID_SECONDS if seconds is None else seconds, out, classes)
        _show_profile(profile, out, as_json=as_json)
        return
    if out is not None or classes is not None:
        raise click.UsageError("--out and --classes need --grid")
    if not files:
        raise click.UsageError("give at least one model file, or --grid --out device.json")
    from mobilenet.benchmark.contenders import choose_contenders
    from mobilenet.benchmark.measure import Settings, measure

    draw = _plotter(plot)
    settings = Settings(_SECONDS if seconds is None else seconds, None if photo is None else str(photo))
    contenders = choose_contenders(files, runtimes, threads)
    with turn_bar("measuring") as progress:
        benchmark = measure(contenders, settings, progress)
    draw(benchmark)
    if as_json:
        click.echo(benchmark.to_json())
    else:
        _print(benchmark)


def _measure_grid(
    files: tuple[Path, ...],
    runtimes: tuple[str, ...],
    threads: tuple[int, ...],
    seconds: float,
    out: Path | None,
    classes: int | None,
) -> "DeviceProfile":
    from mobilenet.benchmark.device.grid import GridSettings, measure_grid

    if files:
        raise click.UsageError("--grid measures its own candidates; leave out the files")
    if out is None:
        raise click.UsageError("--grid needs --out, such as --out device.json")
    check_writable(out.parent)
    chosen = GridSettings(runtimes=runtimes, threads=threads, seconds=seconds)
    settings = chosen if classes is None else replace(chosen, classes=classes)
    with turn_bar("measuring") as progress:
        profile = measure_grid(settings, progress)
    profile.write(out)
    return profile


def _show_profile(profile: "DeviceProfile", out: Path | None, *, as_json: bool) -> None:
    if as_json:
        click.echo(profile.to_json())
        return
    for curve in profile.curves:
        _print_grid(profile, curve)
    click.echo(_device(profile.environment))
    use = f"mobilenet fit DATA --device {shlex.quote(str(out))} --latency 5ms"
    click.echo(f"{profile.seconds:.0f} s; profile {out}; use it with: {use}")


def _print_grid(profile: "DeviceProfile", curve: "Curve") -> None:
    """Print the estimated 95th percentiles of one variant, one row per width."""
    from mobilenet.spec.mobilenet import MOBILENETS

    build = MOBILENETS["mobilenet_v1"]
    rows = []
    for width in profile.widths:
        found = [curve.estimate(build(width, side, profile.classes)) for side in profile.resolutions]
        memory = f"{megabytes(found[0].peak_bytes)} to {megabytes(found[-1].peak_bytes)}"
        rows.append((f"{width:g}", *(f"{one.p95_ms:.3g}" for one in found), memory, f"{found[0].file_bytes / 1e6:.2f}"))
    sides = (str(side) for side in profile.resolutions)
    errors = f"p90 error {curve.error:.1%}, of memory {curve.memory_error:.1%}"
    title = f"{curve.variant}: ms per image at p95, by width and resolution; {errors}"
    print_table(title, ("width", *sides, "memory MB", "file MB"), rows)


def _plotter(path: Path | None) -> Callable[["Benchmark"], None]:
    """A function that draws the plot; anything that would prevent it fails before the measurement."""
    if path is None:
        return lambda _benchmark: None
    from mobilenet.benchmark.plot import check_suffix, draw

    check_suffix(path)
    check_writable(path.parent)
    return lambda benchmark: draw(benchmark, path)


def _print(benchmark: "Benchmark") -> None:
    shown = f"photo {benchmark.photo}" if benchmark.photo else "random pixels"
    title = f"One image at a time, {benchmark.seconds:g} s each in {benchmark.rounds} rounds, {shown}"
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
        megabytes(timing.peak_bytes),
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
    from mobilenet.runtimes.engines import ENGINES

    name = timing.contender.runtime
    said = " ".join([name, *(environment.versions.get(package, "") for package in ENGINES[name].distributions)])
    return f"{said} alone: {timing.engine_bytes / 1e6:.0f} MB, imported in {timing.import_ms:.0f} ms"
