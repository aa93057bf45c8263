"""Synthetic labelled scenes: one object of ten kinds in each, with its attributes, several, with their boxes, or views
of the Earth from above, with their places."""

from mobilenet.scenes.aerial import Aerial, draw_aerial
from mobilenet.scenes.folder import Objects, SceneSettings, write_scenes
from mobilenet.scenes.placing import Box
from mobilenet.scenes.scene import ATTRIBUTES, Scene, draw_scene
from mobilenet.scenes.shapes import KINDS
from mobilenet.scenes.still_life import Placed, StillLife, draw_still_life

__all__ = [
    "ATTRIBUTES",
    "KINDS",
    "Aerial",
    "Box",
    "Objects",
    "Placed",
    "Scene",
    "SceneSettings",
    "StillLife",
    "draw_aerial",
    "draw_scene",
    "draw_still_life",
    "write_scenes",
]
