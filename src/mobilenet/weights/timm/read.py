"""timm's MobileNet V1 files: safetensors with timm's names, and the config.json beside them.

The tensors do not tell strides, padding or activation; timm's `mobilenetv1_*` share one structure, which the names must
match: a stem, five stages of blocks, and in some a head. Training code often puts one prefix in front of all names,
such as `module.` or `backbone.`; whatever is named otherwise is not part of the network.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, deserialize

from mobilenet.errors import ModelError
from mobilenet.weights.layers import ForeignConv, ForeignLinear, ForeignNetwork, ForeignNorm
from mobilenet.weights.timm.config import read_description

__all__ = ["read_timm"]

Tensors = Mapping[str, NDArray[np.float32]]

_STAGES = ((1, 1), (2, 2), (2, 2), (6, 2), (2, 2))
"""Number of blocks in each stage, and the stride of the first one."""

_STEM = "conv_stem.weight"
_BODY = re.compile(r"(conv_stem|bn1|bn2|blocks|conv_head)\.")
_CLASSIFIER = {"classifier.weight", "classifier.bias"}
_EPSILON = 1e-5
_NORM = ("weight", "bias", "running_mean", "running_var")
_MAX_BYTES, _MAX_MESSAGE = 1 << 31, 600
_FORMATS: dict[str, np.dtype[np.generic]] = {
    "F16": np.dtype("<f2"),
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
    "BF16": np.dtype("<u2"),
}


def read_timm(path: Path) -> ForeignNetwork:
    """A safetensors file of a `mobilenetv1_*` -> its network; ModelError, one line, for anything else."""
    try:
        tensors, others = _without_prefix(_read_tensors(path))
        convs = _convs(tensors)
        _check_convs(convs)
        classifier, fault = _head(tensors, others, len(convs[-1].filters))
    except ModelError as error:
        raise ModelError(f"{path}: {_one_line(str(error))}") from error
    classes = len(classifier.matrix) if classifier else 0
    described = read_description(path, convs[0], classes if fault is None else None)
    return ForeignNetwork(
        source=str(path),
        convs=convs,
        classifier=classifier,
        resolution=described.resolution,
        labels=described.labels,
        preprocessing=described.preprocessing,
        notes=described.notes,
        head_fault=None if fault is None else f"{path}: {_one_line(fault)}",
    )


def _one_line(message: str) -> str:
    return " ".join(message[:_MAX_MESSAGE].split())


def _without_prefix(tensors: Tensors) -> tuple[Tensors, Tensors]:
    """The tensors of the network without the prefix of their names, and those without that prefix."""
    stems = [name for name in tensors if name == _STEM or name.endswith(f".{_STEM}")]
    if len(stems) > 1:
        raise ModelError(f"it contains {len(stems)} networks: {', '.join(sorted(stems)[:3])}; save one of them")
    prefix = stems[0].removesuffix(_STEM) if stems else ""
    inside = {name.removeprefix(prefix): values for name, values in tensors.items() if name.startswith(prefix)}
    return inside, {name: values for name, values in tensors.items() if not name.startswith(prefix)}


def _read_tensors(path: Path) -> dict[str, NDArray[np.float32]]:
    """All tensors as float32, except the batch counters."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ModelError(
                f"it has {path.stat().st_size:,} bytes, more than any MobileNet; the limit is {_MAX_BYTES:,}"
            )
        found = deserialize(path.read_bytes())  # type: ignore[no-untyped-call]
    except (OSError, SafetensorError, ValueError) as error:
        raise ModelError(f"it is not a safetensors file, or is damaged: {error}") from error
    tensors = {}
    while found:
        name, content = found.pop()
        if not name.endswith(".num_batches_tracked"):
            tensors[name] = _floats(name, content["dtype"], tuple(content["shape"]), content["data"])
    return tensors


def _floats(name: str, kind: str, shape: tuple[int, ...], data: bytes) -> NDArray[np.float32]:
    if kind not in _FORMATS:
        raise ModelError(f"{name} {shape} has type {kind}; {', '.join(_FORMATS)} are supported")
    values: NDArray[np.generic] = np.frombuffer(data, _FORMATS[kind])
    if values.size != math.prod(shape):
        raise ModelError(f"{name} {shape} has {values.size:,} values")
    if kind == "BF16":
        values = (values.astype(np.uint32) << 16).view(np.float32)
    with np.errstate(over="ignore"):
        floats: NDArray[np.float32] = values.astype(np.float32, copy=False).reshape(shape)
    if not np.isfinite(floats).all():
        raise ModelError(f"{name} {shape} contains values that are not finite")
    return floats


