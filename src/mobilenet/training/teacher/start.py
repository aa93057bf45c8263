"""From a teacher and the photos of a run to its lessons."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from mobilenet.datasets.cache.eviction import default_directory
from mobilenet.datasets.cache.load import CachedPhotos, load
from mobilenet.datasets.cache.rows import RowCache
from mobilenet.datasets.targets import Unlabelled, labelled_part
from mobilenet.errors import DataError
from mobilenet.images.augment import training_side
from mobilenet.model.vocabulary import Vocabulary
from mobilenet.tasks.task import Task
from mobilenet.training.system.processes import Processes
from mobilenet.training.teacher.alignment import AlignedTeacher
from mobilenet.training.teacher.data import answered
from mobilenet.training.teacher.network import Teacher
from mobilenet.training.teacher.pace import Student, affordable_views, measured_pace
from mobilenet.training.teacher.settings import Teaching
from mobilenet.training.teacher.views import TeacherLessons

__all__ = ["Student", "facts", "judged_by", "make_lessons", "seen_by", "with_views"]


def seen_by(teacher: AlignedTeacher, photos: CachedPhotos, cache_bytes: int, workers: int | None) -> CachedPhotos:
    """The same photos, as large as the teacher's crops need; DataError if they changed since they were decoded."""
    side = training_side(teacher.teacher.resolution)
    if side <= photos.side:
        return photos
    found = load(photos.photos, side, methods=photos.methods, max_bytes=cache_bytes, workers=workers)
    if len(found) != len(photos) or (found.digests != photos.digests).any():
        raise DataError(f"photos below {photos.photos.root} changed while they were in use; run again")
    return found


def judged_by(
    teacher: AlignedTeacher,
    task: Task,
    vocabulary: Vocabulary,
    photos: CachedPhotos,
    cache_bytes: int,
    workers: int | None,
) -> CachedPhotos:
    """Validation photos, those without targets with the teacher's, in terms of the student's `vocabulary`."""
    if not isinstance(photos.targets, Unlabelled):
        return photos
    targets = answered(teacher, task, vocabulary, seen_by(teacher, photos, cache_bytes, workers))
    return load(replace(photos.photos, targets=targets), photos.side, max_bytes=cache_bytes, workers=workers)


def with_views(
    teaching: Teaching,
    teacher: AlignedTeacher,
    student: Student,
    seen: CachedPhotos,
    processes: Processes,
    note: Callable[[str], object],
) -> Teaching:
    """The settings with the number of views, as the first process measures it where it is left open."""
    if teaching.views is not None:
        return teaching
    views = 1
    if processes.writes:
        pace = measured_pace(student, teacher, seen)
        views = affordable_views(pace, student.epochs, student.minutes, len(seen))
        answer_ms, step_ms = 1000 * pace.answer_s, 1000 * pace.step_s
        crops = "1 crop" if views == 1 else f"{views:,} crops"
        note(
            f"the teacher sees {crops} of each photo: it takes {answer_ms:.3g} ms for one, a step of the student "
            f"{step_ms:.3g} ms; --teacher-views changes the number"
        )
    return replace(teaching, views=int(processes.said_by_the_first(str(views).encode())))


def make_lessons(
    teaching: Teaching,
    teacher: AlignedTeacher,
    student: Student,
    seen: CachedPhotos,
    processes: Processes,
    progress: Callable[[int, int], object],
    note: Callable[[str], object],
) -> TeacherLessons:
    """What the teacher says of the photos `seen`, for a run with the settings `teaching`."""
    _, rows = labelled_part(student.photos.targets)
    return TeacherLessons(
        teacher,
        seen,
        teaching,
        student.augmentation,
        seed=student.seed,
        epochs=student.epochs,
        labelled=float((rows >= 0).mean()),
        cache=RowCache(default_directory(), student.cache_bytes),
        processes=processes,
        device=student.device,
        progress=progress,
        note=note,
    )


def facts(teacher: Teacher, validation: CachedPhotos) -> tuple[dict[str, Any], str]:
    """What config.json says of the teacher, and a note about its photos if there is anything to say.

    A teacher that has seen the validation photos gives away their labels.
    """
    about: dict[str, Any] = {"name": teacher.name, "digest": teacher.digest, "resolution": teacher.resolution}
    if teacher.trained_on is None:
        note = (
            f"it is unknown what the teacher {teacher.name} was trained on: validation photos among it would make "
            "the figures of this run too good"
        )
        return {**about, "validation_photos_seen": None}, note
    seen = teacher.trained_on.unseen([key.tobytes() for key in validation.digests]).trained
    note = ""
    if seen:
        note = (
            f"the teacher {teacher.name} was trained on {seen:,} of the {len(validation):,} validation photos: the "
            "figures of this run prove nothing; choose other photos with --val"
        )
    return {**about, "validation_photos_seen": seen}, note
