"""Photos with their answers -> one self-contained HTML file: each answer drawn on its photo, and what else it shows."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mobilenet import __version__
from mobilenet.datasets.remote.urls import full_name
from mobilenet.files import atomic_write
from mobilenet.report.draw.environment import check_page, environment
from mobilenet.report.draw.sections import Block, drawn_blocks
from mobilenet.report.draw.thumbnails import drawn_thumbnail
from mobilenet.tasks.task import Answer

__all__ = ["AnswersPage"]

_MOST_PHOTOS = 100
"""That are shown."""


@dataclass(frozen=True, slots=True)
class _Answered:
    """A photo: `image` is a `data:` URL, None if it cannot be read any more; `words` say what is drawn on it."""

    name: str
    image: str | None
    words: str
    blocks: tuple[Block, ...]


class AnswersPage:
    """Writes predictions, those of the first 100 photos, as a page; a `tasks.task.Writer`."""

    def __init__(self, path: Path, model: Path) -> None:
        """`model` is what the page is named after; StorageError, ModuleNotFoundError without Jinja."""
        check_page(path)
        self._path, self._title = path, Path(full_name(model)).name
        self._photos, self._total = list[_Answered](), 0

    def add(self, _name: PurePosixPath, photo: Path, answer: Answer) -> None:
        """Draws the answer on its photo."""
        self._total += 1
        if self._total <= _MOST_PHOTOS:
            blocks = drawn_blocks(f"photo-{self._total}", answer.parts())
            words = "; ".join(answer.lines())
            self._photos.append(_Answered(str(photo), drawn_thumbnail(photo, answer.drawn), words, blocks))

    def finish(self) -> None:
        """Writes the page, unless there was no photo; StorageError."""
        if not self._photos:
            return
        facts = {"version": __version__, "title": self._title, "photos": self._photos, "total": self._total}
        html = environment().get_template("answers.html").render(facts)
        with atomic_write(self._path) as file:
            # file names may contain bytes that are not UTF-8
            file.write(html.encode("utf-8", "replace"))
