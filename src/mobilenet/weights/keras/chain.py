"""Converts the layers of a Keras model, one after the other, to convolutions with their norms, and a classifier."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.errors import ModelError
from mobilenet.model.outputs import Ending
from mobilenet.spec.rows import Activation
from mobilenet.weights.keras.config import Layer
from mobilenet.weights.keras.hdf5 import Hdf5File
from mobilenet.weights.keras.scaling import SCALING_KINDS, scaling
from mobilenet.weights.layers import BACKBONES, ForeignConv, ForeignLinear, ForeignNorm, Scaling

__all__ = ["Chain"]

_IDENTITY = re.compile(r"Dropout|SpatialDropout2D|GaussianNoise|GaussianDropout|Random(?!Crop)\w+")
"""Layers that do nothing outside training (unlike a random crop)."""

_STATE = re.compile(r"seed_generator_state|count|.*[Rr]andom.*|StateVar")
"""Variables that no output depends on."""

_NEUTRAL = "neutral"
"""Padding of a convolution for which all kinds of padding are equivalent: stride 1, or a 1 × 1 kernel."""


class Chain:
    """The layers read so far; `side` of the plane in pixels, `scaling` of pixels to the network's input, if any.

    `add` each layer, `finish`, then read `convs` and `classifier`. ModelError names a layer that is not understood; if
    it is in the head, after the pool or in its place, that is `fault`, and only the convolutions before it are kept.
    """

    def __init__(self, file: Hdf5File) -> None:
        self.side: int | None = None
        self.scaling: Scaling | None = None
        self.classifier: ForeignLinear | None = None
        self.fault: str | None = None
        self.ending: Ending = "softmax"
        self._convs: list[ForeignConv] = []
        self._paddings: list[str] = []
        self._file = file
        self._unread = set(file.shapes)
        self._pads: tuple[int, ...] | None = None
        self._channels = 3
        self._pooled = False
        self._readers: dict[str, Callable[[Layer], None]] = {
            "InputLayer": self._input,
            "ZeroPadding2D": self._pad,
            "Conv2D": self._conv,
            "DepthwiseConv2D": self._conv,
            "BatchNormalization": self._norm,
            "ReLU": self._relu,
            "Activation": self._activation,
            "Softmax": self._activation,
            "AveragePooling2D": self._pool,
            "GlobalAveragePooling2D": self._pool,
            "Flatten": self._reshape,
            "Reshape": self._reshape,
            "Dense": self._dense,
            **dict.fromkeys(SCALING_KINDS, self._scale),
        }

    @property
    def convs(self) -> tuple[ForeignConv, ...]:
        """The convolutions; those for which any padding is equivalent get that of the others."""
        strict = [kind for kind in self._paddings if kind != _NEUTRAL]
        common = strict[0] if strict else "tensorflow"
        kinds = [common if kind == _NEUTRAL else kind for kind in self._paddings]
        return tuple(replace(conv, padding=kind) for conv, kind in zip(self._convs, kinds, strict=True))  # type: ignore[arg-type]

    def add(self, layer: Layer) -> None:
        """Convert the next layer; none after one that is not understood."""
        if self.fault is not None:
            return
        try:
            self._add(layer)
        except ModelError as error:
            self._give_up(error)

    def _give_up(self, error: ModelError) -> None:
        """Keep the convolutions before the fault if they may be a whole backbone, for `recognise` to decide."""
        if len(self._convs) not in BACKBONES or self._convs[-1].activation == "none":
            raise error
        self.fault, self.classifier = str(error), None

    def _add(self, layer: Layer) -> None:
        settings = layer.settings
        if settings.get("data_format", "channels_last") not in {None, "channels_last"}:
            raise ModelError(f"{layer.name} has data_format {settings['data_format']}; only channels_last is supported")
        if _IDENTITY.fullmatch(layer.kind):
            return
        if layer.kind not in self._readers:
            raise ModelError(f"layer {layer.name} is a {layer.kind}, which is not part of any MobileNet")
        if self._pads is not None and layer.kind not in {"Conv2D", "DepthwiseConv2D"}:
            raise ModelError(f"layer {layer.name} ({layer.kind}) reads a padded plane; a convolution is expected")
        self._readers[layer.kind](layer)

    def finish(self, fault: str | None) -> None:
        """Check that every array in the file belongs to a layer; `fault`: why there are layers that were not added."""
        if fault is not None and self.fault is None:
            self._give_up(ModelError(fault))
        if self.fault is not None:
            return
        try:
            self._check_all_read()
        except ModelError as error:
            self._give_up(error)

    def _check_all_read(self) -> None:
        left = sorted(path for path in self._unread if not _STATE.fullmatch(path.rsplit("/", 1)[-1].removesuffix(":0")))
        if left:
            shown = ", ".join(f"{path} {self._file.shapes[path]}" for path in left[:3])
            raise ModelError(f"it contains arrays that belong to no layer of a MobileNet: {shown}")
        if not self._convs:
            raise ModelError("it has no convolution; give a file of a MobileNet")

    def _input(self, layer: Layer) -> None:
        shape = layer.settings.get("batch_input_shape") or layer.settings.get("batch_shape")
        if self._convs or (shape and shape[3] not in {None, 3}):
            raise ModelError(f"input {layer.name} has the shape {shape}; colour photos (N, side, side, 3) are expected")

    def _pad(self, layer: Layer) -> None:
        pads = np.ravel([[side, side] if isinstance(side, int) else side for side in _pair(layer, "padding")])
        self._pads = tuple(int(pad) for pad in pads)

    def _conv(self, layer: Layer) -> None:
        depthwise = layer.kind == "DepthwiseConv2D"
        name = "depthwise_kernel" if "depthwise_kernel" in layer.variables else "kernel"
        kernel = self._read(layer, name, dimensions=4)
        label = f"{layer.variables[name]} {kernel.shape}"
        channels, outputs = kernel.shape[2:]
        if channels != self._channels or (depthwise and outputs != 1):
            raise ModelError(f"{label} does not fit the {self._channels} channels before it")
        if np.prod(_pair(layer, "dilation_rate", 1)) != 1 or layer.settings.get("groups", 1) not in {1, channels}:
            raise ModelError(f"{label} is dilated or grouped, unlike any MobileNet")
        if not depthwise and layer.settings.get("groups", 1) != 1:
            raise ModelError(f"{label} has {layer.settings['groups']} groups; write it as DepthwiseConv2D")
        bias = self._read(layer, "bias", dimensions=1) if "bias" in layer.variables else None
        if self._pooled:
            self._classify(layer, kernel, bias)
            return
        filters = kernel.transpose(2, 3, 0, 1) if depthwise else kernel.transpose(3, 2, 0, 1)
        stride = self._geometry(layer, kernel.shape[0], kernel.shape[1], label)
        self._channels = channels if depthwise else outputs
        if bias is not None and len(bias) != self._channels:
            raise ModelError(f"{layer.variables['bias']} {bias.shape} does not fit {label}")
        groups = channels if depthwise else 1
        filters = np.ascontiguousarray(filters)
        self._convs.append(ForeignConv(layer.name, filters, stride, groups, "tensorflow", "none", bias))
        self._activate(layer, _named_activation(layer))

    def _geometry(self, layer: Layer, height: int, width: int, label: str) -> int:
        """The stride; also records the padding and the side of the output."""
        stride, other = _pair(layer, "strides")
        pads, self._pads = self._pads, None
        if height != width or stride != other or stride not in {1, 2}:
            raise ModelError(f"{label} has strides {(stride, other)}; equal strides of 1 or 2 are supported")
        mode = layer.settings["padding"]
        odd = self.side is not None and self.side % 2 == 1
        match mode, pads:
            case ("same", None):
                kind = "tensorflow"
            case ("valid", None | (0, 0, 0, 0)):
                kind = "valid"
            case ("valid", (0, 1, 0, 1)) if height == 3 and stride == 2 and not odd:
                kind = "tensorflow"
            case ("valid", (1, 1, 1, 1)) if height == 3:
                kind = "symmetric"
            case _:
                raise ModelError(f"{label} is padded by {pads} pixels, then {mode}; this padding is not supported")
        free = stride == 1 and (height == 1 or (height % 2 == 1 and kind != "valid"))
        self._paddings.append(_NEUTRAL if free else kind)
        if self.side is not None:
            self.side = (self.side - height) // stride + 1 if kind == "valid" else -(-self.side // stride)
        return int(stride)

    def _norm(self, layer: Layer) -> None:
        conv = self._last_conv(layer, "it belongs between a convolution and its activation")
        if conv.norm is not None or conv.activation != "none" or not _last_axis(layer):
            raise ModelError(f"norm {layer.name} is not between a convolution and its activation")
        mean, variance = (self._read(layer, name, dimensions=1) for name in ("moving_mean", "moving_variance"))
        scale = self._read(layer, "gamma", dimensions=1) if "gamma" in layer.variables else np.ones_like(mean)
        shift = self._read(layer, "beta", dimensions=1) if "beta" in layer.variables else np.zeros_like(mean)
        if {len(array) for array in (mean, variance, scale, shift)} != {self._channels}:
            raise ModelError(f"{layer.variables['moving_mean']} {mean.shape} does not fit {conv.name}")
        epsilon = layer.settings["epsilon"]
        if not 0 < epsilon < 1 or (variance < 0).any():
            raise ModelError(f"norm {layer.name} has a negative variance, or epsilon {epsilon}")
        if conv.bias is not None:
            with np.errstate(over="ignore"):
                mean = mean - conv.bias
        if not np.isfinite(mean).all():
            raise ModelError(f"{layer.variables['moving_mean']} {mean.shape} and the bias of {conv.name} are too large")
        norm = ForeignNorm(scale, shift, mean, variance, float(epsilon))
        self._convs[-1] = replace(conv, bias=None, norm=norm)

    def _relu(self, layer: Layer) -> None:
        top = layer.settings.get("max_value")
        if layer.settings.get("negative_slope") or layer.settings.get("threshold") or top not in {None, 6}:
            raise ModelError(f"{layer.name} is a ReLU with a slope or a maximum of {top}; ReLU and ReLU6 are supported")
        self._activate(layer, "relu" if top is None else "relu6")

    def _activation(self, layer: Layer) -> None:
        self._activate(layer, "softmax" if layer.kind == "Softmax" else _named_activation(layer))

    def _activate(self, layer: Layer, kind: str) -> None:
        if kind == "linear":
            return
        if self.classifier is not None:
            if kind not in ("softmax", "sigmoid"):
                raise ModelError(
                    f"the classifier ends in {kind} ({layer.name}); softmax, sigmoid or no activation is supported"
                )
            self.ending = "sigmoid" if kind == "sigmoid" else "softmax"
            return
        conv = self._last_conv(layer, "it belongs after a convolution")
        if conv.activation != "none" or self._pooled or kind not in {"relu", "relu6"}:
            raise ModelError(f"{layer.name} is the activation {kind} after {conv.name}; ReLU and ReLU6 are supported")
        activation: Activation = "relu" if kind == "relu" else "relu6"
        self._convs[-1] = replace(conv, activation=activation)

    def _pool(self, layer: Layer) -> None:
        self._last_conv(layer, "it has nothing to pool")
        if layer.kind == "AveragePooling2D":
            size = _pair(layer, "pool_size")
            if size != (self.side, self.side) or layer.settings["padding"] != "valid":
                raise ModelError(
                    f"{layer.name} averages {size} pixels of a plane of side {self.side}; the whole plane is expected"
                )
        self._pooled = True

    def _reshape(self, layer: Layer) -> None:
        if not self._pooled:
            raise ModelError(f"{layer.name} is a {layer.kind} of an unpooled plane, which is not part of any MobileNet")

    def _dense(self, layer: Layer) -> None:
        kernel = self._read(layer, "kernel", dimensions=2)
        bias = self._read(layer, "bias", dimensions=1) if "bias" in layer.variables else None
        if not self._pooled:
            raise ModelError(f"{layer.variables['kernel']} {kernel.shape} reads an unpooled plane")
        self._classify(layer, kernel[None, None], bias)

    def _classify(self, layer: Layer, kernel: NDArray[np.float32], bias: NDArray[np.float32] | None) -> None:
        height, width, features, classes = kernel.shape
        if self.classifier is not None or (height, width, features) != (1, 1, self._channels):
            raise ModelError(f"{layer.name} {kernel.shape} does not fit as the classifier of {self._channels} features")
        if bias is not None and len(bias) != classes:
            raise ModelError(f"{layer.variables['bias']} {bias.shape} does not fit {classes} classes")
        self.classifier = ForeignLinear(layer.name, np.ascontiguousarray(kernel[0, 0].T), bias)
        self._activate(layer, _named_activation(layer))

    def _scale(self, layer: Layer) -> None:
        if self._convs:
            raise ModelError(f"{layer.name} ({layer.kind}) scales something other than the photo")
        factors, offsets = scaling(layer, lambda name: self._read(layer, name, dimensions=None))
        before = self.scaling or (np.ones(3), np.zeros(3))
        self.scaling = before[0] * factors, before[1] * factors + offsets

    def _last_conv(self, layer: Layer, reason: str) -> ForeignConv:
        if not self._convs or self.classifier is not None:
            raise ModelError(f"{layer.name} ({layer.kind}) is out of place: {reason}")
        return self._convs[-1]

    def _read(self, layer: Layer, name: str, dimensions: int | None) -> NDArray[np.float32]:
        if name not in layer.variables:
            found = ", ".join(sorted(layer.variables)) or "none"
            raise ModelError(f"layer {layer.name} ({layer.kind}) has no array {name}; found: {found}")
        path = layer.variables[name]
        shape = self._file.shapes[path]
        if dimensions not in {None, len(shape)}:
            raise ModelError(
                f"{path} {shape} has {len(shape)} dimensions; the {name} of a {layer.kind} has {dimensions}"
            )
        self._unread.discard(path)
        return self._file.read(path)


def _pair(layer: Layer, name: str, default: int = 1) -> tuple[Any, Any]:
    """A setting for height and width, which may be a single number."""
    value = layer.settings.get(name, default)
    if isinstance(value, int):
        return value, value
    height, width = value
    return height, width


def _named_activation(layer: Layer) -> str:
    """The name of a layer's activation; Keras 3 writes a custom one as an object."""
    value = layer.settings.get("activation") or "linear"
    return str(value.get("config") if isinstance(value, dict) else value)


def _last_axis(layer: Layer) -> bool:
    return layer.settings.get("axis", -1) in (3, -1, [3], [-1])
