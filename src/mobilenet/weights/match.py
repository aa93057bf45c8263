"""Matching a foreign network to one of our tables: every row is compared with the file's layer, and must match it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mobilenet.errors import ConfigError, ModelError, SpecError
from mobilenet.images.preprocessing import Preprocessing
from mobilenet.model.card import ModelCard
from mobilenet.model.outputs import Ending
from mobilenet.spec.mobilenet import MOBILENETS
from mobilenet.spec.rows import Conv, ConvStyle, Network, Padding
from mobilenet.tasks.default import DEFAULT
from mobilenet.weights.layers import BACKBONES, ForeignConv, ForeignLinear, ForeignNetwork
from mobilenet.weights.pixel_scale import assume_units

__all__ = ["Imported", "Triple", "check_row", "class_names", "recognise", "row_tensors"]

_IMAGENET = (1000, 1001)
"""Numbers of classes: those of ImageNet, without and with a background class in front."""
_IMAGENET_CROP = 0.875
"""The centre crop on which ImageNet classifiers are evaluated; others get whole photos."""

_ASSUMED_RESOLUTION = 224
_STEM, _LAST = 32, 1024
_SAME_EPSILON = 1e-6
"""Relative tolerance; epsilons are stored as float32 or as decimals."""

_BACKGROUND = "background"

Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Imported:
    """A foreign network in our terms: `tensors` have the names and shapes of `nn.network.TableNetwork.state_dict()`.

    `notes`: assumptions; `label_notes`: those about class names, which training drops together with the classifier.
    `ending`: what follows the classifier in the file.
    """

    card: ModelCard
    tensors: dict[str, NDArray[np.float32]]
    notes: tuple[str, ...]
    label_notes: tuple[str, ...] = ()
    ending: Ending = "softmax"


def recognise(
    network: ForeignNetwork,
    *,
    labels: tuple[str, ...] | None = None,
    resolution: int | None = None,
    mean: Triple | None = None,
    std: Triple | None = None,
) -> Imported:
    """The card and the tensors of `network`; arguments override what the file says.

    ModelError if it is not one of our MobileNet V1 tables, or if names and outputs do not match.
    """
    notes = [*network.notes]
    label_notes: list[str] = []
    architecture, style = _architecture(network), _style(network)
    table = _table(network, architecture, style)
    _check_classifier(network)
    classes = len(network.classifier.matrix) if network.classifier else 0
    side = _resolution(network, resolution, notes)
    card = ModelCard(
        architecture=table.name,
        width_multiplier=table.width_multiplier,
        resolution=side,
        labels=class_names(network, labels, classes, label_notes),
        preprocessing=_preprocessing(network, side, classes, (mean, std), notes),
        style=style,
        task=DEFAULT,
    )
    try:
        card.network()
    except SpecError as error:
        raise ModelError(f"{network.source}: {error}") from error
    return Imported(card, _tensors(network, table), tuple(notes), tuple(label_notes), network.ending)


def _architecture(network: ForeignNetwork) -> str:
    """By the number of convolutions, which is unique."""
    convs = network.convs
    if len(convs) not in BACKBONES:
        kinds = ", ".join(f"{name} {count}" for count, name in BACKBONES.items())
        raise ModelError(f"{network.source} has {len(convs)} convolutions, which fits no architecture: {kinds}")
    if flat := [conv for conv in convs if conv.filters.ndim != 4 or 0 in conv.filters.shape]:
        raise ModelError(
            f"{network.source}: {flat[0].name} has shape {flat[0].filters.shape}, which is not that of filters"
        )
    return BACKBONES[len(convs)]


def _table(network: ForeignNetwork, architecture: str, style: ConvStyle) -> Network:
    """The table whose rows match the file's layers; ModelError names the first layer that does not match."""
    convs = network.convs
    found = [len(conv.filters) for conv in convs]
    tables = [MOBILENETS[architecture](width, classes=0, style=style) for width in _widths(convs)]
    table = next((table for table in tables if [row.out_channels for row in _convs(table)] == found), tables[0])
    for row, conv in zip(_convs(table), convs, strict=True):
        check_row(network.source, row, conv, f"{architecture} {table.width_multiplier:g}")
    return table


def _convs(table: Network) -> list[Conv]:
    return [row for row in table.rows if isinstance(row, Conv)]


