"""The table of costs of the network that a run trained."""

from mobilenet.errors import SpecError
from mobilenet.report.run_facts import Run
from mobilenet.spec.architectures import build
from mobilenet.spec.cost import Cost, cost

__all__ = ["run_cost"]


def run_cost(run: Run) -> Cost | None:
    """Rebuild the network from what the run recorded of it and count it; None when they do not say which it was."""
    name, classes = run.text("network", "architecture"), run.section("data").get("classes")
    width, resolution = run.number("network", "width_multiplier"), run.number("network", "resolution")
    if name is None or width is None or resolution is None or not isinstance(classes, list):
        return None
    try:
        return cost(build(name, width, int(resolution), len(classes)))
    except SpecError:
        return None
