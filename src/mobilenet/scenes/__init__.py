"""Synthetic labelled scenes: images of ten kinds of object, each with its bounding box and attributes."""

from mobilenet.scenes.folder import SceneSettings, write_scenes
from mobilenet.scenes.scene import ATTRIBUTES, Box, Scene, draw_scene
from mobilenet.scenes.shapes import KINDS

__all__ = ["ATTRIBUTES", "KINDS", "Box", "Scene", "SceneSettings", "draw_scene", "write_scenes"]
