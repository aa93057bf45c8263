"""Names that tell the parts of a split: `train/` and `Validation/`, `training_set/` and `test_set/`, `seg_train/` and
`seg_test/`; and folders that may be such parts but are read as classes."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

__all__ = [
    "Mixed",
    "Named",
    "folder_split",
    "is_training",
    "leading_word",
    "mixed_splits",
    "split_of",
    "split_of_values",
    "split_word",
]

_TRAINING = ("train", "training")
_JUDGING = (
    "validation",
    "valid",
    "val",
    "validate",
    "validating",
    "dev",
    "devel",
    "development",
    "eval",
    "evaluation",
    "test",
    "testing",
)
"""The first of these that has photos judges."""

_RANK = {word: rank for rank, word in enumerate((*_TRAINING, *_JUDGING))}
_KIND = {word: "test" if word.startswith("test") else "validation" for word in _JUDGING} | dict.fromkeys(
    _TRAINING, "train"
)

_NEUTRAL = frozenset(
    {
        "data",
        "dataset",
        "datasets",
        "file",
        "files",
        "folder",
        "image",
        "images",
        "img",
        "imgs",
        "of",
        "part",
        "photo",
        "photos",
        "pic",
        "pics",
        "picture",
        "pictures",
        "sample",
        "samples",
        "set",
        "sets",
        "split",
        "splits",
        "subset",
    }
)
"""Words that say nothing about which part it is: `train_images` is `train`."""

_GLUED = re.compile(rf"({'|'.join(sorted(_RANK, key=len, reverse=True))})({'|'.join(sorted(_NEUTRAL))})")
_LEADING = re.compile(rf"({'|'.join(sorted(_RANK, key=len, reverse=True))})(?![a-z])", re.IGNORECASE)
_WORD = re.compile(r"\d+|[^\W\d_]+")
_CAMEL = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[^\W\d_a-zA-Z]+")

_MOST_WRAPPERS = 4
_SHARED = 0.5
"""Share of the classes of the smaller of two folders above which they hold the same classes."""


@dataclass(frozen=True, slots=True)
class Named:
    """The names of the parts of a split: `judging` in the order in which they are tried; `beside` are all others."""

    train: str
    judging: tuple[str, ...]
    beside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mixed:
    """Folders `names` in `parent` that are read as classes but may be parts of a split, the training part first.

    `certain` if their names say so, else they hold the same `classes`; `apart` if each is a whole data set, so that it
    could be given on its own.
    """

    parent: str
    names: tuple[str, ...]
    classes: tuple[str, ...]
    certain: bool
    apart: bool


def split_word(name: str) -> tuple[str, tuple[str, ...]] | None:
    """The word of `name` that tells a part of a split, lower case, and what else it says: `seg_Train_set` is `train`
    of `seg`. None unless exactly one word tells a part."""
    words = [word for text in _WORD.findall(name) for word in _words(text)]
    found = {word for word in words if word in _RANK}
    if len(found) != 1:
        return None
    others = tuple(word for word in words if word not in _RANK and word not in _NEUTRAL)
    # `train2017` and `test1`, but `fold1_train` is not `fold2_train`.
    return found.pop(), () if all(word.isdecimal() for word in others) else others


def leading_word(text: str) -> str | None:
    """The word of a part with which `text` begins, lower case: `train` of `Train-00000-of-00010`."""
    found = _LEADING.match(text)
    return found[1].casefold() if found else None


def is_training(name: str) -> bool:
    """Whether the name is that of a training part."""
    found = split_word(name)
    return found is not None and found[0] in _TRAINING


def split_of(names: Iterable[str]) -> Named | None:
    """The split that these names tell: a training part and others of the same prefix or suffix; None if there is none,
    or more than one."""
    alike: dict[tuple[str, ...], list[str]] = defaultdict(list)
    every = sorted(set(names))
    for name in every:
        if found := split_word(name):
            alike[found[1]].append(name)
    splits = {context: ordered for context, group in alike.items() if (ordered := _ordered(group)) is not None}
    chosen = splits.get(()) or (next(iter(splits.values())) if len(splits) == 1 else None)
    if chosen is None:
        return None
    train, judging = chosen
    return Named(train, judging, tuple(name for name in every if name != train and name not in judging))


def split_of_values(values: Iterable[str]) -> Named | None:
    """The split that the values of a column tell; None unless each names a part, and one of them the training part."""
    every = list(values)
    found = _ordered(every) if all(map(split_word, every)) else None
    if found is None:
        return None
    train, judging = found
    return Named(train, judging, tuple(value for value in sorted(every) if value != train and value not in judging))


def folder_split(children: Callable[[str], Sequence[str]], has_photos: Callable[[str], bool]) -> Named | None:
    """The folders of a split at the top, or below folders that contain nothing else; None if there is none.

    `children` lists the names of the folders in one, "" being the top; `has_photos` tells whether there are any in a
    folder or below it. Names are paths from the top.
    """
    top = ""
    for _ in range(_MOST_WRAPPERS):
        names = children(top)
        if found := split_of(names):
            parts = (_inner(top + name, children, has_photos) for name in (found.train, *found.judging))
            train, *judging = parts
            return Named(train, tuple(judging), tuple(top + name for name in found.beside))
        inside = _up_to_two(name for name in names if has_photos(top + name))
        if len(inside) != 1:
            return None
        top += f"{inside[0]}/"
    return None


def mixed_splits(photos: Mapping[str, int]) -> tuple[Mixed, ...]:
    """Which folders may be parts of a split although they are read as classes, given the number of photos of each
    class, by its path."""
    inner: dict[str, dict[str, dict[str, int]]] = defaultdict(lambda: defaultdict(dict))
    for name, count in photos.items():
        parts = name.split("/")
        for depth, part in enumerate(parts):
            inner["/".join(parts[:depth])][part]["/".join(parts[depth + 1 :])] = count
    named = tuple(found for parent in sorted(inner) if (found := _named_like_parts(parent, inner[parent])))
    if named:
        return named
    # Only where the classes first part: below that, a repetition is one of kinds, not of parts.
    top = next((parent for parent in sorted(inner, key=len) if len(inner[parent]) > 1), None)
    same = None if top is None else _same_classes(top, inner[top])
    return () if same is None else (same,)


def _words(text: str) -> list[str]:
    whole = text.casefold()
    if whole in _RANK or whole.isdecimal():
        return [whole]
    if glued := _GLUED.fullmatch(whole):
        return list(glued.groups())
    parts = [part.casefold() for part in _CAMEL.findall(text)]
    return parts if any(part in _RANK for part in parts) else [whole]


def _ordered(group: Sequence[str]) -> tuple[str, tuple[str, ...]] | None:
    """The training part and the others, in order of preference; None unless there are both."""
    ordered = sorted(group, key=lambda name: (_rank(name), len(name), name))
    train = [name for name in ordered if is_training(name)]
    judging = tuple(name for name in ordered if name not in train)
    return (train[0], judging) if train and judging else None


def _rank(name: str) -> int:
    found = split_word(name)
    return len(_RANK) if found is None else _RANK[found[0]]


def _kind(name: str) -> str | None:
    found = split_word(name)
    return None if found is None else _KIND[found[0]]


def _inner(path: str, children: Callable[[str], Sequence[str]], has_photos: Callable[[str], bool]) -> str:
    """`seg_train/seg_train` for `seg_train`, if that is all it contains."""
    for _ in range(_MOST_WRAPPERS):
        inside = _up_to_two(name for name in children(f"{path}/") if has_photos(f"{path}/{name}"))
        if len(inside) != 1 or _kind(inside[0]) != _kind(path.rpartition("/")[2]):
            break
        path = f"{path}/{inside[0]}"
    return path


def _up_to_two(names: Iterable[str]) -> list[str]:
    found: list[str] = []
    for name in names:
        found.append(name)
        if len(found) == 2:
            break
    return found


def _named_like_parts(parent: str, children: Mapping[str, Mapping[str, int]]) -> Mixed | None:
    """`train station` and `test tube` are classes, but not folders of classes."""
    told = {name: found for name in children if (found := split_word(name))}
    alike: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for name, (_, context) in told.items():
        alike[() if all(inner for inner in children[name]) else context].append(name)
    for group in alike.values():
        if len({_kind(name) for name in group}) > 1:
            names = tuple(sorted(group, key=lambda name: (_rank(name), name)))
            training = sum(map(is_training, names))
            whole = not parent.strip("/") and all(len(children[name]) > 1 for name in names)
            return Mixed(parent, names, (), certain=True, apart=whole and training == 1)
    return None


def _same_classes(parent: str, children: Mapping[str, Mapping[str, int]]) -> Mixed | None:
    largest = max(children, key=lambda name: (is_training(name), sum(children[name].values()), name))
    classes = set(children[largest])
    same = [name for name in sorted(children) if _alike(classes, set(children[name]))]
    if len(same) < 2:
        return None
    names = (largest, *(name for name in same if name != largest))
    return Mixed(parent, names, tuple(sorted(classes))[:3], certain=False, apart=True)


def _alike(one: set[str], other: set[str]) -> bool:
    shared = len(one & other)
    return shared >= 2 and shared > _SHARED * min(len(one), len(other))
