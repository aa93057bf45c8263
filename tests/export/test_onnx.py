"""ONNX files in float32: the engines answer as the trained network does, and the file says what it is."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import NodeProto, TensorProto
from onnx.reference import ReferenceEvaluator

from mobilenet.errors import ModelError
from mobilenet.export.onnx.model import onnx_model
from mobilenet.model.card import ModelCard
from mobilenet.model.seal import check_seal
from mobilenet.runtimes import open_model
from mobilenet.spec import Activation, Padding

Maker = Callable[..., Any]

ENGINES = ("onnxruntime", "openvino")


def _assert_equal(found: Any, expected: Any) -> None:
    # What the project promises of float32 files: engines add in other orders over some thirty layers.
    np.testing.assert_array_less(np.abs(found - expected), 1e-5 + 1e-4 * np.abs(expected))
    assert (found.argmax(1) == expected.argmax(1)).all()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("padding", ["symmetric", "tensorflow"])
@pytest.mark.parametrize("activation", ["relu", "relu6"])
@pytest.mark.parametrize(
    ("width", "resolution", "classes", "batch"), [(0.25, 64, 7, None), (0.4, 96, 2, 1), (0.5, 32, 1001, 3)]
)
def test_engines_answer_as_torch(
    example: Maker,
    tmp_path: Path,
    engine: str,
    padding: Padding,
    activation: Activation,
    width: float,
    resolution: int,
    classes: int,
    batch: int | None,
) -> None:
    made = example(
        width=width,
        resolution=resolution,
        classes=classes,
        padding=padding,
        activation=activation,
        mean=(123.7, 116.3, 103.5),
        std=(58.4, 57.1, 57.4),
    )
    file = tmp_path / "model.onnx"
    file.write_bytes(onnx_model(made.graph, batch=batch))
    found = open_model(file, engine, threads=1).predict(made.images)["probabilities"]
    _assert_equal(found, made.predictor.predict(made.images)["probabilities"])


@pytest.mark.parametrize("architecture", ["mobilenet_v1_standard", "mobilenet_v1_shallow", "mobilenet_v1_head"])
def test_other_tables_too(example: Maker, tmp_path: Path, architecture: str) -> None:
    made = example(architecture=architecture, resolution=64)
    file = tmp_path / "model.onnx"
    file.write_bytes(onnx_model(made.graph, batch=None))
    _assert_equal(
        open_model(file).predict(made.images)["probabilities"], made.predictor.predict(made.images)["probabilities"]
    )


def test_the_reference_evaluator_gives_the_same(example: Maker) -> None:
    made = example(resolution=32)
    evaluator = ReferenceEvaluator(onnx.load_from_string(onnx_model(made.graph, batch=None)))
    (found,) = evaluator.run(["probabilities"], {"images": made.images})
    _assert_equal(found, made.predictor.predict(made.images)["probabilities"])


def _nodes(data: bytes) -> dict[str, NodeProto]:
    return {node.name: node for node in onnx.load_from_string(data).graph.node}


def _attribute(node: NodeProto, name: str) -> Any:
    (found,) = (onnx.helper.get_attribute_value(item) for item in node.attribute if item.name == name)
    return found


def test_padding_is_written_in_pixels(example: Maker) -> None:
    """SAME on 64 and 32 pixels: a stride of 2 lacks one pixel, which is put after; a stride of 1 lacks two."""
    same = _nodes(onnx_model(example(padding="tensorflow", resolution=64).graph, batch=1))
    assert _attribute(same["stem/conv"], "pads") == [0, 0, 1, 1]
    assert _attribute(same["block1.depthwise/conv"], "pads") == [1, 1, 1, 1]
    assert _attribute(same["block2.depthwise/conv"], "pads") == [0, 0, 1, 1]
    assert _attribute(same["block1.pointwise/conv"], "pads") == [0, 0, 0, 0]
    symmetric = _nodes(onnx_model(example(padding="symmetric", resolution=64).graph, batch=1))
    assert _attribute(symmetric["stem/conv"], "pads") == [1, 1, 1, 1]
    assert _attribute(symmetric["block2.depthwise/conv"], "pads") == [1, 1, 1, 1]


def test_the_file_says_what_it_is(example: Maker) -> None:
    graph = example(classes=3).graph
    graph = replace(graph, card=replace(graph.card, labels=("Apple/Pink-Lady", "Äpfel", "caf\udce9")))
    data = onnx_model(graph, batch=None)
    check_seal(data, Path("model.onnx"))
    model = onnx.load_from_string(data)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert ModelCard.from_json(metadata["mobilenet"]) == graph.card
    assert json.loads(metadata["labels"]) == list(graph.card.labels)
    assert metadata["task"] == "classification"
    assert "uint8 RGB pixels (N, 64, 64, 3) in, probabilities of 3 classes out" in metadata["description"]
    assert ([opset.version for opset in model.opset_import], model.ir_version) == ([13], 7)


@pytest.mark.parametrize(("batch", "first"), [(None, "N"), (4, 4)])
def test_input_and_output(example: Maker, batch: int | None, first: object) -> None:
    model = onnx.load_from_string(onnx_model(example(classes=3).graph, batch=batch))
    ((given,), (made,)) = (model.graph.input, model.graph.output)
    assert (given.name, given.type.tensor_type.elem_type) == ("images", TensorProto.UINT8)
    assert (made.name, made.type.tensor_type.elem_type) == ("probabilities", TensorProto.FLOAT)
    shapes = [[dim.dim_param or dim.dim_value for dim in tensor.type.tensor_type.shape.dim] for tensor in (given, made)]
    assert shapes == [[first, 64, 64, 3], [first, 3]]


def test_everything_is_inside_the_one_file_and_nothing_by_chance(example: Maker) -> None:
    graph = example().graph
    data = onnx_model(graph, batch=None)
    constants = onnx.load_from_string(data).graph.initializer
    assert all(constant.data_location == TensorProto.DEFAULT for constant in constants)
    assert len({constant.name for constant in constants}) == len(constants)
    assert onnx_model(graph, batch=None) == data


def test_a_network_that_begins_otherwise_is_refused(example: Maker) -> None:
    graph = example().graph
    pool, classifier = graph.nodes[-2:]
    with pytest.raises(ModelError, match="row pool reads the photo, which only a convolution over all channels can"):
        onnx_model(replace(graph, nodes=(replace(pool, inputs=("input",)), classifier)), batch=None)
