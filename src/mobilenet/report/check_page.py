"""The result of a check -> one self-contained HTML file, with the pictures side by side to judge by eye."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from mobilenet import __version__
from mobilenet.datasets.check.findings import Check, Copies, Member
from mobilenet.datasets.remote.urls import short_name
from mobilenet.datasets.sources.find import base_of, photo_reader
from mobilenet.files import atomic_write
from mobilenet.report.draw.environment import environment
from mobilenet.report.draw.thumbnails import marked_thumbnail, thumbnail

__all__ = ["write_check_page"]

_GROUPS = 60
"""Pictures with copies shown per section."""

_SHOWN_OF_A_GROUP = 6
_ODD = 48
_DRAWN = 60
_ROWS = 500


@dataclass(frozen=True, slots=True)
class _Photo:
    """A photo with its thumbnail, a `data:` URL; None if the file is gone."""

    member: Member
    image: str | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Drawing:
    """A photo whose labels are drawn on it, once or, if `wide`, twice."""

    file: str
    title: str
    captions: str
    image: str | None
    wide: bool


@dataclass(frozen=True, slots=True)
class _Group:
    """The photos of one picture, of which the first are shown."""

    photos: tuple[_Photo, ...]
    more: int
    exact: bool


@dataclass(frozen=True, slots=True)
class _Section:
    """Pictures with copies of one kind."""

    name: str
    title: str
    note: str
    groups: tuple[_Group, ...]
    total: int


def write_check_page(check: Check, path: Path) -> None:
    """Write the page of `check` to `path`, completely or not at all; StorageError."""
    html = environment().get_template("check.html").render(_context(check))
    with atomic_write(path) as file:
        # file names may contain bytes that are not UTF-8
        file.write(html.encode("utf-8", "replace"))


def _context(check: Check) -> dict[str, Any]:
    data = Path(check.data)
    read = photo_reader(base_of(data))
    odd = [
        _Photo(item.photo, thumbnail(read, item.photo.file), f"{item.width} × {item.height}: {item.reason}")
        for item in check.odd[:_ODD]
    ]
    return {
        "check": check,
        "version": __version__,
        "title": short_name(data),
        "faults": check.faults(),
        "remarks": check.remarks(),
        "headline": _headline(check),
        "sections": tuple(section for section in _sections(check, read) if section.total),
        "odd": odd,
        "drawn": tuple(_drawn(check, read)),
        "most": max((size.train + size.validation for size in check.classes), default=1) or 1,
        "rows": _ROWS,
    }


def _headline(check: Check) -> list[tuple[str, str, str]]:
    readable = check.photos - len(check.broken)
    return [
        ("Photos", f"{readable:,}", "readable"),
        ("Unreadable", f"{len(check.broken):,}", "files"),
        ("Across the split", f"{len(check.leaks):,}", "pictures on both sides"),
        (check.contradiction.capitalize(), f"{len(check.conflicts):,}", "pictures"),
        ("Duplicates", f"{len(check.repeats):,}", "pictures with the same labels"),
        (
            check.noun.capitalize(),
            f"{len(check.classes):,}",
            f"{len(check.few) + len(check.missing)} with few photos or none",
        ),
    ]


def _sections(check: Check, read: Callable[[str], bytes]) -> Iterator[_Section]:
    kinds = (
        (
            "leaks",
            "On both sides of the split",
            "Both trained and validated on: they inflate the results.",
            check.leaks,
        ),
        (
            "conflicts",
            check.contradiction.capitalize(),
            "The same picture with labels that contradict each other: some of them are wrong.",
            check.conflicts,
        ),
        ("repeats", "Duplicates", "On one side and under one label: such pictures carry extra weight.", check.repeats),
    )
    for name, title, note, groups in kinds:
        yield _Section(name, title, note, tuple(_shown(check, read, islice(groups, _GROUPS))), len(groups))


def _shown(check: Check, read: Callable[[str], bytes], groups: Iterable[Copies]) -> Iterator[_Group]:
    for group in groups:
        photos = tuple(_Photo(photo, _image(check, read, photo.file)) for photo in group.photos[:_SHOWN_OF_A_GROUP])
        yield _Group(photos, len(group.photos) - len(photos), group.exact)


def _image(check: Check, read: Callable[[str], bytes], file: str) -> str | None:
    marks = check.marks.get(file)
    return thumbnail(read, file) if marks is None else marked_thumbnail(read, file, [marks])


def _drawn(check: Check, read: Callable[[str], bytes]) -> Iterator[_Drawing]:
    for drawn in check.drawn[:_DRAWN]:
        captions = " | ".join(caption for caption, _ in drawn.views if caption)
        image = marked_thumbnail(read, drawn.photo, [marks for _, marks in drawn.views])
        yield _Drawing(drawn.photo, drawn.title, captions, image, len(drawn.views) > 1)
