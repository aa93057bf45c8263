"""One offline page about a run: `write_report(run)`."""

from mobilenet.report.run_page import write_report

__all__ = ["write_report"]
