"""Small nets that lose channels in a fit, and what to look at."""

import keras
import numpy as np

L = keras.layers
# Each cut costs TensorFlow a trace; a few tests pay for it.
IS_TENSORFLOW = keras.backend.backend() == "tensorflow"
JIT = False if IS_TENSORFLOW else "auto"
TRACED = {"run_eagerly": False}


def build(**arguments):
    keras.utils.set_random_seed(7)
    model = keras.Sequential(
        [
            keras.Input((8,)),
            L.Dense(32, activation="relu", name="one"),
            L.BatchNormalization(momentum=0.9, name="norm"),
            L.Dropout(0.2),
            L.Dense(48, activation="relu", name="two"),
            L.Dense(3, name="out"),
        ]
    )
    return compiled(model, **arguments)


def compiled(model, **arguments):
    model.compile(
        arguments.pop("optimizer", None)
        or keras.optimizers.SGD(0.01, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=JIT,
        **{"run_eagerly": IS_TENSORFLOW, **arguments},
    )
    return model


def fit(model, data, *callbacks, **arguments):
    arguments = {"epochs": 4, "batch_size": 64, "verbose": 0, **arguments}
    return model.fit(*data, callbacks=list(callbacks), **arguments).history


def units(model):
    return [layer.units for layer in model.layers if hasattr(layer, "units")]


def state(model):
    variables = [*model.weights, *model.optimizer.variables]
    return [np.array(keras.ops.convert_to_numpy(v)) for v in variables]


class Widths(keras.callbacks.Callback):
    """Writes down the width that `one` had in every batch."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(self.model.get_layer("one").units)
