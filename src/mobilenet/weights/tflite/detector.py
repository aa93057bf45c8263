"""The layers of a single-shot detector in a TFLite file, which lead to its last operator, TFLite_Detection_PostProcess.

Such a file is a graph, not a chain. The last operator reads box codes, scores, and anchors, which are constant. Codes
and scores are each joined from those of several planes, and on every plane convolutions predict them. From those planes
a single chain leads back to the photo. Reshapes keep the order of values, and only scores pass a sigmoid.
"""

import math
from dataclasses import dataclass

import numpy as np
from flatbuffers import flexbuffers
from numpy.typing import NDArray

from mobilenet.errors import ModelError
from mobilenet.weights.tflite.file import DAMAGE, Graph, Operator, Tensor
from mobilenet.weights.tflite.ranges import LOWEST, floats, misfit, one_scale

__all__ = ["ANCHORS", "Branch", "Outline", "outline", "priors_of_planes"]

_POST_PROCESS = "TFLite_Detection_PostProcess"
_CODES, _SCORES, ANCHORS = 0, 1, 2
"""Places of its inputs."""

_SAME = frozenset({"RESHAPE", "SQUEEZE", "EXPAND_DIMS", "QUANTIZE", "DEQUANTIZE"})
"""Kinds of operators that keep the order of values."""

_SIGMOID = "LOGISTIC"

_OFF_GRID = 1e-4
"""Tolerance of prior boxes in shares of the image, in addition to half a quantisation step."""

_LARGEST_PRIOR = 100.0
"""In shares of the image; those of the authors' networks are at most 1.7."""


@dataclass(frozen=True, slots=True)
class Branch:
    """The convolutions, one or two, that predict on the plane in tensor number `plane`."""

    plane: int
    convolutions: tuple[Operator, ...]


@dataclass(frozen=True, slots=True)
class Outline:
    """The operators from the photo to the last plane (`chain`), those that predict on each plane, and the last one.

    Its options: `classes` without the background; what codes of y, x, height and width are divided by (`box_scales`).
    """

    chain: tuple[Operator, ...]
    boxes: tuple[Branch, ...]
    scores: tuple[Branch, ...]
    end: Operator
    classes: int
    box_scales: tuple[float, float, float, float]


def outline(graph: Graph) -> Outline | None:
    """The outline of a detector; None for a file without the operator that ends one; ModelError names what is not
    supported, or is damaged."""
    ends = [number for number, operator in enumerate(graph.operators) if operator.kind == _POST_PROCESS]
    if not ends:
        return None
    end = graph.operators[ends[0]]
    if len(ends) > 1 or len(end.inputs) != 3 or min(end.inputs) < 0:
        raise ModelError(f"it has {len(ends)} {_POST_PROCESS}, or one that does not read three tensors; it is damaged")
    if not graph.outputs or not set(graph.outputs) <= set(end.outputs):
        raise ModelError(f"its outputs are not those of {_POST_PROCESS}; use a detector without other outputs")
    paths = _Paths(graph)
    boxes = paths.branches(end.inputs[_CODES], ends[0], sigmoids=0)
    scores = paths.branches(end.inputs[_SCORES], ends[0], sigmoids=1)
    if [branch.plane for branch in boxes] != [branch.plane for branch in scores]:
        raise ModelError("boxes and scores are not predicted on the same planes, in the same order; it is not an SSD")
    return Outline(paths.chain(boxes[-1].plane), boxes, scores, end, *_settings(end.options.custom))


