"""`mobilenet embed`: the vectors of the photos in a folder, as a file."""

from pathlib import Path

import click

from mobilenet.cli.console import print_json, shown
from mobilenet.cli.progress import progress_bar

__all__ = ["command"]


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write: .parquet (file_name, vector) or .npy.",
)
@click.option(
    "--index", type=click.Path(path_type=Path, file_okay=False), help="Where vectors are kept.  [default: cache]"
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def command(*, model: Path, folder: Path, out: Path, index: Path | None, as_json: bool) -> None:
    """Write the vectors that MODEL, a run folder or a model file, gives the photos in FOLDER and below.

    Vectors are kept: an interrupted command resumes where it stopped, and later only new and changed photos are
    computed. Photos that cannot be read are named on stderr and skipped; the exit code is 2 if none could be read.
    """
    from mobilenet.errors import DataError
    from mobilenet.files import check_writable
    from mobilenet.retrieval.embed import gallery
    from mobilenet.retrieval.table import check_format, write_vectors
    from mobilenet.runtimes.predictor import open_model

    check_format(out)
    check_writable(out.parent)
    predictor = open_model(model)
    with (
        progress_bar("computing vectors") as progress,
        gallery(model, predictor, folder, index=index, note=_note, progress=progress) as found,
    ):
        for photo in found.left_out:
            _note(f"{photo.file}: {photo.reason}")
        if not found.files:
            raise DataError("no photo could be read; the reason for each is above")
        write_vectors(found, out)
        document = {
            "file": str(out),
            "photos": len(found.files),
            "dimensions": found.store.dimensions,
            "computed": found.computed,
            "gone": found.gone,
            "left_out": [{"file": photo.file, "reason": photo.reason} for photo in found.left_out],
        }
    if as_json:
        print_json(document)
        return
    click.echo(f"{document['photos']:,} vectors of {document['dimensions']:,} numbers in {out}")
    click.echo(
        f"photos new or changed since they were last computed: {document['computed']:,}; gone: {document['gone']:,}"
    )


def _note(text: str) -> None:
    click.echo(f"mobilenet: {shown(text)}", err=True)
