"""The part of `litert_converter.py` that runs in TensorFlow's own environment: network.npz -> two .tflite files.

python convert_with_tensorflow.py FOLDER
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

_HALF = 127.5


def build(arrays: Any, *, takes_pixels: bool) -> Any:
    """The network as a Keras model for uint8 pixels, with normalisation inside, or for normalised input."""
    side = int(arrays["resolution"])
    given = tf.keras.Input((side, side, 3), 1, dtype="uint8" if takes_pixels else "float32")
    x = tf.keras.layers.Rescaling(1 / _HALF, -1.0)(given) if takes_pixels else given
    for row in arrays["rows"]:
        kind, name, stride, padding = str(row).split(",")
        x = _layer(x, kind, int(stride), padding, arrays, name)
    return tf.keras.Model(given, tf.keras.layers.Softmax()(x))


def _layer(x: Any, kind: str, stride: int, padding: str, arrays: Any, name: str) -> Any:
    if kind == "pool":
        return tf.keras.layers.GlobalAveragePooling2D()(x)
    weight, bias = arrays[f"{name}.weight"], arrays[f"{name}.bias"]
    if kind == "linear":
        layer = tf.keras.layers.Dense(len(weight))
        x = layer(x)
        layer.set_weights([weight.T, bias])
        return x
    same, kernel = "same", weight.shape[2]
    if padding == "symmetric" and stride > 1 and kernel > 1:
        x, same = tf.keras.layers.ZeroPadding2D((kernel - 1) // 2)(x), "valid"
    if kind == "depthwise":
        layer = tf.keras.layers.DepthwiseConv2D(kernel, stride, same)
        values = weight.transpose(2, 3, 0, 1)
    else:
        layer = tf.keras.layers.Conv2D(len(weight), kernel, stride, same)
        values = weight.transpose(2, 3, 1, 0)
    x = layer(x)
    layer.set_weights([values, bias])
    return tf.keras.layers.ReLU(6.0)(x)


def _photos(side: int) -> Iterator[list[Any]]:
    random = np.random.default_rng(0)
    for _ in range(8):
        pixels = random.integers(0, 256, (1, side, side, 3)).astype(np.float32)
        yield [pixels / _HALF - 1]


def main() -> None:
    """Convert: float32 with the normalisation inside; int8, where the input's scale is the normalisation."""
    folder = Path(sys.argv[1])
    arrays = np.load(folder / "network.npz")
    converter = tf.lite.TFLiteConverter.from_keras_model(build(arrays, takes_pixels=True))
    (folder / "float32.tflite").write_bytes(converter.convert())
    converter = tf.lite.TFLiteConverter.from_keras_model(build(arrays, takes_pixels=False))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: _photos(int(arrays["resolution"]))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type, converter.inference_output_type = tf.uint8, tf.float32
    (folder / "int8.tflite").write_bytes(converter.convert())


if __name__ == "__main__":
    main()