class _Paths:
    """Ways through a graph, from a tensor backwards; each step goes to an earlier operator, so they end."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._made = {made: number for number, operator in enumerate(graph.operators) for made in operator.outputs}

    def branches(self, tensor: int, reader: int, *, sigmoids: int) -> tuple[Branch, ...]:
        """Those that are joined in a tensor, an input of operator number `reader`, after so many sigmoids."""
        last, passed = self._before(tensor, reader)
        joined = self._graph.operators[last]
        if joined.kind != "CONCATENATION":
            parts = [(last, 0)]
        else:
            self._check_joined(joined)
            parts = [self._before(part, last) for part in joined.inputs]
        branches = tuple(self._branch(number) for number, _ in parts)
        if wrong := [passed + more for _, more in parts if passed + more != sigmoids]:
            name = self._graph.tensors[tensor].name
            raise ModelError(f"{name} is computed with {wrong[0]} sigmoids (LOGISTIC), {sigmoids} expected")
        return branches

    def chain(self, tensor: int) -> tuple[Operator, ...]:
        """The operators from the photo to a tensor, in order."""
        found: list[Operator] = []
        reader = len(self._graph.operators)
        while tensor != self._graph.inputs[0]:
            reader = self._maker(tensor, reader)
            found.append(self._graph.operators[reader])
            tensor = self._read(found[-1])
        return tuple(reversed(found))

    def _before(self, tensor: int, reader: int) -> tuple[int, int]:
        """The operator in front of those that keep the order of values, and the number of sigmoids passed."""
        sigmoids = 0
        while True:
            reader = self._maker(tensor, reader)
            operator = self._graph.operators[reader]
            if operator.kind not in _SAME and operator.kind != _SIGMOID:
                return reader, sigmoids
            sigmoids += operator.kind == _SIGMOID
            tensor = self._read(operator)

    def _branch(self, number: int) -> Branch:
        prediction = self._graph.operators[number]
        if prediction.kind != "CONV_2D":
            raise ModelError(
                f"a {prediction.kind} leads to {_POST_PROCESS}; between it and the convolutions of a detector, only "
                "reshapes, one concatenation and a sigmoid of the scores are supported"
            )
        read = self._read(prediction)
        maker = self._made.get(read)
        if maker is None or maker >= number or self._graph.operators[maker].kind != "DEPTHWISE_CONV_2D":
            return Branch(read, (prediction,))
        depthwise = self._graph.operators[maker]
        return Branch(self._read(depthwise), (depthwise, prediction))

    def _check_joined(self, joined: Operator) -> None:
        """ModelError unless the values of one part follow those of the other."""
        shape, axis = self._graph.tensors[joined.outputs[0]].shape if joined.outputs else (), joined.options.axis
        axis += len(shape) if axis < 0 else 0
        if not 0 <= axis < len(shape) or set(shape[:axis]) - {1} or joined.options.activation != "NONE":
            raise ModelError(f"a CONCATENATION to {shape} along axis {joined.options.axis} does not join planes")

    def _maker(self, tensor: int, reader: int) -> int:
        """The number of the operator that computes what operator number `reader` reads."""
        maker = self._made.get(tensor, -1)
        if tensor < 0 or not 0 <= maker < reader or len(self._graph.operators[maker].outputs) != 1:
            name = self._graph.tensors[tensor].name if tensor >= 0 else "an omitted input"
            raise ModelError(f"{name} is not the one output of an operator before its reader; it is damaged")
        return maker

    def _read(self, operator: Operator) -> int:
        """The tensor that it computes on: the first that is not a constant."""
        tensors = self._graph.tensors
        return next((number for number in operator.inputs if number >= 0 and tensors[number].values is None), -1)


def _settings(data: bytes) -> tuple[int, tuple[float, float, float, float]]:
    """Classes and scales, from the bytes of a flexbuffer.

    They are read one by one: a damaged flexbuffer that is read as a whole could unfold without end.
    """
    try:
        fields = flexbuffers.GetRoot(data).AsMap
        classes = int(fields["num_classes"].AsInt)
        scales = [float(fields[f"{name}_scale"].AsFloat) for name in "yxhw"]
    except (KeyError, AttributeError, *DAMAGE) as error:
        raise ModelError(f"the options of {_POST_PROCESS} are damaged ({error}); download it again") from error
    if not (classes > 0 and all(math.isfinite(scale) and scale > 0 for scale in scales)):
        raise ModelError(f"{_POST_PROCESS} has {classes} classes and scales {scales}; it is damaged")
    first, second, third, fourth = scales
    return classes, (first, second, third, fourth)


def priors_of_planes(
    anchors: Tensor, planes: list[tuple[int, int]]
) -> list[tuple[NDArray[np.float64], NDArray[np.float64] | None]]:
    """For each plane, of (side in pixels, prior boxes at a position): heights and widths (A, 2) of its priors, and the
    centres (side,) of the positions in a row or column, where an 8-bit file rounds them.

    Anchors are (P, 4): centre y and x, height and width, in shares of the image. ModelError unless they are as many as
    the planes have, have the same sizes at every position, and lie at the centres of the plane's pixels.
    """
    counts = [side * side * priors for side, priors in planes]
    if anchors.values is None or anchors.shape != (sum(counts), 4):
        raise ModelError(misfit(anchors, f"a constant of {sum(counts):,} anchors, those of planes {planes}"))
    values = floats(anchors, (0, 1)).astype(np.float64)
    if not np.isfinite(values).all():
        raise ModelError(f"the anchors {anchors.name} hold NaN or infinity; it is damaged")
    half_step = one_scale(anchors)[0] / 2 if anchors.kind in LOWEST else 0.0
    starts = np.cumsum([0, *counts[:-1]])
    cut = [values[start : start + count] for start, count in zip(starts, counts, strict=True)]
    shaped = [part.reshape(side, side, priors, 4) for part, (side, priors) in zip(cut, planes, strict=True)]
    return [(_sizes(part, half_step), _centres(part, half_step)) for part in shaped]


def _centres(anchors: NDArray[np.float64], half_step: float) -> NDArray[np.float64] | None:
    """(side, side, A, 4) -> (side,); None for unrounded ones."""
    side = len(anchors)
    wanted = (np.arange(side) + 0.5) / side
    apart = np.abs(anchors[..., :2] - np.stack(np.meshgrid(wanted, wanted, indexing="ij"), -1)[:, :, None])
    if apart.max() > half_step + _OFF_GRID:
        row, column, prior, _ = np.argwhere(apart > half_step + _OFF_GRID)[0]
        found, centre = anchors[row, column, prior, :2], wanted[[row, column]]
        raise ModelError(
            f"an anchor of the plane of {side} x {side} is at {found.round(4).tolist()}, not at the centre of its "
            f"pixel, {centre.round(4).tolist()}; only such anchors are supported"
        )
    return anchors[:, 0, 0, 0] if half_step else None


def _sizes(anchors: NDArray[np.float64], half_step: float) -> NDArray[np.float64]:
    """(side, side, A, 4) -> (A, 2)."""
    side, sizes = len(anchors), anchors[0, 0, :, 2:]
    apart = np.abs(anchors[..., 2:] - sizes).max()
    if apart > half_step + _OFF_GRID or sizes.min() <= 0 or sizes.max() > _LARGEST_PRIOR:
        raise ModelError(
            f"the anchors of the plane of {side} x {side} differ in size by {apart:.3g} between positions, or are not "
            f"between 0 and {_LARGEST_PRIOR:g}; only the same sizes at every position are supported"
        )
    return sizes
