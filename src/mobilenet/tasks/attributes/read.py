"""The attributes of photos: from columns of 0, 1 and blank, from labels with several names, and from shards with these.

A blank, -1 or ? is unknown, never a no. A list of names is complete: what is not named is not there.
"""

import json
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from mobilenet.datasets.archive import Archive
from mobilenet.datasets.reader import NamedPart, Place, Source
from mobilenet.datasets.remote.urls import spelled
from mobilenet.datasets.sources.endings import unread_line
from mobilenet.datasets.sources.rows import is_table
from mobilenet.datasets.sources.shards import find_shards
from mobilenet.datasets.sources.table import Header, peek, read_cells
from mobilenet.errors import DataError
from mobilenet.model.vocabulary import Vocabulary, listed
from mobilenet.tasks.attributes.cells import (
    NOTHING_KNOWN,
    Fields,
    Said,
    check_names,
    fields_of,
    from_names,
    from_values,
    is_list,
    joined,
    names_in,
    value_of,
    values_of,
)
from mobilenet.tasks.attributes.findings import doubtful, peculiar
from mobilenet.tasks.attributes.targets import UNKNOWN, AttributeTargets

__all__ = ["attribute_targets", "looks_like_attributes", "read_attributes", "read_source"]

_LOOKED_AT = 10_000
"""Rows by which columns are told apart."""

_REMEDY = "give a CSV file with a column of photos and a column of 0, 1 or blank per attribute, or shards with those"
_FIELDS = ("attributes", "labels", "label")
"""Fields of JSON that hold all attributes, the first that there is."""


def looks_like_attributes(data: Path) -> bool:
    """Whether a table's columns are 0, 1 and blank, or its labels several at once; likewise in shards. False for what
    cannot be read."""
    try:
        if is_table(data):
            return _is_of_attributes(*peek(data, _LOOKED_AT))
        shards = find_shards(data)
        return shards is not None and _holds_attributes(shards.read())
    except DataError:
        return False


def read_source(place: Place) -> Source:
    """What a table or shards say of each photo, as `Said`; a folder says nothing. DataError."""
    if isinstance(place, NamedPart):
        return _from_table(place.path, place.whole, place.name)
    if not isinstance(place, Path):
        return _from_archive(place.path, place.read())
    if is_table(place):
        return _from_table(place, place)
    shards = find_shards(place)
    if shards is not None:
        return _from_archive(place, shards.read())
    return Source(place, place, {}, notes=(f"{place} says nothing of attributes",), remedy=_REMEDY)


def read_attributes(
    data: Path, train: Source, judges: Source | None
) -> tuple[Vocabulary, AttributeTargets, AttributeTargets | None]:
    """The attributes of which a value is known in training, in the order of their columns, or sorted if they come from
    lists of names, and the values of each photo. DataError if no attribute has both photos with it and without."""
    said = list(train.annotations.values())
    names = names_in(said)
    values = values_of(said, names)
    known = (values != UNKNOWN).any(0)
    if not known.any():
        raise DataError(
            f"{spelled(data)}: no value of any attribute is known for the training photos; write 1 where a photo has "
            "it and 0 where it has not"
        )
    if not ((values == 1).any(0) & (values == 0).any(0)).any():
        raise DataError(
            f"{spelled(data)}: every attribute is the same on all training photos where it is known, so there is "
            "nothing to learn; write 1 where a photo has it, 0 where it has not, and nothing where that is unknown"
        )
    kept = tuple(name for name, some in zip(names, known.tolist(), strict=True) if some)
    targets = AttributeTargets(values[:, known])
    return Vocabulary(kept), targets, None if judges is None else attribute_targets(judges, kept, "training")


