"""The photos most like others -> one self-contained HTML file, with the photos themselves."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mobilenet import __version__
from mobilenet.datasets.remote.urls import full_name
from mobilenet.files import atomic_write
from mobilenet.images.decode import read_photo
from mobilenet.report.draw.environment import environment
from mobilenet.report.draw.thumbnails import thumbnail
from mobilenet.retrieval.similar import Match, Similar

__all__ = ["write_similar_page"]

_QUERIES = 100
"""Queries that are shown."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A photo with its thumbnail, a `data:` URL; None if the file is gone."""

    match: Match
    image: str | None


@dataclass(frozen=True, slots=True)
class _Asked:
    """A query with its thumbnail, and what is like it."""

    name: str
    image: str | None
    found: tuple[_Found, ...]


def write_similar_page(answers: Sequence[Similar], folder: Path, threshold: float | None, path: Path) -> None:
    """Write the page of queries that were answered from the photos in `folder`, completely or not at all; `threshold`
    is the cosine from which on two photos show the same. StorageError."""
    html = (
        environment()
        .get_template("similar.html")
        .render(
            {
                "version": __version__,
                "title": Path(full_name(folder)).name,
                "queries": tuple(_asked(answer, folder) for answer in answers[:_QUERIES]),
                "total": len(answers),
                "threshold": threshold,
            }
        )
    )
    with atomic_write(path) as file:
        # file names may contain bytes that are not UTF-8
        file.write(html.encode("utf-8", "replace"))


def _asked(answer: Similar, folder: Path) -> _Asked:
    found = tuple(_Found(match, _image(folder / match.file)) for match in answer.matches)
    return _Asked(str(answer.query), _image(answer.query), found)


def _image(file: Path) -> str | None:
    return thumbnail(lambda name: read_photo(Path(name)), str(file))