def _widths(convs: Sequence[ForeignConv]) -> list[float]:
    """Width multipliers that give the stem and the last block the channels found, the shortest decimal first.

    A layer of `base` channels thinned to `found` was multiplied by found / base or a little more: results are floored.
    """
    last = convs[-1] if len(convs) != 28 else convs[-2]
    stem, top = len(convs[0].filters), len(last.filters)
    least = max(top / _LAST, stem / _STEM if stem > 8 else 0.0)
    most = min((top + 1) / _LAST, (stem + 1) / _STEM)
    short = (math.ceil(round(least * 10**digits, 6)) / 10**digits for digits in range(1, 7))
    found = [width for width in short if least <= width < most and 0 < width <= 16]
    return [*found, min(max(least, 1 / _LAST), 16.0)]


def _style(network: ForeignNetwork) -> ConvStyle:
    """The style that all convolutions share; ModelError names the first that differs."""
    first, convs = network.convs[0], network.convs
    normed = first.norm is not None
    for conv in convs:
        epsilon = conv.norm.epsilon if conv.norm is not None else 0.0
        if (conv.norm is not None) != normed or conv.activation != first.activation:
            raise ModelError(
                f"{network.source}: {conv.name} of shape {conv.filters.shape} has {_describe(conv)}, the first layer "
                f"{_describe(first)}; all must be the same"
            )
        if first.norm is not None and not math.isclose(epsilon, first.norm.epsilon, rel_tol=_SAME_EPSILON):
            raise ModelError(f"{network.source}: {conv.name} has epsilon {epsilon:g}, not {first.norm.epsilon:g}")
    if first.activation not in {"relu", "relu6"}:
        raise ModelError(
            f"{network.source}: {first.name} is not followed by a ReLU; MobileNet V1 has one after every layer"
        )
    return ConvStyle(_padding(network), first.activation, first.norm.epsilon if first.norm else 1e-5, normed)


def _describe(conv: ForeignConv) -> str:
    return f"{'a batch norm' if conv.norm else 'no batch norm'} and activation {conv.activation}"


def _padding(network: ForeignNetwork) -> Padding:
    """Determined by the layers with a stride: with stride 1, both paddings are the same for an odd kernel."""
    found = {conv.padding: conv for conv in network.convs if conv.stride > 1}
    if len(found) != 1 or "valid" in found:
        say = "; ".join(f"{conv.name} of shape {conv.filters.shape} is {kind}" for kind, conv in found.items())
        raise ModelError(f"{network.source}: the padding of the strided layers is not supported: {say or 'none'}")
    return next(iter(found))


