"""The Jinja environment of the page templates."""

from pathlib import Path
from typing import TYPE_CHECKING

from mobilenet.files import check_writable
from mobilenet.report.draw import formats

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["check_page", "environment"]


def check_page(path: Path) -> None:
    """Check before long work that a page can be written to `path`: StorageError, ModuleNotFoundError without Jinja."""
    environment()
    check_writable(path.parent)


def environment() -> "Environment":
    """The templates with their filters; everything is escaped, and an undefined name is an error."""
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parents[1] / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        percent=formats.percent,
        known=formats.known,
        capitalised=formats.capitalised,
        spaced=formats.spaced,
        count=formats.count,
        size=formats.size,
        duration=formats.duration,
        short=formats.short,
    )
    return made
