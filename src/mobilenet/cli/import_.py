"""`mobilenet import`: converts weights of other tools to a model file."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mobilenet.cli.console import print_json, print_table

if TYPE_CHECKING:
    from mobilenet.model.card import ModelCard
    from mobilenet.weights.match import Imported

__all__ = ["command"]

_Triple = tuple[float, float, float]


def _triple(_context: click.Context, _option: click.Parameter, text: str | None) -> _Triple | None:
    """One number for all channels, or three for R, G and B."""
    if text is None:
        return None
    try:
        numbers = [float(part) for part in text.split(",")]
        first, second, third = numbers * 3 if len(numbers) == 1 else numbers
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not a number such as 127.5, or three such as 124,116,104") from error
    return first, second, third


@click.command(short_help="Import weights from other tools: TFLite, Keras, timm, hf://owner/name.")
@click.argument("source")
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="Model file to write.")
@click.option("--labels", type=click.Path(path_type=Path), help="Class names, one per line, in output order.")
@click.option("--mean", metavar="M", callback=_triple, help="Mean in pixel values, 0 to 255: one number, or R,G,B.")
@click.option("--std", metavar="S", callback=_triple, help="Standard deviation: network input = (pixel - M) / S.")
@click.option("--vectors", is_flag=True, help="Drop the classifier: the model gives the vector before it.")
@click.option("--resolution", type=int, help="Input resolution in pixels, a multiple of 32.  [default: the file's]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def command(
    *,
    source: str,
    out: Path,
    labels: Path | None,
    mean: _Triple | None,
    std: _Triple | None,
    vectors: bool,
    resolution: int | None,
    as_json: bool,
) -> None:
    """Read the MobileNet V1 in SOURCE and write it as a model file of this tool.

    SOURCE is a TFLite file (float32 or 8-bit), a Keras HDF5 file, a timm safetensors file, or hf://owner/name.
    Options override what the file says; assumptions are printed. Without a classifier, the model gives vectors;
    a TFLite file that ends in TFLite_Detection_PostProcess becomes a detector.

    \b
    mobilenet import mobilenet_v1_0.5_160_quant.tflite --out model.safetensors
    mobilenet import vww_96.h5 --labels names.txt --mean 0 --std 255 --out model.safetensors
    """
    from mobilenet.tasks import card_ending_in
    from mobilenet.weights.read import import_weights

    if vectors and labels is not None:
        raise click.UsageError("--vectors drops the classifier, and --labels names its classes; omit one")
    imported = import_weights(source, labels=labels, resolution=resolution, mean=mean, std=std)
    if vectors or not imported.card.outputs:
        imported = _as_vectors(imported)
    else:
        imported = replace(imported, card=card_ending_in(imported.card, imported.ending))
    _write(imported, source, out)
    if as_json:
        print_json({**_document(imported), "model": str(out)})
    else:
        _print(imported, source, out)


def _as_vectors(imported: "Imported") -> "Imported":
    """The network without its head, as a model of vectors; notes on class names go with it."""
    from mobilenet.tasks import vectors_card

    card = vectors_card(imported.card)
    card = replace(card, provenance={**card.provenance, "notes": list(imported.notes)})
    rows = tuple(f"{row.name}." for row in card.network().rows)
    kept = {name: values for name, values in imported.tensors.items() if name.startswith(rows)}
    return replace(imported, card=card, tensors=kept, label_notes=())


def _write(imported: "Imported", source: str, out: Path) -> None:
    from mobilenet.nn.model_file import network_of_arrays, write_model

    write_model(out, network_of_arrays(imported.card, imported.tensors, Path(source)), imported.card)


def _document(imported: "Imported") -> dict[str, object]:
    card = imported.card
    return {
        "architecture": card.architecture,
        "width_multiplier": card.width_multiplier,
        "resolution": card.resolution,
        "padding": card.style.padding,
        "activation": card.style.activation,
        "batch_norm": card.style.batch_norm,
        "epsilon": card.style.epsilon,
        "classes": len(card.labels),
        "vectors": None if card.labels else card.outputs[0].size,
        "preprocessing": card.preprocessing.to_json(),
        "source": card.provenance["source"],
        "notes": card.provenance["notes"],
    }


def _print(imported: "Imported", source: str, out: Path) -> None:
    from mobilenet.tasks import task_of_model

    card = imported.card
    rows = [
        ("architecture", f"{card.architecture}, width {card.width_multiplier:g}"),
        ("resolution", f"{card.resolution} pixels"),
        ("padding", card.style.padding),
        ("activation", card.style.activation),
        ("batch norm", f"epsilon {card.style.epsilon:g}" if card.style.batch_norm else "folded into the filters"),
        (task_of_model(card.task, source).vocabulary_noun, _names(card)),
        ("network input", f"(pixel - {_numbers(card.preprocessing.mean)}) / {_numbers(card.preprocessing.std)}"),
        ("crop", "none" if (crop := card.preprocessing.crop_fraction) is None else f"the centre {crop:.1%}"),
    ]
    print_table(f"{source} -> {out}", ("found", ""), rows, left=2)
    for note in card.provenance["notes"]:
        click.echo(f"mobilenet: {note}", err=True)


def _names(card: "ModelCard") -> str:
    if not card.labels:
        return f"none: vectors of {card.outputs[0].size:,} numbers"
    shown = "; ".join(card.labels[:3])
    return f"{len(card.labels):,}: {shown}{', …' if len(card.labels) > 3 else ''}"


def _numbers(values: _Triple) -> str:
    different = values[:1] if len(set(values)) == 1 else values
    return ", ".join(f"{value:g}" for value in different)
