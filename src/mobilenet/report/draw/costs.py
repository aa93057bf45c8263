"""The cost of the network that a run trained."""

from mobilenet.errors import ModelError, SpecError
from mobilenet.model.arrays import has_card, read_arrays
from mobilenet.report.run_facts import Run
from mobilenet.runs.folder import RunFolder
from mobilenet.spec.architectures import build
from mobilenet.spec.cost import Cost, cost
from mobilenet.spec.rows import Network

__all__ = ["run_cost"]


def run_cost(run: Run) -> Cost | None:
    """The cost of the network in the model file or, before there is one, of the network that the run recorded; None if
    neither is known."""
    network = _of_the_model(run)
    return _recorded(run) if network is None else cost(network)


def _of_the_model(run: Run) -> Network | None:
    path = RunFolder(run.folder).model
    if not has_card(path):
        return None
    try:
        return read_arrays(path)[0].network()
    except ModelError:
        return None


def _recorded(run: Run) -> Cost | None:
    name, names = run.text("network", "architecture"), run.section("data").get("classes")
    width, resolution = run.number("network", "width_multiplier"), run.number("network", "resolution")
    if name is None or width is None or resolution is None or not isinstance(names, list):
        return None
    try:
        found = cost(build(name, width, int(resolution), len(names)))
    except SpecError:
        return None
    params = run.number("cost", "params")
    # The run does not record a head that the task added to its network; a differing count reveals one.
    return found if params in {None, found.params} else None
