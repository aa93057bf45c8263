"""Attributes: many labels at once, each of which a photo has, has not, or is not known to have."""

from mobilenet.tasks.attributes.targets import AttributeTargets
from mobilenet.tasks.attributes.task import Attributes

__all__ = ["AttributeTargets", "Attributes"]
