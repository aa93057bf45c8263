"""`mobilenet cost`: the cost of one network, of several side by side, or of a grid of widths and resolutions."""

from collections.abc import Sequence

import click

from mobilenet.cli.console import print_json, print_table
from mobilenet.spec.architectures import COMPARISONS, DETECTORS, architecture_names, build
from mobilenet.spec.cost import Cost, Kind, cost
from mobilenet.spec.mobilenet import MOBILENETS

__all__ = ["command"]

_WIDTHS = (1.0, 0.75, 0.5, 0.25)
_RESOLUTIONS = (224, 192, 160, 128)
"""The paper's own grid."""

_DETECTOR_RESOLUTIONS = (300, 256, 192, 128)


def _numbers(_context: click.Context, _option: click.Parameter, text: str | None) -> tuple[float, ...]:
    if text is None:
        return ()
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not a list of numbers such as 0.25,0.5") from error


def _whole_numbers(_context: click.Context, _option: click.Parameter, text: str | None) -> tuple[int, ...]:
    if text is None:
        return ()
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not a list of whole numbers such as 128,160") from error


@click.command()
@click.option("--arch", help=f"One of {', '.join(architecture_names())}.  [default: mobilenet_v1]")
@click.option("--task", help="Show the networks that are usual for this task, instead of --arch and --compare.")
@click.option("--width", type=float, help="Width multiplier of a mobilenet_v1, above 0.  [default: 1.0]")
@click.option(
    "--resolution",
    type=int,
    help="Input resolution in pixels; a multiple of 32 for a mobilenet_v1.  [default: its paper's]",
)
@click.option("--classes", type=int, help="Number of classes.  [default: its paper's, such as 1000]")
@click.option("--by-layer", is_flag=True, help="List every layer.")
@click.option("--compare", metavar="NAMES", help="Architectures to compare with, such as vgg16,mobilenet_v1_standard.")
@click.option("--grid", is_flag=True, help="Show a grid of widths and resolutions.  [default: the paper's 4 by 4]")
@click.option("--widths", metavar="LIST", callback=_numbers, help="Widths of the grid, such as 0.25,0.5.")
@click.option("--resolutions", metavar="LIST", callback=_whole_numbers, help="Its resolutions, such as 128,160.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def command(
    *,
    arch: str | None,
    task: str | None,
    width: float | None,
    resolution: int | None,
    classes: int | None,
    by_layer: bool,
    compare: str | None,
    grid: bool,
    widths: tuple[float, ...],
    resolutions: tuple[int, ...],
    as_json: bool,
) -> None:
    """Count what a network costs.

    Mult-adds (one multiply-accumulate counts as one), parameters, and bytes of weights and activations, per photo.

    \b
    mobilenet cost --width 0.5 --resolution 160
    mobilenet cost --by-layer
    mobilenet cost --compare vgg16,mobilenet_v1_standard
    mobilenet cost --grid --widths 0.25,0.5 --resolutions 128,160
    mobilenet cost --task detection
    """
    arch, beside = _named(arch, task)
    if grid or widths or resolutions:
        if by_layer or compare is not None:
            raise click.UsageError("a grid cannot be combined with --by-layer or --compare; leave one of them out")
        axes = _axes(arch, width, resolution, widths, resolutions)
        _show_grid(arch, [cost(build(arch, *point, classes)) for point in axes], as_json=as_json)
        return
    costs = [cost(build(arch, width, resolution, classes))]
    names = beside if compare is None else [name.strip() for name in compare.split(",")]
    # Layers of one network are read at a time, unless a comparison is asked for.
    costs += [_beside(costs[0], name) for name in names if compare is not None or not by_layer]
    if as_json:
        print_json(_document(costs, with_layers=by_layer))
    else:
        _show(costs, with_layers=by_layer)


def _named(arch: str | None, task: str | None) -> tuple[str, Sequence[str]]:
    """The architecture to cost, and those to compare it with: those of a task, if one is named."""
    if task is None:
        return arch or "mobilenet_v1", ()
    if arch is not None:
        raise click.UsageError("--task chooses the architecture; leave out --arch or --task")
    # Tasks need NumPy, which the cost of a network does not.
    from mobilenet.tasks import task_named

    first, *others = task_named(task).architectures
    return first, others


def _axes(
    arch: str, width: float | None, resolution: int | None, widths: tuple[float, ...], resolutions: tuple[int, ...]
) -> list[tuple[float | None, int]]:
    """The points of the grid: listed values, else the single value given, else the paper's."""
    default_widths = (None,) if arch in COMPARISONS else _WIDTHS
    across = widths or (default_widths if width is None else (width,))
    default_resolutions = _DETECTOR_RESOLUTIONS if arch in DETECTORS else _RESOLUTIONS
    down = resolutions or (default_resolutions if resolution is None else (resolution,))
    return [(one_width, one_resolution) for one_width in across for one_resolution in down]


