"""`mobilenet report`: write a run's page again."""

from pathlib import Path

import click

__all__ = ["command"]


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
def command(run: Path) -> None:
    """Write report.html into the folder RUN from its files, and print its path.

    The page is one file that needs no network. What the run has not recorded is left out, never guessed.
    """
    from mobilenet.report.run_page import write_report

    click.echo(write_report(run))
