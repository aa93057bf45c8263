"""`mobilenet train`: photos in, a trained and evaluated network out."""

import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from mobilenet.cli.console import print_json, shown
from mobilenet.cli.params import SIZE_HELP, Bytes
from mobilenet.cli.progress import progress_bars
from mobilenet.cli.sections import sentence
from mobilenet.cli.task import task_options
from mobilenet.cli.teacher import teacher_options, teaching
from mobilenet.errors import ConfigError, ProcessError, SpecError
from mobilenet.runs.folder import RunFolder

if TYPE_CHECKING:
    from mobilenet.tasks.task import Goal, Task
    from mobilenet.training.run import RunResult
    from mobilenet.training.settings import TrainingSettings

__all__ = ["command"]

_EXIT_INTERRUPTED = 130


@click.command(short_help="Train a network on a folder of photos, a CSV file or shards.", epilog=SIZE_HELP)
@click.argument("data", type=click.Path(path_type=Path), required=False)
@click.option("--out", type=click.Path(path_type=Path), help="Run folder.  [default: runs/DATA-ARCH-WIDTH-RESOLUTION]")
@click.option("--resume", type=click.Path(path_type=Path), metavar="RUN", help="Resume an interrupted run.")
@click.option(
    "--val", "validation", type=click.Path(path_type=Path), help="Validation photos: folder, CSV file or shards."
)
@click.option(
    "--val-fraction",
    "validation_fraction",
    type=float,
    default=0.1,
    show_default=True,
    help="Share of the photos to hold out if the data have no validation photos.",
)
@click.option("--exclude", type=click.Path(path_type=Path), help="List of photos to leave out; see mobilenet check.")
@click.option(
    "--weights",
    metavar="FILE",
    help="Initial weights: a model or run of this tool, TFLite, Keras, timm, hf://owner/name.",
)
@click.option("--freeze", default="none", show_default=True, help="backbone: train the classifier only.")
@click.option(
    "--arch",
    "architecture",
    help="mobilenet_v1, or mobilenet_v1_standard, _shallow, _head.  [default: mobilenet_v1, or that of the weights]",
)
@click.option(
    "--width",
    "width_multiplier",
    type=float,
    help="Width multiplier; below that of the weights, channels are pruned.  [default: 0.5, or that of the weights]",
)
@click.option(
    "--resolution",
    type=int,
    help="Input resolution in pixels, a multiple of 32.  [default: 128, or that of the weights]",
)
@click.option("--training-resolution", type=int, help="Resolution of the training crops.  [default: by recipe]")
@click.option("--epochs", type=int, help="Number of epochs.  [default: by recipe; unlimited with --minutes]")
@click.option("--minutes", type=float, help="Stop after this many minutes of training.")
@click.option("--patience", type=int, help="Stop after this many epochs without improvement in validation loss.")
@click.option("--batch-size", type=int, default=32, show_default=True, help="Photos per step.")
@click.option("--optimizer", default="adamw", show_default=True, help="adamw, sgd or rmsprop (the paper's).")
@click.option("--learning-rate", type=float, help="Peak learning rate.  [default: by optimiser and batch size]")
@click.option(
    "--layer-decay",
    type=float,
    help="Learning-rate factor from each block to the one before it.  [default: by recipe]",
)
@click.option(
    "--unfreeze", type=float, help="Fraction of the run after which all blocks are trained.  [default: by recipe]"
)
@click.option(
    "--weight-decay",
    type=float,
    help="Not applied to depthwise filters, norms and biases.  [default: by optimiser]",
)
@click.option("--warmup-epochs", type=float, help="Epochs of linear warm-up.  [default: by recipe]")
@click.option("--clip-norm", type=float, help="Largest norm of the gradient; 0 for no limit.  [default: by recipe]")
@click.option("--label-smoothing", type=float, default=0.1, show_default=True)
@click.option(
    "--average-epochs", type=float, help="Span of the weights' moving average in epochs.  [default: by recipe]"
)
@click.option("--class-balanced", is_flag=True, help="Sample all classes equally often.")
@click.option(
    "--crop-area", type=float, help="Smallest random crop, as a fraction of the photo's area.  [default: by recipe]"
)
@click.option("--turn", is_flag=True, help="Random quarter turns too, for photos without a top, as from above.")
@click.option("--no-flip", is_flag=True, help="Disable random horizontal flips.")
@click.option("--no-colour", is_flag=True, help="Disable random changes of brightness, contrast and colour.")
@click.option(
    "--aliasing",
    type=float,
    help="Share of samples shrunk without antialiasing, as apps do.  [default: 0.5 with --weights, else 0]",
)
@click.option(
    "--consistency",
    type=float,
    help="Weight of the same answer to photos shrunk either way.  [default: by recipe]",
)
@click.option("--precision", default="auto", show_default=True, help="auto, float32 or bfloat16.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps.")
@click.option("--compile", "compile_network", is_flag=True, help="Compile the network with torch.compile.")
@click.option(
    "--cache-size", type=Bytes("8GB"), default="8GB", show_default=True, help="Size limit of the decoded-photo cache."
)
@click.option("--workers", type=int, help="Decoder threads; 0 decodes in the main thread.  [default: all cores]")
@click.option(
    "--checkpoint-minutes", type=float, default=5, show_default=True, help="Interval of checkpoints within an epoch."
)
@click.option("--keep-checkpoints", type=int, default=3, show_default=True, help="Number of checkpoints to keep.")
@teacher_options
@click.option(
    "--track",
    multiple=True,
    default=("tensorboard",),
    show_default=True,
    help="Where to log metrics: tensorboard or mlflow; repeat the option to log to both.",
)
@task_options
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def command(data: Path | None, out: Path | None, resume: Path | None, *, as_json: bool, **options: Any) -> None:
    """Train a MobileNet on DATA: a tree of folders (one per class), a table (file_name,label), boxes, or shards.

    Writes a run folder with the model, its evaluation and a report.

    \b
    mobilenet train photos/
    mobilenet train photos/ --width 0.25 --resolution 96 --minutes 5
    mobilenet train photos/ --width 0.25 --teacher runs/large --unlabelled more/
    mobilenet train --resume runs/photos-mobilenet_v1-0.5-128
    """
    if data is None and options["unlabelled"]:
        # Photos without labels are all that there is to learn from.
        data = options["unlabelled"][0]
    if (data is None) == (resume is None):
        raise click.UsageError("give either DATA to start a run, or --resume RUN to resume one")
    if resume is not None:
        _refuse_settings()
    from mobilenet.report.run_page import write_report
    from mobilenet.tasks import task_of_model
    from mobilenet.training.system.processes import torchrun_place
    from mobilenet.training.tracking.mlflow_runs import add_artifact

    if not torchrun_place().writes:
        _assist(data, out, resume, options)
        return
    result = _resume(resume) if resume is not None else _start(_settings(data, options), out)
    report = write_report(result.folder)
    if failure := add_artifact(result.folder, report):
        click.echo(f"mobilenet: {failure}", err=True)
    task = task_of_model(result.evaluation.task, result.folder)
    if as_json:
        print_json(_document(result, report, task))
    else:
        _show(result, report, task)


