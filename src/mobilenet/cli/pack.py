"""`mobilenet pack`: packs a data set into a few large files."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mobilenet.cli.console import print_json, shown
from mobilenet.cli.params import SIZE_HELP, Bytes
from mobilenet.cli.progress import progress_bar

if TYPE_CHECKING:
    from mobilenet.datasets.pack import Packed

__all__ = ["command"]


@click.command(epilog=SIZE_HELP)
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="New folder for the shards.")
@click.option(
    "--val", "validation", type=click.Path(path_type=Path), help="Validation photos: folder, CSV file or shards."
)
@click.option("--exclude", type=click.Path(path_type=Path), help="List of photos to leave out; see mobilenet check.")
@click.option("--shard-size", type=Bytes("256MB"), default="256MB", show_default=True, help="Maximum size of a shard.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the shuffle.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def command(
    *,
    data: Path,
    out: Path,
    validation: Path | None,
    exclude: Path | None,
    shard_size: int,
    seed: int,
    as_json: bool,
) -> None:
    """Pack the photos of DATA into WebDataset shards (tar files), which every command accepts in place of DATA.

    Photos keep their bytes, names and classes, and the split if DATA has one. Those that cannot be decoded are named
    and left out. Nothing in DATA is changed; --out is written completely or not at all.

    \b
    mobilenet pack photos/ --out shards/
    mobilenet train shards/
    """
    from mobilenet.datasets.exclusions import read_exclusions
    from mobilenet.datasets.pack import pack
    from mobilenet.tasks import task_of

    with progress_bar("packing") as progress:
        packed = pack(
            data,
            task_of(data),
            out,
            validation=validation,
            exclude=read_exclusions(exclude),
            shard_bytes=shard_size,
            seed=seed,
            progress=progress,
        )
    if as_json:
        print_json(_document(packed))
        return
    for note in packed.notes:
        click.echo(f"mobilenet: {shown(note)}", err=True)
    for photo in packed.left_out:
        click.echo(f"mobilenet: left out {shown(photo.file)}: {photo.reason}", err=True)
    shards = f"{len(packed.shards):,} shard{'s' if len(packed.shards) > 1 else ''}"
    click.echo(f"{packed.photos:,} photos in {shards}, {packed.bytes:,} bytes")
    click.echo(f"train with: mobilenet train {shown(str(packed.folder))}")


def _document(packed: "Packed") -> dict[str, object]:
    return {
        "folder": str(packed.folder),
        "shards": list(packed.shards),
        "bytes": packed.bytes,
        "photos": packed.photos,
        "left_out": [{"file": photo.file, "reason": photo.reason} for photo in packed.left_out],
        "notes": list(packed.notes),
    }