def check_row(source: str, row: Conv, conv: ForeignConv, name: str) -> None:
    """ModelError if the file's layer does not match this row."""
    side = row.kernel_size
    wanted = (row.out_channels, row.in_channels // row.groups, side, side)
    found = (conv.filters.shape, conv.stride, conv.groups)
    if found != (wanted, row.stride, row.groups):
        raise ModelError(
            f"{source}: {conv.name} has filters {found[0]}, stride {found[1]}, groups {found[2]}; {row.name} of the "
            f"nearest table, {name}, has {wanted}, stride {row.stride}, groups {row.groups}"
        )
    if conv.padding == "valid" and side != 1:
        raise ModelError(f"{source}: {conv.name} of shape {conv.filters.shape} is not padded; MobileNet V1 pads")


def _check_classifier(network: ForeignNetwork) -> None:
    last, classifier = len(network.convs[-1].filters), network.classifier
    if classifier is not None and (classifier.matrix.ndim != 2 or classifier.matrix.shape[1] != last):
        raise ModelError(
            f"{network.source}: {classifier.name} has shape {classifier.matrix.shape}, but {last} features reach it"
        )


def _resolution(network: ForeignNetwork, given: int | None, notes: list[str]) -> int:
    if given is None and network.resolution is None:
        notes.append(f"the file does not specify its resolution; {_ASSUMED_RESOLUTION} is assumed")
    return given or network.resolution or _ASSUMED_RESOLUTION


def class_names(
    network: ForeignNetwork, given: tuple[str, ...] | None, classes: int, notes: list[str]
) -> tuple[str, ...]:
    """The given names, else those in the file, else "class 0", "class 1", …; none for a backbone.

    ModelError if there are more or fewer given than outputs.
    """
    if given is not None and _fit(given, classes) is None:
        outputs = f"{classes:,} outputs" if classes else "no classifier"
        raise ModelError(f"{network.source} has {outputs}, but the label file {len(given):,} names; give one per line")
    names = _fit(network.labels, classes) if given is None else _fit(given, classes)
    if names is None and network.labels is not None:
        notes.append(f"the file has {classes:,} outputs and {len(network.labels):,} class names, which were ignored")
    if names is None and classes:
        notes.append("the classes have no names; give them with --labels")
        names = tuple(f"class {number}" for number in range(classes))
    return names or ()


def _fit(names: tuple[str, ...] | None, classes: int) -> tuple[str, ...] | None:
    """One name per output; files of 1001 classes begin with a background class, ImageNet's lists of names do not."""
    if names is not None and len(names) == 1000 and classes == 1001:
        return (_BACKGROUND, *names)
    return names if names is not None and len(names) == classes else None


def _preprocessing(
    network: ForeignNetwork, side: int, classes: int, given: tuple[Triple | None, Triple | None], notes: list[str]
) -> Preprocessing:
    """The given preprocessing, else that of the file, else what its first filters fit, with a note."""
    said, (mean, std) = network.preprocessing, given
    try:
        if said is None and (mean is None or std is None):
            said, assumed = assume_units(network)
            notes += assumed
        found = replace(said or Preprocessing(_ASSUMED_RESOLUTION), resolution=side)
        if found.crop_fraction is None and classes in _IMAGENET:
            found = replace(found, crop_fraction=_IMAGENET_CROP)
        return replace(found, mean=mean or found.mean, std=std or found.std)
    except ConfigError as error:
        raise ModelError(f"{network.source}: {error}") from error


def _tensors(network: ForeignNetwork, table: Network) -> dict[str, NDArray[np.float32]]:
    tensors: dict[str, NDArray[np.float32]] = {}
    for row, conv in zip(_convs(table), network.convs, strict=True):
        tensors |= row_tensors(network.source, row, conv)
    if network.classifier is not None:
        tensors |= _usable(network.source, _linear(network.source, network.classifier))
    return tensors


def row_tensors(source: str, row: Conv, conv: ForeignConv) -> dict[str, NDArray[np.float32]]:
    """The tensors of a row, by name, from the file's layer: filters (out, in / groups, height, width), vectors (out,);
    ModelError for one that is damaged."""
    vectors = _vectors(conv)
    for name, values in vectors.items():
        if values.shape != (row.out_channels,):
            raise ModelError(f"{source}: {name} of {conv.name} is {values.shape}, not one per filter")
    if conv.norm is not None and (conv.norm.variance < 0).any():
        raise ModelError(f"{source}: {conv.name} has a negative variance; it is damaged")
    named = {"conv.weight": conv.filters, **vectors}
    return _usable(source, {f"{row.name}.{name}": values for name, values in named.items()})


def _usable(source: str, tensors: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    for name, values in tensors.items():
        if not np.isfinite(values).all():
            raise ModelError(f"{source}: {name} of shape {values.shape} holds NaN or infinity; it is damaged")
    # torch does not accept read-only arrays, such as views of a file's bytes.
    return {name: np.require(values, np.float32, ("C", "W")) for name, values in tensors.items()}


def _vectors(conv: ForeignConv) -> dict[str, NDArray[np.float32]]:
    """The arrays of a layer besides its filters; a bias before a norm only shifts the mean that the norm subtracts."""
    norm, bias = conv.norm, conv.bias
    if norm is None:
        return {"conv.bias": np.zeros(len(conv.filters), np.float32) if bias is None else bias}
    mean = norm.mean if bias is None else norm.mean - bias
    statistics = {"norm.running_mean": mean, "norm.running_var": norm.variance}
    return {"norm.weight": norm.scale, "norm.bias": norm.shift, **statistics}


def _linear(source: str, classifier: ForeignLinear) -> dict[str, NDArray[np.float32]]:
    classes = len(classifier.matrix)
    bias = np.zeros(classes, np.float32) if classifier.bias is None else classifier.bias
    if bias.shape != (classes,):
        raise ModelError(f"{source}: the bias of {classifier.name} has shape {bias.shape}, not {classes} numbers")
    return {"classifier.weight": classifier.matrix, "classifier.bias": bias}