def _assist(data: Path | None, out: Path | None, resume: Path | None, options: dict[str, Any]) -> None:
    """Train as a process other than the first; it reports only errors of its own."""
    try:
        _ = _resume(resume) if resume is not None else _start(_settings(data, options), out)
    except (ConfigError, ProcessError, SpecError) as error:
        # The first process hits the same error, or sees that another one died, and reports it.
        raise click.exceptions.Exit(error.exit_code) from error
    except KeyboardInterrupt as stop:
        raise click.exceptions.Exit(_EXIT_INTERRUPTED) from stop


def _refuse_settings() -> None:
    """A resumed run keeps the settings it was started with; UsageError names those given beside --resume."""
    context = click.get_current_context()
    given = [
        option.opts[0]
        for option in context.command.params
        if option.name not in {"resume", "as_json"}
        and context.get_parameter_source(str(option.name)) is ParameterSource.COMMANDLINE
    ]
    if given:
        raise click.UsageError(f"--resume keeps the settings of the run; leave out {', '.join(given)}")


def _settings(data: Path | None, options: dict[str, Any]) -> "TrainingSettings":
    from mobilenet.training.settings import TrainingSettings

    augmentation: dict[str, Any] = {}
    crop_area, turn = options.pop("crop_area"), options.pop("turn")
    no_flip, no_colour = options.pop("no_flip"), options.pop("no_colour")
    if (aliasing := options.pop("aliasing")) is not None:
        augmentation["aliasing"] = aliasing
    if crop_area is not None:
        augmentation["crop_area"] = (crop_area, 1.0)
    if turn:
        augmentation["turn"] = True
    if no_flip:
        augmentation["flip"] = False
    if no_colour:
        augmentation.update(brightness=0.0, contrast=0.0, colour_balance=0.0)
    settings = {
        "data": data,
        "augmentation": augmentation,
        "compile": options.pop("compile_network"),
        "cache_bytes": options.pop("cache_size"),
        "teacher": teaching(options),
    }
    return TrainingSettings(**settings, **options)


