"""`mobilenet COMMAND`: looks up the command and turns every error that is not a bug into one line and an exit code."""

import errno
import importlib
import io
import itertools
import keyword
import os
import sys
import traceback
from collections.abc import Sequence

import click

from mobilenet import __version__
from mobilenet.errors import ConfigError, Interrupted, MobilenetError
from mobilenet.extras import missing_package
from mobilenet.home import missing_home

__all__ = ["COMMANDS", "cli", "main"]

COMMANDS = {
    "cost": "Count what a network costs: mult-adds, parameters and memory, by layer, compared, or as a grid.",
    "fit": "Find, train, export and prove the best model within a budget.",
    "check": "Check a data set for broken photos, duplicates, leaks across the split and conflicting labels.",
    "pack": "Pack a data set into shards: a few large tar files that are read in place, local or remote.",
    "train": "Train a network on a folder of photos, a CSV file or shards.",
    "import": "Import weights from other tools: TFLite, Keras, timm, hf://owner/name.",
    "export": "Export to ONNX and LiteRT, float32 and int8, each file proven on photos.",
    "evaluate": "Evaluate a trained model on a data set.",
    "calibrate": "Fit a model's confidence and thresholds to photos of your own.",
    "predict": "Classify photos.",
    "embed": "Write the vectors of the photos in a folder, for search and clustering.",
    "similar": "Find the photos in a folder that are most like others.",
    "benchmark": "Time model files on this device, side by side.",
    "report": "Write the report of a run: one HTML page that works offline.",
    "demo": "Draw labelled scenes, train on them, evaluate, predict and report.",
}
"""What each command does. The command is the object `command` in the module of the same name in this package, with a
trailing underscore where the name is a Python keyword."""

_EXIT_BAD_INPUT = 2
_EXIT_INTERRUPTED = 130
_EXIT_BROKEN_PIPE = 141
"""As shells report a program killed by a signal: 128 + SIGINT, 128 + SIGPIPE."""


class _LazyGroup(click.Group):
    """Imports a command's module only when that command is called, so that `--help` is fast."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"mobilenet.cli.{cmd_name}{'_' if keyword.iskeyword(cmd_name) else ''}")
        command = module.command
        if not isinstance(command, click.Command):
            raise TypeError(f"{module.__name__}.command is not a click command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(_unknown_command(args[0]), ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=_LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.option("--debug", is_flag=True, help="Show the traceback of errors.")
@click.version_option(__version__, prog_name="mobilenet", message="%(prog)s %(version)s")
@click.pass_context
def cli(context: click.Context, debug: bool) -> None:  # noqa: ARG001, FBT001 - main() reads --debug itself
    """MobileNets that fit a small device, trained on your own photos."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command (`arguments` default to the process's own) and return its exit code.

    0 done; 1 done, but a gate failed; 2 wrong usage or bad input; 130 interrupted. Bugs are raised.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    _prepare_streams()
    try:
        _check_system()
        return _run(words.copy())
    except BrokenPipeError:
        _discard_stdout()
        return _EXIT_BROKEN_PIPE
    except (
        MobilenetError,
        click.ClickException,
        click.Abort,
        KeyboardInterrupt,
        OSError,
        ModuleNotFoundError,
        RuntimeError,
        KeyError,
    ) as error:
        line, exit_code = _explain(error)
        if _wants_traceback(words):
            traceback.print_exc()
        click.echo(f"mobilenet: {line}", err=True)
        return exit_code


def _check_system() -> None:
    """Locks, signals and shared memory are those of POSIX systems; a partial replacement would be unsafe."""
    if sys.platform == "win32":
        raise ConfigError("Windows is not supported; use Linux, macOS, or the Windows Subsystem for Linux (WSL)")


def _run(words: list[str]) -> int:
    """Replaces click's own `main`, which exits the process on a broken pipe and prints an empty line on Ctrl-C."""
    exit_code = 0
    try:
        with cli.make_context("mobilenet", words, obj=tuple(words)) as context:
            cli.invoke(context)
    except click.exceptions.Exit as done:
        exit_code = done.exit_code
    sys.stdout.flush()
    return exit_code


def _explain(error: BaseException) -> tuple[str, int]:
    """The error as one line, and its exit code; bugs are raised again."""
    match error:
        case MobilenetError():
            return _one_line(str(error)), error.exit_code
        case click.ClickException():
            return _one_line(error.format_message()).rstrip(".") + _hint(error), _EXIT_BAD_INPUT
        case Interrupted():
            return str(error), error.exit_code
        case click.Abort() | KeyboardInterrupt():
            return "interrupted", _EXIT_INTERRUPTED
        case ModuleNotFoundError() if needs := missing_package(error):
            return f"this {needs}", _EXIT_BAD_INPUT
        case RuntimeError() | KeyError() | OSError() if line := missing_home(error):
            return line, _EXIT_BAD_INPUT
        case OSError():
            place = f"{error.filename}: " if error.filename else ""
            remedy = "; free some space and run again" if error.errno == errno.ENOSPC else ""
            return _one_line(f"{place}{(error.strerror or str(error)).lower()}{remedy}"), _EXIT_BAD_INPUT
    raise error


def _hint(error: click.ClickException) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f" (see {context.command_path} --help)" if context else ""


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _unknown_command(name: str) -> str:
    # Only needed for an unknown name, and slow to import.
    import difflib

    close = difflib.get_close_matches(name, COMMANDS, n=1)
    guess = f"did you mean {close[0]}?" if close else f"choose from {', '.join(COMMANDS)}"
    return f"unknown command {name!r}; {guess}"


def _wants_traceback(words: list[str]) -> bool:
    return "--debug" in itertools.takewhile(lambda word: word.startswith("-"), words)


def _prepare_streams() -> None:
    """Keep characters that the terminal cannot show, and streams that the shell has closed, from ending the program.

    File names on stdin may contain any bytes, as in arguments.
    """
    for name, errors in (("stdin", "surrogateescape"), ("stdout", "backslashreplace"), ("stderr", "backslashreplace")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, io.StringIO())
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=errors)


def _discard_stdout() -> None:
    """Drop the remaining output: Python would otherwise try to flush it at exit, and complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
