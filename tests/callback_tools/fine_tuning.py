"""A small trained-like model, and what callbacks see of its weights."""

import keras
import numpy as np
from keras import layers

from keras_netopt.training.optimizers import slot_lists

X = np.random.default_rng(0).normal(size=(32, 6)).astype("float32")
Y = (np.arange(32) % 4).astype("int32")
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def build():
    """Two layers of one shape, a normalization in the first group."""
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(6, activation="tanh", name="first"),
            layers.BatchNormalization(momentum=0.9, name="norm"),
            layers.Dense(6, activation="tanh", name="second"),
            layers.Dense(4, name="head"),
        ]
    )


def compiled(optimizer=None, **arguments):
    model = build()
    model.compile(
        optimizer or keras.optimizers.SGD(0.1, 0.9),
        LOSS,
        **{"jit_compile": False, **arguments},
    )
    return model


def fit(model, *callbacks, epochs=4, x=X, y=Y, **arguments):
    """Two batches per epoch."""
    return model.fit(
        x,
        y,
        batch_size=16,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=list(callbacks),
        **arguments,
    ).history


class Watch(keras.callbacks.Callback):
    """Copies weights and slots after every batch; list it last."""

    def __init__(self):
        super().__init__()
        self.weights, self.slots = [], []

    def on_train_batch_end(self, batch, logs=None):
        model = self.model
        self.weights.append(weights_of(model))
        self.slots.append(slots_of(model.optimizer))

    def moved(self, step):
        """The layers whose weights a step has changed, counted from 1."""
        before, after = self.weights[step - 1], self.weights[step]
        return {
            path.split("/")[0]
            for path in after
            if not np.array_equal(before[path], after[path])
        }

    def on_train_begin(self, logs=None):
        self.weights.append(weights_of(self.model))


def weights_of(model):
    return {short(v): np.array(v.numpy()) for v in model.weights}


def short(variable):
    """Layer and weight: "head/kernel"."""
    return "/".join(variable.path.split("/")[-2:])


def slots_of(optimizer):
    """The slots of each trained weight, by attribute and path."""
    return {
        (name, short(variable)): np.array(slot.numpy())
        for name, values in slot_lists(optimizer)
        for variable, slot in zip(
            optimizer._trainable_variables, values, strict=True
        )
        if slot is not None
    }
