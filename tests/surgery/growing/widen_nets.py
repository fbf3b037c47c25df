"""Models whose layer `target` gets wider."""

import keras
import numpy as np
from keras import layers


def dense_net():
    x = inputs = keras.Input((6,))
    x = layers.Dense(5, activation="tanh", name="target")(x)
    return keras.Model(inputs, layers.Dense(3)(x))


def conv_net():
    x = inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(5, 3, strides=2, name="target")(x)
    x = layers.ReLU()(x)
    return keras.Model(inputs, layers.Conv2D(3, 2, padding="same")(x))


def _conv_1d():
    x = inputs = keras.Input((9, 2))
    x = layers.Conv1D(5, 3, padding="same", name="target")(x)
    x = layers.MaxPooling1D(3)(x)
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))


def _conv_3d():
    x = inputs = keras.Input((4, 4, 4, 2))
    x = layers.Conv3D(3, 2, activation="relu", name="target")(x)
    return keras.Model(inputs, layers.Conv3DTranspose(2, 2)(x))


def batch_norm_net():
    x = inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(5, 3, use_bias=False, name="target")(x)
    x = layers.BatchNormalization(momentum=0.9)(x)
    x = layers.PReLU(shared_axes=[1, 2])(x)
    x = layers.DepthwiseConv2D(3, padding="same")(x)
    x = layers.SeparableConv2D(4, 3)(x)
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))


def transposed_net():
    x = inputs = keras.Input((4, 4, 2))
    x = layers.Conv2DTranspose(5, 2, strides=2, name="target")(x)
    return keras.Model(inputs, layers.Conv2D(3, 2)(layers.ReLU()(x)))


def residual_net():
    x = inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(4, 3, padding="same", name="target")(x)
    for _ in range(2):
        skip = x
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.ReLU()(x)
        x = layers.Conv2D(4, 3, padding="same")(x)
        x = layers.Add()([x, skip])
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(3)(x))


def concat_net():
    inputs = keras.Input((6,))
    one = layers.Dense(4, activation="relu", name="target")(inputs)
    two = layers.Dense(3, activation="relu")(inputs)
    x = layers.Concatenate()([one, two])
    x = layers.Add()([x, layers.Dense(7)(inputs)])
    return keras.Model(inputs, layers.Dense(3)(x))


def attention_net():
    x = inputs = keras.Input((5, 6))
    x = layers.MultiHeadAttention(2, 4, name="target")(x, x)
    return keras.Model(inputs, layers.Dense(3)(x))


def feed_forward_net():
    x = inputs = keras.Input((5, 6))
    h = layers.LayerNormalization()(x)
    h = layers.Dense(8, activation="gelu", name="target")(h)
    x = layers.Add()([x, layers.Dense(6)(h)])
    return keras.Model(inputs, layers.Dense(3)(x))


def gru_net():
    x = inputs = keras.Input((5, 4))
    x = layers.GRU(5, return_sequences=True, name="target")(x)
    return keras.Model(inputs, layers.LSTM(3)(x))


def lstm_net():
    x = inputs = keras.Input((5, 4))
    x = layers.LSTM(5, name="target")(x)
    return keras.Model(inputs, layers.Dense(3)(x))


def nested_net():
    inner_input = keras.Input((6,))
    x = layers.Dense(5, activation="relu", name="target")(inner_input)
    inner = keras.Model(inner_input, layers.Dense(4)(x), name="inner")
    inputs = keras.Input((6,))
    return keras.Model(inputs, layers.Dense(3)(inner(inputs)))


def shared_net():
    one, two = keras.Input((6,)), keras.Input((6,))
    dense = layers.Dense(5, activation="relu", name="target")
    x = layers.Add()([dense(one), dense(two)])
    return keras.Model([one, two], layers.Dense(3)(x))


def stream_net():
    """Embeddings and a residual stream that layer normalization reads."""
    x = inputs = keras.Input((5, 4))
    x = layers.Dense(6, name="target")(x)
    h = layers.LayerNormalization()(x)
    h = layers.MultiHeadAttention(2, 4)(h, h)
    x = layers.Add()([x, h])
    h = layers.LayerNormalization()(x)
    h = layers.Dense(8, activation="gelu")(h)
    x = layers.Add()([x, layers.Dense(6)(h)])
    return keras.Model(inputs, layers.Dense(3)(x))


MODELS = {
    f.__name__.removesuffix("_net"): f
    for f in (
        dense_net,
        conv_net,
        _conv_1d,
        _conv_3d,
        batch_norm_net,
        transposed_net,
        residual_net,
        concat_net,
        attention_net,
        feed_forward_net,
        gru_net,
        lstm_net,
        nested_net,
        shared_net,
    )
}


def stir(model):
    """Weights and moving averages as after some training."""
    rng = np.random.default_rng(1)
    for variable in model.weights:
        if variable.name in ("gamma", "moving_variance"):
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
        elif len(variable.shape) == 1:
            variable.assign(rng.normal(0, 0.3, variable.shape))
    return model


def sample_data(model, samples=16):
    rng = np.random.default_rng(2)
    shapes = [t.shape[1:] for t in (*model.inputs, model.outputs[0])]
    *x, y = [rng.normal(size=(samples, *s)).astype("float32") for s in shapes]
    return (x[0] if len(x) == 1 else x), y


def build(make):
    keras.utils.set_random_seed(3)
    model = stir(make())
    model.compile("sgd", "mse")
    return model
