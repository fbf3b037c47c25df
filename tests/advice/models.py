"""Small models that make a rule speak, or leave it silent."""

import keras
import numpy as np
from keras import layers

from keras_netopt.advice.file_subject import FileSubject
from keras_netopt.advice.measured_files import MeasuredFile, MeasuredFiles
from keras_netopt.advice.model_subject import ModelSubject


def mlp(units=(16, 16), zeros=False):
    model = keras.Sequential([keras.Input((8,))])
    for number, size in enumerate(units):
        model.add(layers.Dense(size, activation="relu", name=f"d{number}"))
    model.add(layers.Dense(3, name="out"))
    if zeros:
        for layer in model.layers:
            layer.kernel.assign(np.zeros(layer.kernel.shape))
    return model


def deep_mlp(heavy=64):
    """Seven dense layers; two of them hold most of the weights."""
    return mlp((8, 8, heavy, heavy, 8, 8))


def conv_net(order="normalized first", dtype=None):
    x = inputs = keras.Input((8, 8, 3))
    activation = "relu" if order == "fused" else None
    x = layers.Conv2D(8, 3, activation=activation, name="conv", dtype=dtype)(x)
    norm, relu = layers.BatchNormalization(name="norm"), layers.ReLU()
    parts = {"normalized first": (norm, relu), "fused": (norm,)}
    for part in parts.get(order, (relu, norm)):
        x = part(x)
    return keras.Model(inputs, layers.GlobalAveragePooling2D()(x), name="conv")


def classifier(width=64):
    x = inputs = keras.Input((32, 32, 3))
    for number in range(4):
        conv = layers.Conv2D(width, 3, padding="same", name=f"conv{number}")
        x = layers.ReLU(name=f"relu{number}")(conv(x))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(10, name="out")(x))


def recurrent(batch=None):
    x = inputs = keras.Input((5, 2), batch_size=batch)
    x = layers.LSTM(4, name="lstm")(x)
    return keras.Model(inputs, layers.Dense(2)(x))


def embedding(rows):
    inputs = keras.Input((4,), dtype="int32")
    x = layers.Embedding(rows, 8, name="table")(inputs)
    return keras.Model(inputs, layers.Dense(32)(layers.Flatten()(x)))


def typed(dtype):
    inputs = keras.Input((4,), dtype=dtype, name="tokens")
    return keras.Model(inputs, layers.Embedding(5, 2)(inputs))


class Subclassed(keras.Model):
    """Has no graph."""

    def __init__(self):
        super().__init__(name="subclassed")
        self.hidden = layers.Dense(16, activation="relu", name="hidden")
        self.out = layers.Dense(3, name="out")

    def call(self, x):
        return self.out(self.hidden(x))


def subclassed():
    model = Subclassed()
    model(keras.ops.zeros((1, 8)))
    return model


class Outside(layers.Layer):
    """Computes with values, so that its code cannot be traced."""

    def __init__(self):
        super().__init__(name="outside")
        self.inner = layers.Dense(4)

    def build(self, shape):
        self.inner.build(shape)

    def call(self, x):
        return self.inner(np.asarray(x))

    def compute_output_shape(self, shape):
        return (*shape[:-1], 4)


def untraced():
    inputs = keras.Input((4,))
    return keras.Model(inputs, layers.Dense(2)(Outside()(inputs)))


def free_axis():
    inputs = keras.Input((None, 4), name="steps")
    return keras.Model(inputs, layers.Dense(2)(inputs))


def sparse_chain(
    zeros=0.7,
    *,
    channels=3,
    padding="valid",
    strides=1,
    keepdims=True,
    activation="relu6",
    depthwise="padded",
):
    """A network that XNNPACK runs sparsely, or nearly so."""
    x = inputs = keras.Input((17, 17, channels))
    if padding == "valid":
        x = layers.ZeroPadding2D(1, name="pad")(x)
    x = layers.Conv2D(4, 3, strides=2, padding=padding, name="first")(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Activation(activation, name="act")(x)
    if depthwise == "padded":
        x = layers.ZeroPadding2D(1, name="pad2")(x)
        x = layers.DepthwiseConv2D(3, strides=2, name="dw")(x)
    else:
        x = layers.DepthwiseConv2D(3, strides=2, padding="same", name="dw")(x)
    one = layers.Conv2D(8, 1, strides=strides, name="one")
    x = one(x)
    y = layers.Conv2D(8, 1, name="two")(x)
    x = layers.Add(name="add")([x, y])
    x = layers.GlobalAveragePooling2D(keepdims=keepdims, name="pool")(x)
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))
    for name in ("one", "two"):
        kernel = model.get_layer(name).kernel
        flat = keras.ops.convert_to_numpy(kernel).copy().ravel() + 1.0
        flat[: round(zeros * flat.size)] = 0.0
        kernel.assign(flat.reshape(kernel.shape))
    return model


def files(errors=None, ops=None, clock="a clock", **forms):
    """Measured files: milliseconds by form, or milliseconds and bytes."""
    found = {}
    for form, value in forms.items():
        time, raw = value if isinstance(value, tuple) else (value, 400_000)
        found[form] = MeasuredFile(raw, raw // 2, ops or {}, time)
    return MeasuredFiles(found, errors or {}, clock)


def about(model, target="x86", *, measured=None, shape=None):
    return ModelSubject(model, target, shape, measured)


def about_file(path, target="x86", *, measured=None):
    return FileSubject(str(path), target, measured)
