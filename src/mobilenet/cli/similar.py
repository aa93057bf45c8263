"""`mobilenet similar`: the photos of a folder that are most like others."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mobilenet.cli.console import print_json, shown
from mobilenet.cli.progress import progress_bars

if TYPE_CHECKING:
    from mobilenet.retrieval.similar import Similar
    from mobilenet.runtimes.predictor import Predictor

__all__ = ["command"]


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("queries", metavar="QUERY...", nargs=-1, required=True)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--top", default=5, show_default=True, type=click.IntRange(1), help="Photos per query.")
@click.option(
    "--index", type=click.Path(path_type=Path, file_okay=False), help="Where vectors are kept.  [default: cache]"
)
@click.option("--exact", is_flag=True, help="Compare every photo, also of many.")
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write an HTML page with the photos.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def command(
    *,
    model: Path,
    queries: tuple[str, ...],
    folder: Path,
    top: int,
    index: Path | None,
    exact: bool,
    html: Path | None,
    as_json: bool,
) -> None:
    """Find the photos in FOLDER and below that are most like each QUERY, by the vectors of MODEL.

    Queries are files and folders (searched recursively); - reads paths from stdin, one per line. A similarity is the
    cosine of two vectors, -1 to 1. If MODEL has a threshold, photos at or above it are marked as the same. Vectors are
    kept, with an index for many: later only new and changed photos are computed. Photos that cannot be read are named
    on stderr and skipped; the exit code is 2 if no query could be read.
    """
    from mobilenet.errors import DataError
    from mobilenet.retrieval.similar import threshold_of
    from mobilenet.runtimes.predictor import open_model

    if html is not None:
        from mobilenet.report.draw.environment import check_page

        check_page(html)
    predictor = open_model(model)
    photos, answers = _search(model, predictor, queries, folder, top, index, exact=exact)
    for answer in answers:
        if answer.reason is not None:
            _note(f"{answer.query}: {answer.reason}")
    answered = [answer for answer in answers if answer.reason is None]
    if not answered:
        raise DataError("no query could be read; the reason for each is above")
    threshold = threshold_of(predictor)
    if html is not None:
        from mobilenet.report.similar_page import write_similar_page

        write_similar_page(answered, folder, threshold, html)
    if as_json:
        print_json(_document(answered, photos, threshold))
    else:
        _print(answered, html)


def _search(
    model: Path,
    predictor: "Predictor",
    queries: tuple[str, ...],
    folder: Path,
    top: int,
    index: Path | None,
    *,
    exact: bool,
) -> "tuple[int, list[Similar]]":
    """How many photos there are to find, and what is found for each query."""
    from mobilenet.cli.predict import paths_of
    from mobilenet.errors import DataError
    from mobilenet.retrieval.embed import gallery
    from mobilenet.retrieval.index import EXACT_MOST
    from mobilenet.retrieval.similar import Similar, find_similar, search_of

    with progress_bars() as bars:
        names = ("computing vectors", "building the index", "searching")
        work = {name: bars.add_task(name, visible=False) for name in names}

        def tell(name: str) -> Callable[[int, int], None]:
            return lambda done, total: bars.update(work[name], completed=done, total=total, visible=done < total)

        with gallery(model, predictor, folder, index=index, note=_note, progress=tell(names[0])) as found:
            for photo in found.left_out:
                _note(f"{folder / photo.file}: {photo.reason}")
            if not found.files:
                raise DataError(f"no photo in {folder} could be read; the reason for each is above")
            most = len(found.files) if exact else EXACT_MOST
            search = search_of(found, _note, tell(names[1]), most)
            paths = [*paths_of(queries)]
            answers, searching = list[Similar](), tell(names[2])
            for answer in find_similar(predictor, found, search, paths, top):
                answers.append(answer)
                searching(len(answers), len(paths))
            return len(found.files), answers


def _document(answers: "Sequence[Similar]", photos: int, threshold: float | None) -> dict[str, Any]:
    queries = [
        {
            "file": str(answer.query),
            "similar": [
                {
                    "file": match.file,
                    "similarity": match.similarity,
                    **({} if match.same is None else {"same": match.same}),
                }
                for match in answer.matches
            ],
        }
        for answer in answers
    ]
    return {"photos": photos, "threshold": threshold, "queries": queries}


def _print(answers: "Sequence[Similar]", html: Path | None) -> None:
    for answer in answers:
        click.echo(shown(str(answer.query)))
        for match in answer.matches:
            click.echo(f"  {match.similarity:6.3f}  {shown(match.file)}{'  same' if match.same else ''}")
    if html is not None:
        click.echo(f"page  {html}")


def _note(text: str) -> None:
    click.echo(f"mobilenet: {shown(text)}", err=True)
