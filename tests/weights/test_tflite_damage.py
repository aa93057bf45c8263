"""TFLite files that are damaged, or of something else, end in one line."""

import contextlib
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from tests.weights.damage import mutated, tables

from mobilenet.errors import ModelError
from mobilenet.spec import mobilenet_v1
from mobilenet.weights.read import import_weights

_SMALL = mobilenet_v1(0.25, 32, 10)

File = Callable[..., Any]


def _tensor(file: Any, name: str) -> Any:
    return next(tensor for tensor in file.graph.tensors if tensor.name.startswith(name))


def _operator(file: Any, kind: str) -> Any:
    number = getattr(schema.BuiltinOperator, kind)
    codes = file.model.operatorCodes
    return next(operator for operator in file.graph.operators if codes[operator.opcodeIndex].builtinCode == number)


def _other_operator(file: Any) -> None:
    code = file.model.operatorCodes[_operator(file, "SOFTMAX").opcodeIndex]
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.TANH


def _custom_operator(file: Any) -> None:
    code = file.model.operatorCodes[0]
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode = "Gadget"


def _other_activation(file: Any) -> None:
    _operator(file, "CONV_2D").builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.TANH


def _dilated(file: Any) -> None:
    _operator(file, "DEPTHWISE_CONV_2D").builtinOptions.dilationHFactor = 2


def _two_strides(file: Any) -> None:
    _operator(file, "CONV_2D").builtinOptions.strideW = 1


def _partial_pool(file: Any) -> None:
    _operator(file, "AVERAGE_POOL_2D").builtinOptions.filterWidth = 0


def _loop(file: Any) -> None:
    file.graph.operators[5].inputs[0] = file.graph.operators[5].outputs[0]


def _beside(file: Any) -> None:
    file.graph.operators[3].inputs[0] = file.graph.operators[1].outputs[0]


def _no_softmax_but_other_output(file: Any) -> None:
    file.graph.outputs = [file.graph.operators[3].outputs[0]]


def _two_graphs(file: Any) -> None:
    file.model.subgraphs = [file.graph, file.graph]


def _shape(file: Any) -> None:
    _tensor(file, "block1.pointwise/filters").shape = [1, 1, 16, 8]


def _wrong_size(file: Any) -> None:
    _tensor(file, "block1.pointwise/filters").shape = [16, 1, 1, 9]


def _not_a_number(file: Any) -> None:
    file.model.buffers[_tensor(file, "block2.depthwise/filters").buffer].data = np.full(
        16 * 9, np.nan, np.float32
    ).view(np.uint8)


def _grey_photo(file: Any) -> None:
    _tensor(file, "image").shape = [1, 32, 32, 1]


def _wide_photo(file: Any) -> None:
    _tensor(file, "image").shape = [1, 32, 64, 3]


def _sparse(file: Any) -> None:
    _tensor(file, "block1").sparsity = schema.SparsityParametersT()


def _many_tensors(file: Any) -> None:
    file.graph.tensors += 4096 * [schema.TensorT()]


def _long_name(file: Any) -> None:
    _tensor(file, "block1").name = "x" * 10_001


def _beta(file: Any) -> None:
    _operator(file, "SOFTMAX").builtinOptions.beta = 2.0


def _short_bias(file: Any) -> None:
    operator = _operator(file, "CONV_2D")
    operator.inputs[2] = next(
        number for number, tensor in enumerate(file.graph.tensors) if tensor.name == "block1.pointwise/bias"
    )


