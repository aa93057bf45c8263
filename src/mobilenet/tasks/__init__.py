"""One folder per task: what a label is, what the outputs of a network mean, which metrics count."""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

from mobilenet.datasets import dataset as datasets
from mobilenet.datasets.dataset import Dataset
from mobilenet.datasets.exclusions import NOTHING, Exclusions
from mobilenet.errors import ConfigError, ModelError
from mobilenet.model.card import ModelCard
from mobilenet.model.outputs import Ending
from mobilenet.tasks.attributes.task import Attributes
from mobilenet.tasks.classification.task import Classification
from mobilenet.tasks.default import DEFAULT
from mobilenet.tasks.detection.task import Detection
from mobilenet.tasks.embedding.task import Embedding
from mobilenet.tasks.geolocation.task import Geolocation
from mobilenet.tasks.task import Task

__all__ = [
    "DEFAULT",
    "TASKS",
    "Task",
    "annotated",
    "card_ending_in",
    "configured",
    "open_dataset",
    "task_named",
    "task_of",
    "task_of_model",
    "vectors_card",
]

_EMBEDDING = Embedding()

TASKS: dict[str, Task] = {
    _EMBEDDING.name: _EMBEDDING,
    "detection": Detection(),
    "geolocation": Geolocation(),
    "attributes": Attributes(),
    DEFAULT: Classification(),
}
"""Every task by name, in the order in which they are asked whether they recognise a data set."""


def task_named(name: str) -> Task:
    """The task with that name; ConfigError lists the available ones."""
    if name not in TASKS:
        raise ConfigError(f"unknown task {name!r}; use one of {', '.join(TASKS)}")
    return TASKS[name]


def card_ending_in(card: ModelCard, ending: Ending) -> ModelCard:
    """The card of a plain classifier of another tool whose values go through that function: one of attributes for a
    sigmoid, the same otherwise."""
    if ending != "sigmoid" or not card.labels:
        return card
    task = TASKS["attributes"]
    return replace(card, task=task.name, head=task.head(card.body(), card.vocabulary))


def task_of(data: Path, name: str | None = None) -> Task:
    """The task with that name, or the first that recognises the data set; ConfigError if there is none."""
    if name is not None:
        return task_named(name)
    found = next((task for task in TASKS.values() if task.recognises(data)), None)
    if found is None:
        raise ConfigError(f"{data} does not look like data for any task; choose one with --task: {', '.join(TASKS)}")
    return found


def annotated(data: Path, task: Task) -> bool:
    """Whether the task finds labels of its own in the data set, and not only the names of folders."""
    return task.name != DEFAULT and task.recognises(data)


def configured(task: Task, options: Sequence[tuple[str, str]]) -> Task:
    """The task with these options, names and values; they are the fields of a task that is a dataclass, and change
    how a network is trained, not how its file is used. ConfigError for an unknown option or an invalid value."""
    if not options:
        return task
    known: list[str] = [field.name for field in fields(task)] if is_dataclass(task) else []
    given: dict[str, Any] = {}
    for name, value in options:
        if name not in known:
            its = f"its options are {', '.join(known)}" if known else "it has no options"
            raise ConfigError(f"unknown option {name!r} of {task.name}; {its}")
        given[name] = _value(name, value, get_type_hints(type(task))[name])
    found: Task = replace(task, **given)  # type: ignore[type-var]
    return found


def _value(name: str, text: str, kind: Any) -> object:
    """The value of an option of that type: a whole number, a number, or a word that the task checks itself."""
    kinds = {kind, *get_args(kind)}
    read = next((number for number in (int, float) if number in kinds), str)
    try:
        return read(text)
    except ValueError as error:
        wanted = "a whole number" if read is int else "a number"
        raise ConfigError(f"{name}={text} is not {wanted}; give {wanted}") from error


def task_of_model(name: str, model: object) -> Task:
    """The task of a model file; ModelError if this version does not know it."""
    if name not in TASKS:
        raise ModelError(f"{model} is for the unknown task {name!r}; install a newer mobilenet")
    return TASKS[name]


def vectors_card(card: ModelCard) -> ModelCard:
    """The card of a network that gives the features of its body as vectors of length 1, without what came after them:
    what a backbone is good for as it is."""
    head, fields = _EMBEDDING.backbone(card.body())
    return replace(card, task=_EMBEDDING.name, labels=(), head=head, decoding=fields, temperatures={})


def open_dataset(
    data: Path,
    task: str | None = None,
    *,
    validation: Path | None = None,
    validation_fraction: float = 0.1,
    seed: int = 0,
    exclude: Exclusions = NOTHING,
) -> Dataset:
    """`datasets.open_dataset` for the task with that name, or the one that recognises `data`."""
    return datasets.open_dataset(
        data,
        task_of(data, task),
        validation=validation,
        validation_fraction=validation_fraction,
        seed=seed,
        exclude=exclude,
    )
