"""`mobilenet report`: rewrites the report of a run."""

from pathlib import Path

import click

__all__ = ["command"]


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
def command(run: Path) -> None:
    """Write report.html into the run folder RUN from its files, and print its path.

    The page is one file that works offline. What the run has not recorded is left out, never guessed.
    """
    from mobilenet.report.run_page import write_report

    click.echo(write_report(run))