_FAULTS: list[tuple[Callable[[Any], None], str]] = [
    (_other_operator, "operator TANH is not part of"),
    (_custom_operator, "operator Gadget is not part of"),
    (_other_activation, "stem/filters is followed by TANH"),
    (_dilated, "tensor block1.depthwise/filters has shape (1, 3, 3, 8), stride (1, 1), dilation (2, 1)"),
    (_two_strides, "tensor stem/filters has shape (8, 3, 3, 3), stride (2, 1)"),
    (_partial_pool, "an AVERAGE_POOL_2D is not the average over the plane of 1 x 1"),
    (_loop, "reads block3.depthwise, not the layer before it"),
    (_beside, "reads block1.depthwise, not the layer before it"),
    (_no_softmax_but_other_output, "the output is not the end of the chain"),
    (_two_graphs, "it contains 2 graphs"),
    (_shape, "tensor block1.pointwise/filters has shape (1, 1, 16, 8)"),
    (_wrong_size, "tensor block1.pointwise/filters has shape (16, 1, 1, 9) of FLOAT32, but 512 bytes"),
    (_not_a_number, "block2.depthwise.conv.weight of shape (16, 1, 3, 3) holds NaN"),
    (_grey_photo, "tensor image has shape (1, 32, 32, 1)"),
    (_wide_photo, "tensor image has shape (1, 32, 64, 3)"),
    (_sparse, "is sparse"),
    (_many_tensors, "tensors, more than 4,096; it is damaged, or not a MobileNet V1"),
    (_long_name, "it has a name of 10,001 bytes; it is damaged"),
    (_beta, "beta 2"),
    (_short_bias, "tensor block1.pointwise/bias has shape (16,)"),
]


@pytest.mark.parametrize(("damage", "fault"), _FAULTS, ids=lambda value: getattr(value, "__name__", ""))
def test_what_is_not_understood_is_refused_by_name(
    tflite_file: File, saved: Callable[[bytes], Path], damage: Callable[[Any], None], fault: str
) -> None:
    file = tflite_file().network(_SMALL)
    damage(file)
    path = saved(file.pack())
    with pytest.raises(ModelError) as caught:
        import_weights(path)
    assert fault in str(caught.value)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf])
def test_scales_that_are_none_are_refused(tflite_file: File, saved: Callable[[bytes], Path], scale: float) -> None:
    file = tflite_file(quantized="INT8").network(_SMALL)
    _tensor(file, "block1.pointwise/filters").quantization.scale[3] = scale
    with pytest.raises(ModelError, match=r"block1.pointwise/filters of shape .* scale that is not above 0"):
        import_weights(saved(file.pack()))


def test_layers_that_share_their_bytes_take_no_more_memory_than_the_file(
    tflite_file: File, saved: Callable[[bytes], Path]
) -> None:
    file = tflite_file(quantized="UINT8").network(mobilenet_v1(1.0, 32, 10))
    shared = _tensor(file, "block7.pointwise/filters")
    for number in (8, 9, 10, 11):
        other = _tensor(file, f"block{number}.pointwise/filters")
        file.model.buffers[other.buffer].data = None
        other.buffer = shared.buffer
    with pytest.raises(ModelError, match="its layers share their values"):
        import_weights(saved(file.pack()))


def test_damage_ends_in_one_line_or_in_a_right_import(
    tflite_file: File,
    saved: Callable[[bytes], Path],
    attach: Callable[..., bytes],
    scaled: Callable[..., bytes],
) -> None:
    file = tflite_file(quantized="INT8").network(_SMALL)
    data = attach(scaled(file, [0.0], [1.0]), "labels.txt", "\n".join(map(str, range(10))))
    random, places, refused = np.random.default_rng(2), tables(data), 0
    for number in range(300):
        path = saved(mutated(data, places, random))
        # Counting memory takes most of the time: of every fifth file is enough.
        with _memory_at_most(4 * len(data) + 64 * 2**20) if number % 5 == 0 else contextlib.nullcontext():
            try:
                assert import_weights(path).card.network().classes in {0, 10}
            except ModelError as error:
                refused += 1
                assert len(str(error).splitlines()) == 1  # noqa: PT017 - most are refused, some are right
    assert 50 < refused < 300


@contextlib.contextmanager
def _memory_at_most(limit: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] <= limit
    finally:
        tracemalloc.stop()
