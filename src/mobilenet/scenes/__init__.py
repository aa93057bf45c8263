"""Synthetic labelled scenes of ten kinds of object: one in each, with its attributes, or several, with their boxes."""

from mobilenet.scenes.folder import Objects, SceneSettings, write_scenes
from mobilenet.scenes.placing import Box
from mobilenet.scenes.scene import ATTRIBUTES, Scene, draw_scene
from mobilenet.scenes.shapes import KINDS
from mobilenet.scenes.still_life import Placed, StillLife, draw_still_life

__all__ = [
    "ATTRIBUTES",
    "KINDS",
    "Box",
    "Objects",
    "Placed",
    "Scene",
    "SceneSettings",
    "StillLife",
    "draw_scene",
    "draw_still_life",
    "write_scenes",
]
