"""Models of many kinds, with weights as after some training."""

import keras
import numpy as np
from keras import ops

L = keras.layers


def dense():
    inputs = keras.Input((5,))
    x = L.Dense(8, activation="relu", name="one")(inputs)
    x = L.Dense(7, activation="tanh", name="two")(x)
    return keras.Model(inputs, L.Dense(3, name="out")(x))


def conv_norm():
    return keras.Sequential(
        [
            keras.Input((8, 8, 2)),
            L.Conv2D(6, 3, use_bias=False, name="one"),
            L.BatchNormalization(name="norm"),
            L.ReLU(),
            L.Conv2D(5, 3, padding="same", activation="silu", name="two"),
            L.MaxPooling2D(),
            L.Flatten(),
            L.Dense(3, name="out"),
        ]
    )


def residual():
    inputs = keras.Input((6, 6, 2))
    x = skip = L.Conv2D(6, 3, padding="same", name="stem")(inputs)
    x = L.BatchNormalization(name="norm")(L.ReLU()(x))
    x = L.Conv2D(5, 1, activation="relu", name="inner")(x)
    x = L.Conv2D(6, 3, padding="same", name="outer")(x)
    x = L.ReLU()(L.Add()([x, skip]))
    x = L.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, L.Dense(3, name="out")(x))


def depthwise():
    inputs = keras.Input((6, 6, 2))
    x = L.Conv2D(8, 1, name="expand")(inputs)
    x = L.BatchNormalization()(x)
    x = L.ReLU(6.0)(x)
    x = L.DepthwiseConv2D(3, padding="same", name="depth")(x)
    x = L.BatchNormalization()(x)
    x = L.Conv2D(5, 1, name="project")(L.ReLU(6.0)(x))
    x = L.SeparableConv2D(6, 3, activation="relu", name="separable")(x)
    return keras.Model(inputs, L.Dense(3, name="out")(L.Flatten()(x)))


def squeeze():
    inputs = keras.Input((6, 6, 2))
    x = L.Conv2D(6, 3, activation="relu", name="conv")(inputs)
    gate = L.GlobalAveragePooling2D(keepdims=True)(x)
    gate = L.Conv2D(4, 1, activation="relu", name="down")(gate)
    gate = L.Conv2D(6, 1, activation="sigmoid", name="up")(gate)
    x = L.Multiply()([x, gate])
    x = L.Conv2D(4, 1, activation="relu", name="last")(x)
    x = L.GlobalMaxPooling2D()(x)
    return keras.Model(inputs, L.Dense(3, name="out")(x))


def branches():
    inputs = keras.Input((6, 6, 2))
    one = L.Conv2D(4, 3, padding="same", activation="relu", name="a")(inputs)
    two = L.Conv2D(5, 1, activation="relu", name="b")(inputs)
    x = L.Concatenate()([one, two, one])
    x = L.UpSampling2D()(L.Conv2D(6, 1, activation="relu", name="mix")(x))
    x = L.Conv2DTranspose(4, 3, activation="relu", name="wide")(x)
    return keras.Model(inputs, L.Dense(3, name="out")(L.Flatten()(x)))


def transformer():
    inputs = keras.Input((6,), dtype="int32")
    x = L.Embedding(11, 8, name="table")(inputs)
    normal = L.LayerNormalization()(x)
    x = x + L.MultiHeadAttention(4, 3, name="attention")(normal, normal)
    normal = L.LayerNormalization()(x)
    hidden = L.Dense(10, activation="gelu", name="up")(normal)
    x = x + L.Dense(8, name="down")(hidden)
    x = L.GlobalAveragePooling1D()(L.LayerNormalization()(x))
    return keras.Model(inputs, L.Dense(3, name="out")(x))


def gated():
    inputs = keras.Input((5, 6))
    gate = L.Dense(8, activation="silu", name="gate")(inputs)
    x = ops.multiply(gate, L.Dense(8, name="up")(inputs))
    x = L.TimeDistributed(L.Dense(5, activation="relu", name="step"))(x)
    return keras.Model(inputs, L.Dense(3, name="out")(L.Flatten()(x)))


def recurrent():
    inputs = keras.Input((5, 4))
    x = L.GRU(7, return_sequences=True, name="gru")(inputs)
    x = L.Bidirectional(L.LSTM(6, return_sequences=True), name="both")(x)
    x = L.SimpleRNN(5, name="simple")(x)
    return keras.Model(inputs, L.Dense(3, name="out")(x))


def nested():
    block = keras.Sequential(
        [
            keras.Input((6,)),
            L.Dense(7, activation="relu", name="inside"),
            L.Dense(6, activation="relu", name="made"),
        ],
        name="block",
    )
    inputs = keras.Input((4,))
    x = L.Dense(6, activation="relu", name="before")(inputs)
    x = L.Dense(5, activation="relu", name="after")(block(x))
    return keras.Model(inputs, L.Dense(3, name="out")(x))


def shared():
    layer = L.Dense(6, activation="relu", name="twice")
    one, two = keras.Input((4,)), keras.Input((4,))
    x = L.Add()([layer(one), layer(two)])
    return keras.Model([one, two], L.Dense(3, name="out")(x))


BUILDERS = (
    *(dense, conv_norm, residual, depthwise, squeeze, branches),
    *(transformer, gated, recurrent, nested, shared),
)


def make(build, seed=0):
    """Builds a model and gives its weights as after some training."""
    keras.utils.set_random_seed(0)
    model = build()
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        low = 0.5 if "variance" in variable.path else -0.7
        if "gamma" in variable.path:
            low = 0.3
        if "float" in variable.dtype:
            variable.assign(rng.uniform(low, 1, variable.shape))
    return model


def inputs_of(model, samples=6):
    rng = np.random.default_rng(3)
    found = []
    for tensor in model.inputs:
        shape = (samples, *tensor.shape[1:])
        if "int" in tensor.dtype:
            found.append(rng.integers(0, 11, shape))
        else:
            found.append(rng.normal(size=shape).astype("float32"))
    return found[0] if len(found) == 1 else found


def outputs_of(model, x):
    return ops.convert_to_numpy(model(x, training=False))


def write(variable, index, axis, value=0.0):
    """Sets slices of a variable."""
    array = np.array(ops.convert_to_numpy(variable))
    np.moveaxis(array, axis, 0)[index] = value
    variable.assign(array)
