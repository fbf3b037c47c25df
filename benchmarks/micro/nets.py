"""The networks whose files are run in TFLite Micro."""

import functools
from typing import Any

import keras
import numpy as np
from keras import layers

import keras_netopt as netopt


class Gate(layers.Layer):
    """Runs one of two branches: an IF in the file."""

    def build(self, shape: Any) -> None:
        """Creates the layer of one branch."""
        self.dense = layers.Dense(shape[-1])
        self.dense.build(shape)

    def call(self, x: Any) -> Any:
        """Multiplies, or returns the input."""
        return keras.ops.cond(
            keras.ops.mean(x) > 0.5, lambda: self.dense(x), lambda: x * 1.0
        )


def cnn(width: int, softmax: bool = False) -> keras.Model:
    """Three convolutions and two dense layers on 28x28."""
    x = inputs = keras.Input((28, 28, 1))
    for filters, stride in ((width, 1), (2 * width, 2), (4 * width, 2)):
        x = layers.Conv2D(filters, 3, stride, "same", activation="relu")(x)
    x = layers.Flatten()(x)
    x = layers.Dense(8 * width, activation="relu")(x)
    x = layers.Dense(10)(x)
    return keras.Model(inputs, layers.Softmax()(x) if softmax else x)


def residual() -> keras.Model:
    """Depthwise convolution, concatenation, addition, pooling, mean."""
    inputs = keras.Input((28, 28, 1))
    x = layers.Conv2D(16, 3, padding="same", activation="relu")(inputs)
    y = layers.DepthwiseConv2D(3, padding="same")(x)
    x = layers.MaxPooling2D()(layers.Concatenate()([x, layers.Add()([x, y])]))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(32, 1)(x))
    return keras.Model(inputs, layers.Dense(10)(x))


def two_inputs() -> keras.Model:
    """Two inputs of different shapes, two named outputs."""
    a, b = keras.Input((28, 28, 1), name="image"), keras.Input((5,), name="aux")
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3)(a))
    x = layers.Concatenate()([x, layers.Dense(4)(b)])
    outputs = {"big": layers.Dense(7)(x), "small": layers.Dense(3)(x)}
    return keras.Model([a, b], outputs)


def keyword_spotter() -> keras.Model:
    """DS-CNN S of "Hello Edge" (arXiv 1711.07128): 49x10 MFCC, 12 classes."""
    x = inputs = keras.Input((49, 10, 1))
    x = layers.Conv2D(64, (10, 4), 2, "same", use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    for _ in range(4):
        x = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.Conv2D(64, 1, use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(12, activation="softmax")(x))


@functools.cache
def trained_mobilenet() -> keras.Model:
    """MobileNetV2 of keras.applications, alpha .35, 96x96x3.

    Trained on Fashion-MNIST for 4 epochs of 2,000 samples: in so deep a
    network of random weights the rounding of each layer adds up.
    """
    model = keras.applications.MobileNetV2(
        (96, 96, 3), alpha=0.35, weights=None, classes=10
    )
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.9
    (x, y), _ = netopt.datasets.fashion_mnist_sample()
    model.compile(
        keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy"
    )
    model.fit(enlarge(x[:2000]), y[:2000], batch_size=32, epochs=4, verbose=0)
    return model


def images(model: keras.Model, count: int) -> np.ndarray:
    """Test images in the size of the model's input."""
    _, (x, _) = netopt.datasets.fashion_mnist_sample()
    return enlarge(x[:count])


def enlarge(x: np.ndarray) -> np.ndarray:
    """Images of 28x28 as 96x96x3, in [-1, 1]."""
    scaled = x[..., None].astype("float32") / 127.5 - 1.0
    large = keras.ops.image.resize(scaled, (96, 96))
    return np.repeat(keras.ops.convert_to_numpy(large), 3, axis=-1)


def transformer() -> keras.Model:
    """One block: attention, LayerNormalization, dense layers with relu."""
    inputs = keras.Input((16, 32))
    x = layers.MultiHeadAttention(2, 16)(inputs, inputs)
    x = y = layers.LayerNormalization()(inputs + x)
    y = layers.Dense(32)(layers.Dense(64, activation="relu")(y))
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x + y))
    return keras.Model(inputs, layers.Dense(4)(x))


def gelu() -> keras.Model:
    """A dense layer with the activation gelu."""
    return sequential((16,), layers.Dense(32, activation="gelu"))


def activations() -> keras.Model:
    """Dense layers with eight activations, one after the other."""
    names = (
        *("relu", "relu6", "elu", "silu", "hard_silu", "tanh"),
        *("leaky_relu", "softmax"),
    )
    return sequential((16,), *(layers.Dense(16, activation=n) for n in names))


def autoencoder() -> keras.Model:
    """A transposed convolution, which asks for scratch memory."""
    return sequential(
        (28, 28, 1),
        layers.Conv2D(8, 3, 2, "same", activation="relu"),
        layers.Conv2DTranspose(4, 3, 2, "same", activation="relu"),
        layers.Conv2D(1, 3, padding="same"),
    )


def sequence() -> keras.Model:
    """Convolutions over time."""
    return sequential(
        (64, 4),
        layers.Conv1D(16, 5, activation="relu"),
        layers.MaxPooling1D(),
        layers.Conv1D(16, 3, activation="relu"),
        layers.GlobalMaxPooling1D(),
    )


def text() -> keras.Model:
    """An embedding and dense layers."""
    inputs = keras.Input((16,), dtype="int32")
    x = layers.GlobalAveragePooling1D()(layers.Embedding(100, 16)(inputs))
    return keras.Model(inputs, layers.Dense(4)(x))


def recurrent(kind: str) -> keras.Model:
    """A recurrent layer by its class name."""
    return sequential((12, 8), getattr(layers, kind)(16))


def sequential(shape: tuple[int, ...], *parts: layers.Layer) -> keras.Model:
    """The layers and a dense one."""
    ends = [] if isinstance(parts[-1], layers.Conv2D) else [layers.Dense(3)]
    return keras.Sequential([keras.Input(shape), *parts, *ends])


def gate() -> keras.Model:
    """One of two branches."""
    return keras.Sequential([keras.Input((6,)), Gate()])


def zero_weights(model: keras.Model, share: float) -> None:
    """Sets the smallest weights of each kernel to zero."""
    for variable in model.trainable_variables:
        if len(variable.shape) > 1:
            value = keras.ops.convert_to_numpy(variable).copy()
            value[np.abs(value) < np.quantile(np.abs(value), share)] = 0
            variable.assign(value)


def spread(model: keras.Model, data: Any) -> None:
    """Lets the outputs depend on the inputs, as a training does.

    Sets the statistics of BatchNormalization and the size of the last dense
    kernel; the outputs of a new network are nearly constant.
    """
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.0
    model(data, training=True)
    dense = [one for one in model.layers if isinstance(one, layers.Dense)]
    if dense:
        last = dense[-1]
        features = keras.Model(model.inputs, last.input)(data)
        logits = keras.ops.matmul(features, last.kernel)
        spread = keras.ops.std(logits, axis=0)
        last.kernel.assign(last.kernel * 2.0 / keras.ops.mean(spread))
