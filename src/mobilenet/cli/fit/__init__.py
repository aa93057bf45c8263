"""`mobilenet fit`: budget in, proven model out."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mobilenet.cli.benchmark import Names
from mobilenet.cli.console import print_json
from mobilenet.cli.fit.progress import fit_progress
from mobilenet.cli.fit.table import print_fitted
from mobilenet.cli.params import SIZE_HELP, Bytes, Numbers, Quantity
from mobilenet.cli.task import task_options
from mobilenet.cli.teacher import teacher_options, teaching
from mobilenet.errors import GateError

if TYPE_CHECKING:
    from mobilenet.search.settings import FitSettings

__all__ = ["command"]

_LATENCY = Quantity("latency", "5ms", {"ms": 1.0, "us": 1e-3, "µs": 1e-3, "s": 1e3})
_SHARE = Quantity("share", "10% or 0.1", {"": 1.0, "%": 0.01})
_ACCURACY = Quantity("accuracy", "0.9 or 90%", {"": 1.0, "%": 0.01})


@click.command(short_help="Find, train, export and prove the best model within a budget.", epilog=SIZE_HELP)
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--latency", "latency_ms", type=_LATENCY, help="95th-percentile latency of one photo, such as 5ms.")
@click.option("--size", "size_bytes", type=Bytes("500kB"), help="Maximum file size, such as 500kB.")
@click.option("--memory", "memory_bytes", type=Bytes("8MB"), help="Maximum memory on top of the engine, such as 8MB.")
@click.option(
    "--reserve",
    type=_SHARE,
    default="10%",
    show_default=True,
    help="Share of latency kept in reserve for busier times when candidates are chosen.",
)
@click.option(
    "--accuracy",
    type=_ACCURACY,
    help="Find the smallest model whose accuracy (for boxes, AP, and so on) reaches this, such as 0.9.",
)
@click.option("--threads", default=1, show_default=True, help="CPU threads on the device.")
@click.option(
    "--device", type=click.Path(path_type=Path), help="Device profile; see benchmark --grid.  [default: this machine's]"
)
@click.option("--renew-profile", is_flag=True, help="Measure this machine again instead of using its cached profile.")
@click.option(
    "--runtime", "runtimes", default="", type=Names(), help="litert, onnxruntime, c.  [default: all installed engines]"
)
@click.option("--widths", type=Numbers(float, "0.25,0.5"), help="Width multipliers to try.  [default: 0.25 to 1]")
@click.option("--resolutions", type=Numbers(int, "96,128"), help="Resolutions to try, in pixels.  [default: 96 to 224]")
@click.option("--weights", multiple=True, metavar="FILE", help="Initial weights; repeat the option for several widths.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Output folder.  [default: fits/DATA-BUDGET]"
)
@click.option("--val", "validation", type=click.Path(path_type=Path), help="Validation photos: folder or CSV file.")
@click.option(
    "--val-fraction",
    "validation_fraction",
    type=float,
    default=0.1,
    show_default=True,
    help="Share of the photos to hold out if the data have no validation photos.",
)
@click.option("--exclude", type=click.Path(path_type=Path), help="List of photos to leave out; see mobilenet check.")
@task_options
@teacher_options
@click.option("--epochs", type=int, help="Epochs of a full training.  [default: as mobilenet train]")
@click.option(
    "--crop-area", type=float, help="Smallest random crop, as a fraction of a photo's area.  [default: by recipe]"
)
@click.option("--turn", is_flag=True, help="Random quarter turns too, for photos without a top, as from above.")
@click.option(
    "--exhaustive",
    is_flag=True,
    help="Train every candidate that is not dominated in full; with --accuracy, every one that fits.",
)
@click.option("--seed", default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def command(data: Path, out: Path | None, *, as_json: bool, **options: Any) -> None:
    """Choose width, resolution and precision of a MobileNet for DATA to fit a budget; train, export and prove it.

    Limits can be combined: the result is the most accurate model that meets them all, or with --accuracy the smallest
    that also reaches it. The file is measured again at the end. An interrupted search resumes with the same command.

    \b
    mobilenet fit photos --latency 5ms
    mobilenet fit photos --size 500kB --memory 8MB --weights mobilenet_v1_0.5.tflite
    mobilenet fit photos --accuracy 0.9 --device phone.json
    mobilenet fit photos --latency 1ms --widths 0.25,0.5 --resolutions 64,96
    """
    from mobilenet.report.fit_page import write_fit_page
    from mobilenet.search.fit import fit
    from mobilenet.training.system.interruption import Interruption

    settings = _settings(data, out, options)
    words = ["mobilenet", *click.get_current_context().find_root().obj]
    interruption = Interruption()
    with fit_progress() as listener, interruption.heard():
        try:
            with interruption.immediately():
                found = fit(settings, listener)
        except KeyboardInterrupt:
            click.echo(f"resume with the same command: {shlex.join(words)}", err=True)
            raise
    page = settings.out / "report.html"
    write_fit_page(found, page, words)
    if as_json:
        print_json(found.to_json())
    else:
        print_fitted(found, page)
    if found.chosen is None:
        raise GateError(f"no file fits the budget ({found.limits.in_words(found.goal.noun)}); {found.nearest_miss()}")


def _settings(data: Path, out: Path | None, options: dict[str, Any]) -> "FitSettings":
    from mobilenet.datasets.remote.urls import name_for_folders
    from mobilenet.search.budget import Limits
    from mobilenet.search.settings import FitSettings
    from mobilenet.training.settings import TrainingSettings

    asked = ("latency_ms", "size_bytes", "memory_bytes", "accuracy", "reserve")
    limits = Limits(**{name: options.pop(name) for name in asked})
    candidates: dict[str, Any] = {name: options.pop(name) or () for name in ("widths", "resolutions")}
    crop_area = options.pop("crop_area")
    augmentation: dict[str, Any] = {} if crop_area is None else {"crop_area": (crop_area, 1.0)}
    if options.pop("turn"):
        augmentation["turn"] = True
    own = {
        name: options.pop(name)
        for name in ("validation", "validation_fraction", "exclude", "seed", "task", "task_options")
    }
    training = TrainingSettings(data, augmentation=augmentation, teacher=teaching(options), **own)
    if (epochs := options["epochs"]) is not None:
        _ = replace(training, epochs=epochs)
    folder = out or Path("fits") / f"{name_for_folders(data)}-{limits.name}"
    return FitSettings(training, limits, folder, **candidates, **options)
