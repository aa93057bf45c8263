"""`mobilenet export`: exports a trained network to files for a device, each proven."""

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from mobilenet.cli.console import print_json, print_table
from mobilenet.cli.progress import progress_bars
from mobilenet.errors import ConfigError, DataError, GateError
from mobilenet.runs.folder import RunFolder

if TYPE_CHECKING:
    from rich.progress import TaskID

    from mobilenet.export.export import Exported, ExportSettings
    from mobilenet.export.proof.verify import Proof, Resized
    from mobilenet.model.precision import Precision
    from mobilenet.runtimes.engines import Plan

__all__ = ["command"]


def _names(_context: click.Context, _option: click.Parameter, text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


@click.command(short_help="Export to ONNX, LiteRT or C, float32 and int8, each file proven on photos.")
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--data", type=click.Path(path_type=Path), help="Data set for the proof.  [default: that of the training run]"
)
@click.option("--format", "formats", default="onnx,litert", show_default=True, callback=_names, help="onnx, litert, c.")
@click.option("--precision", "precisions", default="float32,int8", show_default=True, callback=_names)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Output folder.  [default: MODEL's]")
@click.option(
    "--qat", is_flag=True, help="Quantisation-aware fine-tuning: takes minutes, for when int8 loses accuracy."
)
@click.option("--calibration-photos", default=256, show_default=True, help="Photos for calibrating int8 ranges.")
@click.option("--proof-photos", default=1000, show_default=True, help="Maximum number of photos for the proof.")
@click.option("--batch", type=int, help="Fixed batch size of ONNX files.  [default: any]")
@click.option("--raw", is_flag=True, help="Detectors: codes and scores of all prior boxes, not boxes.")
@click.option(
    "--plan",
    type=click.Choice(["speed", "small"]),
    default="speed",
    show_default=True,
    help="C files: the fastest, or the least memory.",
)
@click.option("--seed", default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def command(
    *,
    model: Path,
    data: Path | None,
    formats: tuple[str, ...],
    precisions: tuple[str, ...],
    out: Path | None,
    qat: bool,
    calibration_photos: int,
    proof_photos: int,
    batch: int | None,
    raw: bool,
    plan: str,
    seed: int,
    as_json: bool,
) -> None:
    """Export MODEL, a run folder or a .safetensors file, to files for a device, and prove each of them.

    Each file is opened by its own engine and must agree with the trained network on photos, starting from their bytes:
    in float32 on the outputs; in int8 on the answers, with accuracy within one point and lower latency. Files
    that fail are kept under a name that says so, and the exit code is 1.

    \b
    mobilenet export runs/clothing
    mobilenet export model.safetensors --data photos --format litert --precision int8 --qat
    """
    from mobilenet.export.export import ExportSettings

    settings = ExportSettings(
        model,
        data or _trained_on(model),
        out or _default_folder(model),
        formats,
        cast("tuple[Precision, ...]", precisions),
        calibration_photos,
        proof_photos,
        batch,
        qat,
        seed,
        raw=raw,
        plan=cast("Plan", plan),
    )
    found = _run(settings)
    if as_json:
        print_json(found.to_json())
    else:
        _print(found)
    if found.failures:
        count, total = len(found.failures), len(found.proofs)
        raise GateError(f"{count} of {total} files failed: {' | '.join(found.failures)}")


def _run(settings: "ExportSettings") -> "Exported":
    from mobilenet.export.export import export

    with progress_bars() as bars:
        tasks: dict[str, TaskID] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)

        return export(settings, show)


def _trained_on(model: Path) -> Path:
    """The data set of a run folder; ConfigError if it is not recorded or no longer there."""
    from mobilenet.datasets.remote.urls import expand, is_url
    from mobilenet.runs.config import read_config

    try:
        root = read_config(model if model.is_dir() else model.parent).text("data", "root")
    except DataError:
        root = None
    if root is None or not (is_url(Path(root)) or Path(expand(Path(root))[0]).exists()):
        raise ConfigError(f"no photos to verify {model} with; pass them with --data PHOTOS")
    return Path(root)


def _default_folder(model: Path) -> Path:
    return RunFolder(model).exports if model.is_dir() else model.parent


def _print(found: "Exported") -> None:
    click.echo(found.says)
    for photo in found.left_out:
        click.echo(f"mobilenet: left out {photo.file}: {photo.reason}", err=True)
    goal = found.goal
    header = ("file", "engine", "bytes", "max difference", "agreement", goal.title, "network's", "ms", "proven")
    print_table(f"Files in {found.folder}", header, [_row(proof) for proof in found.proofs], left=2)
    if any(proof.resized for proof in found.proofs):
        _print_resizing(found)
    if found.quantization is not None:
        click.echo(_quantization(found))
    if found.agreement is not None:
        click.echo(f"the int8 files of all formats agree on {found.agreement:.1%} of the {goal.answers or 'photos'}")


def _print_resizing(found: "Exported") -> None:
    """The goal's figure and agreement of each file where photos are shrunk by other methods, a column each."""
    first = next(proof.resized for proof in found.proofs if proof.resized)
    rows = [
        (Path(proof.file).name, *(_resized(one) for one in proof.resized)) for proof in found.proofs if proof.resized
    ]
    noun = found.goal.noun
    title = f"{noun[:1].upper()}{noun[1:]} on {first[0].photos:,} photos shrunk by an app, and agreement with area"
    print_table(title, ("file", *(one.method for one in first)), rows)


def _resized(one: "Resized") -> str:
    if one.method == "area":
        return _percent(one.accuracy)
    return f"{_percent(one.accuracy)} ({one.agreement:.1%})"


def _row(proof: "Proof") -> tuple[str, ...]:
    return (
        Path(proof.file).name,
        proof.runtime,
        f"{proof.size_bytes:,}",
        f"{proof.largest_difference:.1e}",
        f"{proof.agreement:.1%}",
        _percent(proof.accuracy),
        _percent(proof.network_accuracy),
        f"{proof.latency_ms:.2f}",
        "no" if proof.failures else "yes",
    )


def _quantization(found: "Exported") -> str:
    made = found.quantization or {}
    steps = [f"ranges by {made['ranges']}"]
    steps += [name for key, name in _STEPS.items() if made.get(key)]
    errors = made["divergence"]
    return f"int8: {', '.join(steps)}; divergence from the network {min(errors.values()):.2g}"


_STEPS = {
    "equalised": "channels equalised",
    "bias_corrected": "biases corrected",
    "fine_tuned": "quantisation-aware fine-tuning",
}


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"
