"""What a check of a data set found, as plain values.

fault     changes what is learnt or measured: a photo that cannot be read, a picture on both sides of the split,
          a picture with two labels, two classes whose names differ only in case, a class without training photos,
          photos in a format that is not read, parts of a split that are read as classes, labels that cannot be learnt
remark    worth knowing: copies within a class, few photos, imbalance, odd sizes, file names that differ only in case,
          files that are not photos, folders with the same classes, labels that always go together
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from mobilenet.datasets.reader import Drawn
from mobilenet.datasets.sources.endings import unread_photos
from mobilenet.images.overlay import Mark

__all__ = ["FEW_PHOTOS", "Broken", "Check", "ClassSize", "Copies", "Member", "Odd", "Split"]

Split = Literal["train", "validation"]

FEW_PHOTOS = 10
"""A class with fewer training photos is reported."""

_UNEVEN = 10
"""Ratio of the largest class to the smallest above which imbalance is reported."""


@dataclass(frozen=True, slots=True)
class Member:
    """One photo: its file relative to the data set (absolute if it is elsewhere), its label and its split."""

    file: str
    split: Split
    label: str


@dataclass(frozen=True, slots=True)
class Broken:
    """A photo that cannot be decoded, and the reason."""

    photo: Member
    reason: str


@dataclass(frozen=True, slots=True)
class Copies:
    """Photos of one picture; `exact` if the files are identical byte for byte, `conflict` if their labels contradict
    each other."""

    photos: tuple[Member, ...]
    exact: bool
    conflict: bool

    @property
    def leak(self) -> bool:
        """Whether the picture is in both training and validation."""
        return len({photo.split for photo in self.photos}) > 1


@dataclass(frozen=True, slots=True)
class Odd:
    """A photo of an odd size (pixels) or of one colour, and which of these."""

    photo: Member
    width: int
    height: int
    reason: str


@dataclass(frozen=True, slots=True)
class ClassSize:
    """The number of decodable photos of a class."""

    name: str
    train: int
    validation: int


@dataclass(frozen=True, slots=True)
class Check:
    """All findings in `photos` files; `split` describes where the validation photos come from.

    `empty` are folders without photos; `clashes` files, and `same_names` classes, whose names differ only in case.
    `unread` counts the files that are not read, by the ending of their names. `mixed` and `alike`, a line each, are
    folders that are named like the parts of a split but read as classes, and folders with the same classes.
    `doubtful` and `peculiar`, a line each: what is wrong with the labels themselves, and what is worth knowing of them.
    `noun` is the plural for the names of the task's vocabulary, here called classes; `contradiction` what pictures with
    a conflict have. `drawn` are photos to look at, named as in `Member`, and `marks` what to draw on those of copies.
    """

    data: str
    split: str
    photos: int
    classes: tuple[ClassSize, ...]
    broken: tuple[Broken, ...]
    copies: tuple[Copies, ...]
    odd: tuple[Odd, ...]
    empty: tuple[str, ...]
    clashes: tuple[tuple[str, ...], ...]
    same_names: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    unread: Mapping[str, int] = field(default_factory=dict)
    mixed: tuple[str, ...] = ()
    alike: tuple[str, ...] = ()
    doubtful: tuple[str, ...] = ()
    peculiar: tuple[str, ...] = ()
    noun: str = "classes"
    contradiction: str = "two labels"
    drawn: tuple[Drawn, ...] = ()
    marks: Mapping[str, tuple[Mark, ...]] = field(default_factory=dict)

    @property
    def one(self) -> str:
        """The singular of `noun`."""
        return self.noun.removesuffix("es" if self.noun.endswith("sses") else "s")

    @property
    def leaks(self) -> tuple[Copies, ...]:
        """Pictures on both sides of the split."""
        return tuple(group for group in self.copies if group.leak)

    @property
    def conflicts(self) -> tuple[Copies, ...]:
        """Pictures with more than one label."""
        return tuple(group for group in self.copies if group.conflict)

    @property
    def repeats(self) -> tuple[Copies, ...]:
        """Pictures that occur several times, on one side and with one label."""
        return tuple(group for group in self.copies if not (group.leak or group.conflict))

    @property
    def missing(self) -> tuple[str, ...]:
        """Classes without training photos."""
        return tuple(size.name for size in self.classes if not size.train)

    @property
    def few(self) -> tuple[ClassSize, ...]:
        """Classes with some training photos, but fewer than FEW_PHOTOS."""
        return tuple(size for size in self.classes if 0 < size.train < FEW_PHOTOS)

    @property
    def imbalance(self) -> float | None:
        """The ratio of training photos of the largest class to the smallest, if it is high."""
        counts = [size.train for size in self.classes if size.train]
        ratio = max(counts) / min(counts) if counts else 1.0
        return ratio if ratio >= _UNEVEN else None

    def faults(self) -> list[str]:
        """What changes results, one phrase each; empty for a sound data set."""
        foreign = unread_photos(self.unread)
        endings = ", ".join(foreign)
        return _phrases(
            (len(self.broken), "file cannot be read", "files cannot be read"),
            (
                sum(foreign.values()),
                f"photo is in a format that is not read ({endings})",
                f"photos are in formats that are not read ({endings})",
            ),
            (
                len(self.mixed),
                "group of folders is named like a split but read as classes",
                "groups of folders are named like a split but read as classes",
            ),
            (len(self.leaks), "picture is on both sides of the split", "pictures are on both sides of the split"),
            (
                len(self.conflicts),
                f"picture has {self.contradiction}",
                f"pictures have {self.contradiction}",
            ),
            (len(self.missing), f"{self.one} has no training photos", f"{self.noun} have no training photos"),
            (len(self.same_names), f"{self.one} occurs in two spellings", f"{self.noun} occur in two spellings"),
            (len(self.doubtful), "thing is wrong with the labels", "things are wrong with the labels"),
        )

    def remarks(self) -> list[str]:
        """What is worth knowing, one phrase each."""
        found = _phrases(
            (len(self.repeats), "picture occurs more than once", "pictures occur more than once"),
            (
                len(self.few),
                f"{self.one} has fewer than {FEW_PHOTOS} photos",
                f"{self.noun} have fewer than {FEW_PHOTOS} photos",
            ),
            (len(self.empty), "folder has no photos", "folders have no photos"),
            (len(self.alike), "group of folders has the same classes", "groups of folders have the same classes"),
            (
                sum(self.unread.values()) - sum(unread_photos(self.unread).values()),
                "file is not a photo",
                "files are not photos",
            ),
            (len(self.odd), "photo has an odd size or one colour", "photos have an odd size or one colour"),
            (len(self.peculiar), "thing is peculiar about the labels", "things are peculiar about the labels"),
            (len(self.clashes), "file name differs only in case", "file names differ only in case"),
        )
        if self.imbalance is not None:
            found.append(f"the largest {self.one} has {self.imbalance:.0f} times the photos of the smallest")
        return found

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`; every list in full."""
        values = asdict(replace(self, drawn=(), marks={}))
        for name in ("noun", "contradiction", "drawn", "marks"):
            del values[name]
        kinds = {"leaks": self.leaks, "conflicts": self.conflicts, "repeats": self.repeats}
        values |= {name: [asdict(group) for group in groups] for name, groups in kinds.items()}
        del values["copies"]
        few = [size.name for size in self.few]
        return {
            "sound": not self.faults(),
            "faults": self.faults(),
            "remarks": self.remarks(),
            **values,
            "missing": list(self.missing),
            "few": few,
            "imbalance": self.imbalance,
        }

    def excluded(self) -> list[tuple[str, str]]:
        """The photos to leave out, each with the reason, so that no broken, leaking or contradictory ones remain.

        Of a picture on both sides, the training copies are excluded; of one with two labels, every copy, since it is
        unknown which is right. If the split is made rather than given, excluding photos changes it, so one near copy is
        kept.
        """
        chosen = {broken.photo.file: broken.reason for broken in self.broken}
        for group in self.copies:
            for photo, reason in self._superfluous(group):
                chosen.setdefault(photo.file, reason)
        return list(chosen.items())

    def _superfluous(self, group: Copies) -> Iterable[tuple[Member, str]]:
        if not group.conflict:
            return _repeated(group, given=self.split.startswith("given"))
        labels = sorted({photo.label for photo in group.photos})
        what = f"labelled {' and '.join(labels)}" if len(labels) > 1 else f"with {self.contradiction}"
        return [(photo, f"same picture, {what}") for photo in group.photos]


def _repeated(group: Copies, *, given: bool) -> Iterable[tuple[Member, str]]:
    if not given and not group.exact:
        # Preferably a validation photo stays: that changes the split least.
        kept = next((photo for photo in group.photos if photo.split == "validation"), group.photos[0])
        return [(photo, f"same picture as {kept.file}") for photo in group.photos if photo is not kept]
    if group.leak:
        kept = next(photo for photo in group.photos if photo.split == "validation")
        return [(photo, f"same picture as {kept.file}") for photo in group.photos if photo.split == "train"]
    return []


def _phrases(*counted: tuple[int, str, str]) -> list[str]:
    return [f"{count:,} {one if count == 1 else many}" for count, one, many in counted if count]
