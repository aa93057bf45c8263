"""Geolocation: where on Earth a photo was taken, as coordinates with a radius, over cells of the Earth."""

from mobilenet.tasks.geolocation.task import Geolocation

__all__ = ["Geolocation"]
