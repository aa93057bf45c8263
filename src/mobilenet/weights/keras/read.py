"""Keras HDF5 files: whole models, and the weight files of `keras.applications.MobileNet`."""

import re
from pathlib import Path

from mobilenet.errors import ConfigError, ModelError
from mobilenet.images.preprocessing import Preprocessing
from mobilenet.weights.keras.chain import Chain
from mobilenet.weights.keras.config import Layer, application_layers, config_layers
from mobilenet.weights.keras.hdf5 import Hdf5File, open_hdf5
from mobilenet.weights.layers import ForeignConv, ForeignNetwork, Scaling
from mobilenet.weights.pixel_scale import guess_units, input_size, scaled_input

__all__ = ["read_keras"]

_USUAL_SIDE, _MAX_SIDE = 224, 8192

_SIDE_IN_NAME = re.compile(r"(?:^|[_.-])(\d{2,4})(?:_tf)?(?:_no_top)?$")
_APPLICATION = {"conv1", "conv_dw_1", "conv_pw_1", "conv_dw_13", "conv_pw_13"}


def read_keras(path: Path) -> ForeignNetwork:
    """A Keras HDF5 file -> its network; ModelError, one line, for whatever cannot be read without guessing."""
    with open_hdf5(path) as file:
        paths = tuple(file.shapes)
        layers, fault = _layers(file, paths)
        chain = Chain(file)
        side = _side_in_file(layers)
        resolution = chain.side = side or _side_in_name(path)
        for layer in layers:
            chain.add(layer)
        chain.finish(fault)
    try:
        preprocessing, notes = _preprocessing(chain.scaling, chain.convs[0], layers, resolution)
    except ConfigError as error:
        raise ModelError(f"{path}: {error}") from error
    if side is None and resolution is not None:
        notes = (f"the resolution, {resolution} pixels, is taken from the file's name", *notes)
    return ForeignNetwork(
        source=str(path),
        convs=chain.convs,
        classifier=chain.classifier,
        resolution=resolution,
        preprocessing=preprocessing,
        notes=notes,
        input_scaling=chain.scaling,
        head_fault=None if chain.fault is None else f"{path}: {chain.fault}",
        ending=chain.ending,
    )


def _layers(file: Hdf5File, paths: tuple[str, ...]) -> tuple[list[Layer], str | None]:
    """The layers in the order of computation, and why there are more that do not follow from them."""
    if file.config is None:
        return application_layers(file.groups, paths), None
    return config_layers(file.config, paths)


def _side_in_file(layers: list[Layer]) -> int | None:
    """The side of the photos that the model takes; None if it takes any, or the file does not say."""
    for layer in layers:
        shape = layer.settings.get("batch_input_shape") or layer.settings.get("batch_shape") or ()
        match tuple(shape):
            case (_, int() as height, int() as width, _) if height == width and 1 <= height <= _MAX_SIDE:
                return height
            case (_, int() as height, int() as width, _):
                raise ModelError(f"it takes photos of {width} × {height} pixels; only squares are supported")
    return None


def _side_in_name(path: Path) -> int | None:
    match = _SIDE_IN_NAME.search(path.stem)
    side = int(match[1]) if match else 0
    return side if side and side % 32 == 0 else None


def _preprocessing(
    scaling: Scaling | None, stem: ForeignConv, layers: list[Layer], resolution: int | None
) -> tuple[Preprocessing | None, tuple[str, ...]]:
    """How pixels become the network's input, and the assumptions made."""
    side = resolution or _USUAL_SIDE
    named = {layer.name for layer in layers} >= _APPLICATION
    if scaling is not None:
        raw = scaled_input(side, scaling)
        return (raw if input_size(stem, scaling[0]) == "0 to 255" else None), ()
    if named and input_size(stem) == "scaled":
        note = "its layers have the names of keras.applications, whose (pixel - 127.5) / 127.5 is assumed"
        return Preprocessing(side), (note,)
    units = guess_units(stem)
    if units is None:
        return None, ()
    note = (
        "the file does not specify the pixel scaling; the statistics of its first batch norm fit "
        f"{units.name}, which is assumed"
    )
    return Preprocessing(side, mean=units.mean, std=units.std), (note,)
