"""`mobilenet export`: a trained network as files for a device, each proven."""

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
    from mobilenet.export.proof.verify import Proof
    from mobilenet.model.precision import Precision

__all__ = ["command"]


def _names(_context: click.Context, _option: click.Parameter, text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


@click.command(short_help="Write ONNX and LiteRT files, float32 and int8, each proven on photos.")
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--data", type=click.Path(path_type=Path), help="Photos to prove it on.  [default: what it was trained on]"
)
@click.option("--format", "formats", default="onnx,litert", show_default=True, callback=_names)
@click.option("--precision", "precisions", default="float32,int8", show_default=True, callback=_names)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder to write to.  [default: MODEL's]")
@click.option("--qat", is_flag=True, help="Fine-tune the 8-bit network with rounding: minutes, for when int8 loses.")
@click.option("--calibration-photos", default=256, show_default=True, help="Photos that ranges are measured on.")
@click.option("--proof-photos", default=1000, show_default=True, help="Photos that prove it, at most.")
@click.option("--batch", type=int, help="Photos at once in an ONNX file.  [default: any number]")
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
    seed: int,
    as_json: bool,
) -> None:
    """Write MODEL, a run folder or a .safetensors file, as files for a device, and prove each of them.

    Every file is opened by its own engine and must answer on photos as the trained network does, from the photos' bytes
    on: the same probabilities in float32; in int8 the same answers, an accuracy within a point, and less time.
    Files that fail are kept under a name that says so, and the exit code is 1.

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
    """The data set of a run folder, where it is still there."""
    from mobilenet.datasets.remote.urls import expand, is_url
    from mobilenet.runs.config import read_config

    try:
        root = read_config(model if model.is_dir() else model.parent).text("data", "root")
    except DataError:
        root = None
    if root is None or not (is_url(Path(root)) or Path(expand(Path(root))[0]).exists()):
        raise ConfigError(f"which photos are to prove {model}? give them with --data PHOTOS")
    return Path(root)


def _default_folder(model: Path) -> Path:
    return RunFolder(model).exports if model.is_dir() else model.parent


def _print(found: "Exported") -> None:
    click.echo(found.says)
    for photo in found.left_out:
        click.echo(f"mobilenet: left out {photo.file}: {photo.reason}", err=True)
    header = ("file", "engine", "bytes", "largest difference", "agreement", "accuracy", "network's", "ms", "proven")
    print_table(f"Files in {found.folder}", header, [_row(proof) for proof in found.proofs], left=2)
    if found.quantization is not None:
        click.echo(_quantization(found))
    if found.agreement is not None:
        click.echo(f"the int8 files of all formats agree on {found.agreement:.1%} of the photos")


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
    errors = made["divergence_nats"]
    return f"int8: {', '.join(steps)}; {min(errors.values()):.2g} nats from the network's answers"


_STEPS = {
    "equalised": "channels equalised",
    "bias_corrected": "biases corrected",
    "fine_tuned": "fine-tuned with rounding",
}


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"