def attribute_targets(source: Source, names: Sequence[str], owner: str) -> AttributeTargets:
    """The values of the photos for these attributes, unknown for those that the source does not have; DataError names
    an attribute, known for some photo, that `owner` lacks."""
    said = list(source.annotations.values())
    own = names_in(said)
    unknown = [name for name in own if name not in set(names)]
    unknown = [name for name in unknown if (values_of(said, [name]) != UNKNOWN).any()]
    if unknown:
        raise DataError(
            f"{spelled(source.path)} has attributes that {owner} lacks: {listed(unknown, 3)}; its attributes are "
            f"{listed(names, 5)}: remove those columns"
        )
    if not set(own) & set(names):
        raise DataError(
            f"{spelled(source.path)} has none of the attributes that {owner} has: {listed(names, 5)}; rename its "
            "columns"
        )
    return AttributeTargets(values_of(said, names))


def _is_of_attributes(header: Header, rows: list[list[str]]) -> bool:
    if header.file is None:
        return False
    fields = _columns(header, rows)
    known = {name for name in fields.values if any(value_of(row[int(name)]) in (0, 1) for row in rows)}
    if header.label is None:
        # Of a lone column of words, and of one of 0 and 1 beside others, nobody knows whether they are classes.
        return len(known) + len(fields.in_words) > 1 or (bool(known) and not fields.others)
    if str(header.label) in known:
        return len(known) > 1
    return not known and any(is_list(row[header.label]) for row in rows)


def _columns(header: Header, rows: list[list[str]]) -> Fields:
    """The columns, by their places, and what they hold."""
    named = [place for place in header.others if header.names[place]]
    return fields_of(({str(place): row[place] for place in named} for row in rows), _LOOKED_AT)


def _places(fields: Sequence[str]) -> tuple[int, ...]:
    return tuple(sorted(map(int, fields)))


def _from_table(path: Path, file: Path, part: str | None = None) -> Source:
    header, rows = peek(file, _LOOKED_AT)
    fields, label = _columns(header, rows), header.label
    asked, ignored = (fields.in_words, ()) if label is None else ((), fields.in_words)
    columns, unused = _places((*fields.values, *asked)), _places((*fields.others, *ignored))
    if label is not None and label in unused and (not columns or any(is_list(row[label]) for row in rows)):
        table = read_cells(file, (label,), part)
        said = {name: _of_lists(row) for name, row in table.rows.items()}
        unused = tuple(place for place in header.others if place != label)
    elif columns or header.file is None:
        check_names(file, [header.names[place] for place in columns], "columns")
        table = read_cells(file, columns, part)
        said = {name: _of_columns(file, name, table.columns, row) for name, row in table.rows.items()}
    else:
        raise DataError(f"{file} has no column of attributes: {_without_values(header, rows)}")
    return _source(path, file.parent, said, (*table.notes, *_unused(file, [header.names[place] for place in unused])))


def _without_values(header: Header, rows: list[list[str]]) -> str:
    """What stands in the first column instead of values, and what to do."""
    advice = "write 1, 0, or nothing where it is unknown"
    for place in header.others:
        said = next((row[place] for row in rows if value_of(row[place]) is None), None)
        if said is not None:
            return f"{header.names[place]} is {said!r}; {advice}"
    return f"it has {', '.join(header.names)}; {advice} in a column for each attribute"


def _of_columns(file: Path, name: str, columns: tuple[str, ...], rows: Sequence[tuple[int, tuple[str, ...]]]) -> Said:
    found: Said | None = None
    for line, cells in rows:
        values = [value_of(cell) for cell in cells]
        if None in values:
            wrong = values.index(None)
            raise DataError(
                f"{file} line {line}: {columns[wrong]} is {cells[wrong]!r}; use 1, 0, or nothing where it is unknown"
            )
        said = from_values(columns, [value for value in values if value is not None])
        both = said if found is None else joined(found, said)
        if both is None and found is not None:
            differs = next(
                column
                for column, one, other in zip(columns, found.values, said.values, strict=True)
                if {one, other} == {0, 1}
            )
            raise DataError(f"{file} line {line}: {name} has another {differs} than on line {rows[0][0]}; remove one")
        found = both
    return found or NOTHING_KNOWN


