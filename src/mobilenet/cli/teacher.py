"""The options of `train` and `fit` for learning from a teacher."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mobilenet.cli.params import Triple

if TYPE_CHECKING:
    from mobilenet.training.teacher.settings import Teaching

__all__ = ["teacher_options", "teaching"]

_Command = TypeVar("_Command", bound=Callable[..., Any])

_USUAL = {"weight": 1.0, "temperature": 4.0}

_OPTIONS = (
    click.option(
        "--teacher", type=click.Path(path_type=Path), metavar="MODEL", help="Learn from the outputs of this model."
    ),
    click.option(
        "--unlabelled",
        multiple=True,
        type=click.Path(path_type=Path),
        metavar="FOLDER",
        help="More photos, to learn from the teacher alone; repeat the option for several folders.",
    ),
    click.option(
        "--teacher-weight",
        type=float,
        default=_USUAL["weight"],
        show_default=True,
        help="Share of the teacher in the loss of a labelled photo.",
    ),
    click.option(
        "--teacher-temperature",
        type=float,
        default=_USUAL["temperature"],
        show_default=True,
        help="Temperature at which probabilities are compared.",
    ),
    click.option(
        "--teacher-views",
        type=int,
        help="Random crops per photo that the teacher sees.  [default: as many as half the training time allows]",
    ),
    click.option(
        "--teacher-labels",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="For an ONNX file of another tool: its classes, one per line.",
    ),
    click.option("--teacher-mean", type=Triple(), help="For such a file: mean of its pixels, such as 124,116,104."),
    click.option("--teacher-std", type=Triple(), help="For such a file: deviation of its pixels, such as 58,57,57."),
    click.option("--teacher-resolution", type=int, help="For such a file of variable size: resolution in pixels."),
)


def teacher_options(command: _Command) -> _Command:
    """Add the options to a command, in their order."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def teaching(options: dict[str, Any]) -> "Teaching | None":
    """The settings that the options give, which are taken out of `options`; None without --teacher.

    UsageError for options that need --teacher, ConfigError for values out of range.
    """
    from mobilenet.training.teacher.settings import Teaching

    model, unlabelled = options.pop("teacher"), options.pop("unlabelled")
    fields = ("weight", "temperature", "views", "labels", "mean", "std", "resolution")
    given = {name: options.pop(f"teacher_{name}") for name in fields}
    if model is not None:
        return Teaching(model, unlabelled=tuple(unlabelled), **given)
    if unlabelled:
        raise click.UsageError("--unlabelled needs --teacher MODEL, which says what is on those photos")
    if lonely := [f"--teacher-{name}" for name, value in given.items() if value != _USUAL.get(name)]:
        raise click.UsageError(f"{lonely[0]} needs --teacher MODEL")
    return None