def _convs(tensors: Tensors) -> tuple[ForeignConv, ...]:
    """The convolutions in the order of computation; ModelError names what is missing and what is unexpected."""
    layers = [*_layers("conv_head.weight" in tensors)]
    expected = _expected(layers)
    missing, unexpected = expected - set(tensors), {name for name in set(tensors) - expected if _BODY.match(name)}
    if missing or unexpected:
        others = set(tensors) - expected - _CLASSIFIER
        raise ModelError(
            "its tensors are not those of timm's mobilenetv1: "
            f"missing: {_shown(missing, tensors)}; unexpected: {_shown(unexpected or others, tensors)}"
        )
    return tuple(_conv(tensors, *layer) for layer in layers)


def _expected(layers: Iterable[tuple[str, str, int]]) -> set[str]:
    """The names of the tensors of these layers."""
    found: set[str] = set()
    for conv, norm, _ in layers:
        found |= {f"{conv}.weight", *(f"{norm}.{part}" for part in _NORM)}
    return found


def _layers(head: object) -> Iterator[tuple[str, str, int]]:
    """The name of each convolution and of its norm, and its stride."""
    yield "conv_stem", "bn1", 2
    for stage, (blocks, stride) in enumerate(_STAGES):
        for block in range(blocks):
            name = f"blocks.{stage}.{block}"
            yield f"{name}.conv_dw", f"{name}.bn1", stride if block == 0 else 1
            yield f"{name}.conv_pw", f"{name}.bn2", 1
    if head:
        yield "conv_head", "bn2", 1


def _shown(names: set[str], tensors: Tensors) -> str:
    shapes = (f"{name} {tensors[name].shape}" if name in tensors else name for name in sorted(names)[:3])
    return ", ".join(shapes) or "none"


def _conv(tensors: Tensors, name: str, norm: str, stride: int) -> ForeignConv:
    filters = tensors[f"{name}.weight"]
    parts = {part: tensors[f"{norm}.{part}"] for part in _NORM}
    for part, values in parts.items():
        if values.shape != filters.shape[:1]:
            raise ModelError(f"{norm}.{part} {values.shape} does not fit {name}.weight {filters.shape}")
    scale, shift, mean, variance = parts.values()
    if (variance < 0).any():
        raise ModelError(f"{norm}.running_var {variance.shape} contains negative variances")
    groups = filters.shape[0] if name.endswith("conv_dw") else 1
    unfolded = ForeignNorm(scale, shift, mean, variance, _EPSILON)
    return ForeignConv(f"{name}.weight", filters, stride, groups, "symmetric", "relu6", None, unfolded)


def _head(tensors: Tensors, others: Tensors, features: int) -> tuple[ForeignLinear | None, str | None]:
    """The classifier, or none and why there is another head: tensors after the body, or outside the network."""
    allowed = _CLASSIFIER if "classifier.weight" in tensors else set()
    extra = set(tensors) - _expected(_layers("conv_head.weight" in tensors)) - allowed
    if extra or others:
        shown = _shown(extra | set(others), {**others, **tensors})
        return None, f"its tensors are not those of timm's mobilenetv1: missing: none; unexpected: {shown}"
    if "classifier.weight" not in tensors:
        return None, None
    classifier = ForeignLinear("classifier.weight", tensors["classifier.weight"], tensors.get("classifier.bias"))
    shape, bias = classifier.matrix.shape, classifier.bias
    if len(shape) != 2 or shape[1] != features or shape[0] == 0:
        return None, f"{classifier.name} {shape} does not read {features} features"
    if bias is not None and bias.shape != shape[:1]:
        return None, f"classifier.bias {bias.shape} does not fit {classifier.name} {shape}"
    return classifier, None


def _check_convs(convs: tuple[ForeignConv, ...]) -> None:
    """Each layer reads what the one before it computes."""
    channels = 3
    for conv in convs:
        depthwise = conv.name.endswith("conv_dw.weight")
        side = 3 if depthwise or conv.name == _STEM else 1
        wanted = (1 if depthwise else channels, side, side)
        shape = conv.filters.shape
        if shape[1:] != wanted or 0 in shape or (depthwise and shape[0] != channels):
            raise ModelError(
                f"{conv.name} {shape} does not read {channels} channels with filters of {side}×{side} pixels"
            )
        channels = shape[0]
