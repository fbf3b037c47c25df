"""Small models and data with which every component is tested.

Every builder sets the random seed, so two calls return equal models. Batch
normalization has momentum 0.9: with 0.99 its statistics would hardly change in
a test of few steps.
"""

from collections.abc import Callable

import keras
import numpy as np
from keras import layers

CLASSES = 3
SAMPLES = 64
BATCH_SIZE = 16
STEPS = SAMPLES // BATCH_SIZE


def data(name: str, samples: int = SAMPLES) -> tuple[np.ndarray, np.ndarray]:
    """Inputs for a model of the zoo, and their classes."""
    rng = np.random.default_rng(0)
    y = (np.arange(samples) % CLASSES).astype("int32")
    shape = SHAPES[name]
    if name == "transformer":
        x = rng.integers(0, 20, (samples, *shape)).astype("int32")
        x[:, 0] = y
        return x, y
    x = rng.standard_normal((samples, *shape)).astype("float32")
    x.reshape(samples, -1)[np.arange(samples), y] += 3.0
    return x, y


def build(name: str, dropout: float = 0.2) -> keras.Model:
    """A model of the zoo with its initial weights, not compiled."""
    keras.utils.set_random_seed(7)
    return BUILDERS[name](dropout)


def compiled(
    name: str = "mlp",
    *,
    dropout: float = 0.2,
    optimizer=None,
    eager: bool = False,
    **arguments,
) -> keras.Model:
    """A model of the zoo, compiled without XLA.

    `eager` is for checks that do not depend on compilation: tracing in
    TensorFlow takes most of their time.
    """
    model = build(name, dropout)
    if eager and keras.backend.backend() == "tensorflow":
        arguments["run_eagerly"] = True
    model.compile(
        optimizer or keras.optimizers.Adam(0.01),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        **{"metrics": ["accuracy"], "jit_compile": JIT, **arguments},
    )
    return model


def light(**arguments) -> keras.Model:
    """The MLP, compiled with what TensorFlow traces fastest."""
    fast = {"optimizer": keras.optimizers.SGD(0.02, 0.9), "metrics": None}
    return compiled(**{**fast, **arguments})


# XLA takes a second per model on TensorFlow; JAX always uses it.
JIT = False if keras.backend.backend() == "tensorflow" else "auto"


def _mlp(dropout):
    return keras.Sequential(
        [
            keras.Input((8,)),
            layers.Dense(16, activation="relu", name="hidden"),
            layers.Dropout(dropout),
            layers.Dense(CLASSES, name="out"),
        ]
    )


def _cnn(dropout):
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(8, 3, padding="same", use_bias=False)(inputs)
    x = layers.BatchNormalization(momentum=0.9)(x)
    x = layers.ReLU()(x)
    branch = layers.DepthwiseConv2D(3, padding="same")(x)
    x = layers.Add()([x, branch])
    x = layers.Concatenate()([x, layers.Conv2D(4, 1)(x)])
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(dropout)(x)
    return keras.Model(inputs, layers.Dense(CLASSES)(x))


def _nested(dropout):
    """Two inner models whose layers have the same names."""

    def block(name, width):
        inputs = keras.Input((width,))
        x = layers.Dense(12, activation="relu", name="fc")(inputs)
        return keras.Model(
            inputs, layers.Dropout(dropout, name="drop")(x), name=name
        )

    inputs = keras.Input((8,))
    x = block("inner", 8)(inputs)
    x = layers.BatchNormalization(momentum=0.9)(x)
    x = block("inner_too", 12)(x)
    return keras.Model(inputs, layers.Dense(CLASSES)(x))


@keras.saving.register_keras_serializable("contract")
class Subclassed(keras.Model):
    def __init__(self, dropout=0.2, **kwargs):
        super().__init__(**kwargs)
        self.dropout = dropout
        self.hidden = layers.Dense(16, activation="relu")
        self.drop = layers.Dropout(dropout)
        self.out = layers.Dense(CLASSES)

    def build(self, input_shape):
        self.hidden.build(input_shape)
        self.out.build((*input_shape[:-1], 16))
        self.built = True

    def call(self, inputs, training=None):
        x = self.drop(self.hidden(inputs), training=training)
        return self.out(x)

    def get_config(self):
        return {**super().get_config(), "dropout": self.dropout}


def _subclassed(dropout):
    model = Subclassed(dropout)
    model.build((None, 8))
    return model


def _shared(dropout):
    inputs = keras.Input((2, 8))
    dense = layers.Dense(8, activation="relu")
    x = layers.Add()([dense(inputs[:, 0]), dense(dense(inputs[:, 1]))])
    x = layers.Dropout(dropout)(x)
    return keras.Model(inputs, layers.Dense(CLASSES)(x))


def _gru(dropout):
    return keras.Sequential(
        [
            keras.Input((5, 4)),
            layers.GRU(8),
            layers.Dropout(dropout),
            layers.Dense(CLASSES),
        ]
    )


def _transformer(dropout):
    inputs = keras.Input((6,), dtype="int32")
    x = layers.Embedding(20, 8)(inputs)
    attention = layers.MultiHeadAttention(2, 4, dropout=dropout)(x, x)
    x = layers.LayerNormalization()(layers.Add()([x, attention]))
    hidden = layers.Dense(16, activation="gelu")(x)
    x = layers.Add()([x, layers.Dense(8)(layers.Dropout(dropout)(hidden))])
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, layers.Dense(CLASSES)(x))


BUILDERS: dict[str, Callable[[float], keras.Model]] = {
    "mlp": _mlp,
    "cnn": _cnn,
    "nested": _nested,
    "subclassed": _subclassed,
    "shared": _shared,
    "gru": _gru,
    "transformer": _transformer,
}
SHAPES = {
    "mlp": (8,),
    "cnn": (8, 8, 1),
    "nested": (8,),
    "subclassed": (8,),
    "shared": (2, 8),
    "gru": (5, 4),
    "transformer": (6,),
}
