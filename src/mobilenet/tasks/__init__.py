"""One folder for each task: what a label is, what the outputs of a network mean, which metrics count."""

from pathlib import Path

from mobilenet.datasets import dataset as datasets
from mobilenet.datasets.dataset import Dataset
from mobilenet.datasets.exclusions import NOTHING, Exclusions
from mobilenet.errors import ConfigError, ModelError
from mobilenet.tasks.classification.task import Classification
from mobilenet.tasks.default import DEFAULT
from mobilenet.tasks.task import Task

__all__ = ["DEFAULT", "TASKS", "Task", "open_dataset", "task_named", "task_of", "task_of_model"]

TASKS: dict[str, Task] = {DEFAULT: Classification()}
"""Every task by its name, in the order in which they are asked whether a data set is theirs."""


def task_named(name: str) -> Task:
    """The task of that name; ConfigError names those that there are."""
    if name not in TASKS:
        raise ConfigError(f"there is no task {name!r}; use one of {', '.join(TASKS)}")
    return TASKS[name]


def task_of(data: Path, name: str | None = None) -> Task:
    """The task that is named, else the first that recognises the data set; ConfigError for an unknown name."""
    if name is not None:
        return task_named(name)
    found = next((task for task in TASKS.values() if task.recognises(data)), None)
    if found is None:
        raise ConfigError(f"{data} looks like the data of no task; name one with --task: {', '.join(TASKS)}")
    return found


def task_of_model(name: str, model: object) -> Task:
    """The task of a model file; ModelError for one that this version does not know."""
    if name not in TASKS:
        raise ModelError(f"{model} is for the task {name!r}, which is not known here; install a newer mobilenet")
    return TASKS[name]


def open_dataset(
    data: Path,
    task: str | None = None,
    *,
    validation: Path | None = None,
    validation_fraction: float = 0.1,
    seed: int = 0,
    exclude: Exclusions = NOTHING,
) -> Dataset:
    """`datasets.open_dataset` for the task of that name, or the one that recognises `data`."""
    return datasets.open_dataset(
        data,
        task_of(data, task),
        validation=validation,
        validation_fraction=validation_fraction,
        seed=seed,
        exclude=exclude,
    )