def _of_lists(rows: Sequence[tuple[int, tuple[str, ...]]]) -> Said:
    found = NOTHING_KNOWN
    for _, (cell,) in rows:
        said = from_names(cell)
        found = said if found is NOTHING_KNOWN else joined(found, said) or found
    return found


def _unused(file: Path, names: Sequence[str]) -> Iterator[str]:
    if names:
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        yield f"{file}: columns that are not 0, 1 or blank are not used: {', '.join(names[:5])}{more}"


def _holds_attributes(archive: Archive) -> bool:
    if archive.about:
        rows = list(islice(archive.about.values(), _LOOKED_AT))
        if any(_field(row) is not None for row in rows):
            return True
        if _has_lists_alone(archive):
            return True
        fields = fields_of(rows, _LOOKED_AT)
        if fields.others or (fields.in_words and archive.classes):
            # Other JSON speaks of sizes and authors; a class is then said elsewhere.
            return False
        return bool(fields.in_words) or any(value_of(row.get(name)) in (0, 1) for row in rows for name in fields.values)
    return any(map(is_list, set(archive.classes.values())))


def _has_lists_alone(archive: Archive) -> bool:
    """Whether labels are several names at once, and no other JSON beside the photos says it."""
    return any(map(is_list, set(archive.classes.values()))) and all(
        _field(row) is None for row in archive.about.values()
    )


def _field(about: Mapping[str, object]) -> object | None:
    """What holds all attributes at once: an object, a list, or several names in a text."""
    for name in _FIELDS:
        found = about.get(name)
        if isinstance(found, dict | list) or (isinstance(found, str) and name != "label" and is_list(found)):
            return found
    return None


def _from_archive(path: Path, archive: Archive) -> Source:
    notes = [f"{spelled(path)}: {unread_line(archive.unread)}"] if archive.unread else []
    found = fields_of(archive.about.values(), _LOOKED_AT)
    fields = (*found.values, *found.in_words)
    names = dict.fromkeys([*archive.classes, *archive.about])
    lists = not archive.about or _has_lists_alone(archive)
    said = {
        file: from_names(archive.classes[file]) if lists else _of_json(path, file, archive.about.get(file, {}), fields)
        for file in names
    }
    return _source(path, path, said, tuple(notes), archive)


def _of_json(path: Path, file: str, about: Mapping[str, object], fields: tuple[str, ...]) -> Said:
    found = _field(about)
    if isinstance(found, str):
        return from_names(found)
    where = f"{spelled(path)}: {file}"
    if isinstance(found, list):
        if wrong := [item for item in found if not _is_name(item)]:
            raise DataError(f"{where} has {json.dumps(wrong[0])} in its list of attributes; give their names alone")
        return from_names(map(str, found))
    told = found if isinstance(found, dict) else {name: about.get(name) for name in fields}
    names = tuple(unicodedata.normalize("NFC", name.strip()) for name in told)
    if len(set(names)) < len(names):
        check_names(where, names)
    values = [value_of(value) for value in told.values()]
    for name, said, value in zip(names, told.values(), values, strict=True):
        if value is None:
            raise DataError(f"{where} says {said!r} of {name}; use 1, 0, or null where it is unknown")
    return from_values(names, [value for value in values if value is not None])


def _is_name(item: object) -> bool:
    """Whether an item of a list in JSON is a name, or the number of one."""
    return type(item) is int or (isinstance(item, str) and bool(item.strip()))


def _source(
    path: Path, root: Path, said: Mapping[str, Said], notes: tuple[str, ...], archive: Archive | None = None
) -> Source:
    names = names_in(said.values())
    check_names(spelled(path), names)
    values = values_of(list(said.values()), names)
    wrong = tuple(f"{spelled(path)}: {line}" for line in doubtful(values, names))
    odd = tuple(f"{spelled(path)}: {line}" for line in peculiar(values, names, list(said)))
    return Source(
        path,
        root,
        said,
        None if archive is None else archive.members,
        (*notes, *wrong, *odd),
        unread={} if archive is None else archive.unread,
        doubtful=wrong,
        peculiar=odd,
        remedy=_REMEDY,
    )