def _start(settings: "TrainingSettings", out: Path | None) -> "RunResult":
    from mobilenet.training.run import new_run_folder, train
    from mobilenet.training.system.processes import torchrun_place

    folder = out or new_run_folder(settings, Path("runs"))
    command = ["mobilenet", *click.get_current_context().find_root().obj]
    if not torchrun_place().writes:
        return train(settings, folder, command=command)
    with _Progress(folder) as progress:
        return train(settings, folder, command=command, listener=progress)


def _resume(folder: Path) -> "RunResult":
    from mobilenet.training.run import resume
    from mobilenet.training.system.processes import torchrun_place

    if not torchrun_place().writes:
        return resume(folder)
    with _Progress(folder) as progress:
        return resume(folder, listener=progress)


class _Progress:
    """Progress bars on a terminal; a line per epoch and note wherever stderr goes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._bars = progress_bars()
        self._caching = self._bars.add_task("decoding photos", visible=False)
        self._reading = self._bars.add_task("network outputs", visible=False)
        self._epoch = self._bars.add_task("epoch 1", visible=False)
        self._number = 1
        self._goal: Goal | None = None
        self._start = time.perf_counter()

    def __enter__(self) -> "_Progress":
        self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._bars.stop()
        if kind is None or not issubclass(kind, KeyboardInterrupt):
            return
        if RunFolder(self._folder).is_run:
            click.echo(f"resume with: mobilenet train --resume {shlex.quote(str(self._folder))}", err=True)
        else:
            click.echo("nothing was trained yet: run the same command again; decoded photos stay cached", err=True)

    def caching(self, done: int, total: int) -> None:
        self._bars.update(self._caching, completed=done, total=total, visible=done < total)

    def reading(self, done: int, total: int) -> None:
        self._bars.update(self._reading, completed=done, total=total, visible=done < total)

    def stepping(self, done: int, total: int) -> None:
        self._bars.update(self._epoch, description=f"epoch {self._number}", completed=done, total=total, visible=True)

    def epoch(self, line: dict[str, Any]) -> None:
        self._number = line["epoch"] + 1
        # rich stops estimating the time left of a bar that has reached its end.
        self._bars.reset(self._epoch, visible=False)
        validation = self._validation(line) if "validation_loss" in line else ""
        seconds = f"{time.perf_counter() - self._start:.0f} s"
        if line["epoch"]:
            loss, speed = f"loss {line['train_loss']:.3f}", f"{line['images_per_second']:.0f} photos/s"
            self._say(f"epoch {line['epoch']:3d}  {loss}  {validation}{speed}  {seconds}")
        else:
            self._say(f"classifier only        {validation}{seconds}")

    def _validation(self, line: dict[str, Any]) -> str:
        self._goal = self._goal or _goal(self._folder)
        value = line.get(self._goal.name)
        goal = "" if value is None else f"{self._goal.title} {value:6.1%}  "
        return f"validation loss {line['validation_loss']:.3f}  {goal}"

    def note(self, text: str) -> None:
        self._say(text)

    def _say(self, text: str) -> None:
        text = shown(text)
        if sys.stderr.isatty():
            self._bars.console.print(text, markup=False, highlight=False)
        else:
            click.echo(text, err=True)


def _goal(folder: Path) -> "Goal":
    """The metric that the run in `folder` is judged by."""
    from mobilenet.report.run_facts import task_of_run
    from mobilenet.tasks import task_of_model

    return task_of_model(task_of_run(folder), folder).goal


def _document(result: "RunResult", report: Path, task: "Task") -> dict[str, object]:
    evaluation = result.evaluation
    names = dict.fromkeys((task.goal.name, f"{task.goal.name}_interval", *(name for _, name in task.curves), "loss"))
    return {
        "run": str(result.folder),
        "model": str(RunFolder(result.folder).model),
        "report": str(report),
        **{name: evaluation.figures[name] for name in names if name in evaluation.figures},
        "validation_photos": evaluation.photos,
        "seconds": round(result.total_s, 1),
    }


def _show(result: "RunResult", report: Path, task: "Task") -> None:
    evaluation = result.evaluation
    goal = task.headline(evaluation)[0]
    click.echo(f"{sentence(task.goal.title, goal, evaluation.photos)}, {result.total_s:.0f} s in total")
    for line in task.summary(evaluation):
        click.echo(shown(line))
    click.echo(f"model   {RunFolder(result.folder).model}")
    click.echo(f"report  {report}")
