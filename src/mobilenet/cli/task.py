"""The options that choose a task and what is particular to it."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from mobilenet.cli.params import Named

__all__ = ["task_options"]

_Command = TypeVar("_Command", bound=Callable[..., Any])


def task_options(command: _Command) -> _Command:
    """Add the options to a command, in their order."""
    command = click.option(
        "--task-option",
        "task_options",
        multiple=True,
        type=Named(),
        help="Option of the task, such as loss=contrastive; repeat for several. docs/ lists those of each task.",
    )(command)
    return click.option("--task", help="Task of the data.  [default: detected from DATA]")(command)