def _beside(first: Cost, name: str) -> Cost:
    """A network takes the width and resolution of another of its kind; any other network keeps its own."""
    network = first.network
    if any(name in kind and network.name in kind for kind in (MOBILENETS, DETECTORS)):
        return cost(build(name, network.width_multiplier, network.resolution, network.classes))
    return cost(build(name, classes=network.classes))


def _document(costs: list[Cost], *, with_layers: bool) -> dict[str, object]:
    first, *others = [
        {**figures.to_json(), **({"layers": figures.layers_to_json()} if with_layers else {})} for figures in costs
    ]
    return {**first, "compared_with": others} if others else first


def _show_grid(arch: str, costs: list[Cost], *, as_json: bool) -> None:
    if as_json:
        print_json({"architecture": arch, "grid": [figures.to_json() for figures in costs]})
        return
    header = ("width", "pixels", "mult-adds", "params", *_SIZES)
    rows = [
        (
            str(figures.network.width_multiplier),
            str(figures.network.resolution),
            f"{figures.mult_adds:,}",
            f"{figures.params:,}",
            *_sizes(figures),
        )
        for figures in costs
    ]
    print_table(f"{arch}, {costs[0].network.classes} classes", header, rows, left=0)


def _show(costs: list[Cost], *, with_layers: bool) -> None:
    if len(costs) == 1:
        _show_totals(costs[0])
        _show_kinds(costs[0])
    else:
        _show_comparison(costs)
    for figures in costs if with_layers else ():
        _show_layers(figures)


def _show_totals(figures: Cost) -> None:
    names = ("mult-adds", "parameters", *_SIZES)
    values = (f"{figures.mult_adds:,}", f"{figures.params:,}", *_sizes(figures))
    classes = figures.network.classes
    print_table(f"{_title(figures)}, {classes} classes", ("for one photo", ""), list(zip(names, values, strict=True)))


def _show_kinds(figures: Cost) -> None:
    header = ("kind of layer", "mult-adds", "share", "weights", "share")
    rows = [
        (
            _KINDS[kind.kind],
            f"{kind.mult_adds:,}",
            f"{kind.mult_adds_share:.2%}",
            f"{kind.weights:,}",
            f"{kind.weights_share:.2%}",
        )
        for kind in figures.by_kind()
    ]
    print_table("by kind of layer", header, rows)


def _show_comparison(costs: list[Cost]) -> None:
    header = ("network", "mult-adds", "ratio", "params", "ratio", "weights", "memory")
    first = costs[0]
    rows = [
        (
            _title(figures),
            _millions(figures.mult_adds, "M"),
            f"{figures.mult_adds / first.mult_adds:.2f}",
            _millions(figures.params, "M"),
            f"{figures.params / first.params:.2f}",
            _millions(figures.weight_bytes_float32, "MB"),
            _millions(figures.peak_activation_bytes_float32, "MB"),
        )
        for figures in costs
    ]
    print_table(f"float32, {first.network.classes} classes", header, rows)


def _show_layers(figures: Cost) -> None:
    header = ("layer", "kind", "output", "mult-adds", "parameters", "memory")
    rows = [
        (
            layer.name,
            layer.kind,
            "x".join(map(str, layer.output_shape)),
            f"{layer.mult_adds:,}",
            f"{layer.params:,}",
            _millions(layer.activation_bytes_float32, "MB"),
        )
        for layer in figures.layers
    ]
    print_table(f"layers of {_title(figures)}, memory in float32", header, rows, left=2)


_KINDS: dict[Kind, str] = {
    "pointwise": "1x1 convolution",
    "depthwise": "depthwise convolution",
    "standard": "other convolution",
    "linear": "linear",
}

_SIZES = ("weights float32", "weights int8", "memory float32", "memory int8")


def _sizes(figures: Cost) -> tuple[str, ...]:
    return (
        _millions(figures.weight_bytes_float32, "MB"),
        _millions(figures.weight_bytes_int8, "MB"),
        _millions(figures.peak_activation_bytes_float32, "MB"),
        _millions(figures.peak_activation_bytes_int8, "MB"),
    )


def _millions(number: int, unit: str) -> str:
    """Three significant digits: 4.82 MB, 16.9 MB, 553 MB, 15,470 M."""
    millions = number / 1e6
    decimals = sum(millions < limit for limit in (1, 10, 100))
    return f"{millions:,.{decimals}f} {unit}"


def _title(figures: Cost) -> str:
    """`mobilenet_v1 0.5-160`, as the paper writes it; networks of a single width omit it."""
    network = figures.network
    width = "" if network.name in COMPARISONS else f"{network.width_multiplier}-"
    return f"{network.name} {width}{network.resolution}"
