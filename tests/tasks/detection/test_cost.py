"""The detector that is costed is the detector that is trained."""

import pytest

from mobilenet.model.vocabulary import Vocabulary
from mobilenet.spec import mobilenet_v1
from mobilenet.spec.architectures import build
from mobilenet.spec.cost import cost
from mobilenet.spec.rows import Network
from mobilenet.tasks.detection.task import Detection, Ssd


@pytest.mark.parametrize(("ssd", "name"), [("lite", "mobilenet_v1_ssdlite"), ("plain", "mobilenet_v1_ssd")])
@pytest.mark.parametrize(("width", "resolution", "classes"), [(1.0, 300, 91), (0.5, 192, 3), (0.25, 96, 1)])
def test_a_tasks_architecture_costs_what_its_head_on_a_body_does(
    ssd: Ssd, name: str, width: float, resolution: int, classes: int
) -> None:
    body = mobilenet_v1(width, resolution, 0)
    head = Detection(ssd=ssd).head(body, Vocabulary(tuple(map(str, range(classes)))))
    trained = cost(Network("trained", resolution, classes, (*body.rows[:-1], *head.rows), width))
    costed = cost(build(name, width, resolution, classes))
    assert (costed.mult_adds, costed.params) == (trained.mult_adds, trained.params)
    assert name in Detection().architectures


def test_a_task_names_known_architectures() -> None:
    from mobilenet.spec.architectures import architecture_names
    from mobilenet.tasks import TASKS

    for task in TASKS.values():
        assert set(task.architectures) <= set(architecture_names())
