"""A small net, a `Growing` for it, and its state."""

import keras
import numpy as np

from keras_netopt.callbacks.growing import Growing
from keras_netopt.surgery.growing.actions import Widen

SAMPLES, BATCH = 64, 32
STEPS = SAMPLES // BATCH


def build(optimizer=None, dropout=0.0, *, compiled=False, **arguments):
    """A small net; each growth costs TensorFlow a trace if `compiled`."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((20,)),
            keras.layers.Dense(16, activation="relu", name="h"),
            keras.layers.Dropout(dropout),
            keras.layers.Dense(12, activation="relu", name="b"),
            keras.layers.Dense(2, name="out"),
        ]
    )
    if keras.backend.backend() == "tensorflow":
        eager = {"jit_compile": False, "run_eagerly": not compiled}
        arguments = {**eager, **arguments}
    model.compile(
        optimizer or keras.optimizers.SGD(1e-2, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        **arguments,
    )
    return model


def make_growing(actions=None, trigger=None, **arguments):
    actions = actions or [Widen("h", factor=2)]
    settings = {"verbose": 0, **arguments}
    return Growing(actions, trigger or {0.5: [0]}, **settings)


def outputs(model, x):
    return keras.ops.convert_to_numpy(model(x))


def state(model):
    variables = [*model.variables, *model.optimizer.variables]
    return [np.array(keras.ops.convert_to_numpy(v)) for v in variables]
