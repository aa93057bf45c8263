"""Classification: one class per photo."""

from mobilenet.tasks.classification.targets import ClassTargets
from mobilenet.tasks.classification.task import Classification

__all__ = ["ClassTargets", "Classification"]
