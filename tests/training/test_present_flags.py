"""Predictions of a model after `trainable` was changed without `compile`."""

import keras
import numpy as np
from keras import layers

import keras_netopt as netopt

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 4)).astype("float32")
Y = (X[:, 0] > 0).astype("int32")


def build():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(4, "relu", name="first"),
            layers.Dense(4, "relu", name="second"),
            layers.Dense(64, "relu"),
            layers.Dense(2, "softmax"),
        ]
    )
    model.compile(keras.optimizers.SGD(0.5), "sparse_categorical_crossentropy")
    return model


def freeze(model, first, second):
    model.get_layer("first").trainable = first
    model.get_layer("second").trainable = second


def exchanged(model):
    """A model whose `predict` was compiled for other flags, without change."""
    freeze(model, False, True)
    before = model.predict(X, batch_size=256, verbose=0)
    freeze(model, True, False)
    return before


def test_losses_after_layers_were_frozen_and_unfrozen():
    model = build()
    outputs = exchanged(model)

    losses = netopt.curriculum.sample_losses(model, X, Y)

    expected = -np.log(outputs[np.arange(len(Y)), Y])
    np.testing.assert_allclose(losses, expected, rtol=1e-5)


def test_exits_after_layers_were_frozen_and_unfrozen():
    model = netopt.depth.add_exits(build(), layers=["first", "second"])
    outputs = exchanged(model)
    freeze(model, False, True)
    exits = netopt.depth.calibrate(model, X, Y, max_macs=200)
    for mode in ("full", "stages"):
        exits.predict(X, mode=mode)
    calibrated = exits.to_dict()

    freeze(model, True, False)
    again = netopt.depth.calibrate(model, X, Y, max_macs=200)

    assert again.to_dict() == calibrated
    full = exits.predict(X, mode="full")
    np.testing.assert_allclose(full, outputs["final"], atol=1e-6)
    staged, taken = exits.predict(X, mode="stages", return_exits=True)
    assert len(set(taken)) > 1
    expected = [outputs[exits.exit_names[k]][i] for i, k in enumerate(taken)]
    np.testing.assert_allclose(staged, expected, atol=1e-6)


def test_predict_is_compiled_once_for_the_same_flags():
    model = build()
    netopt.curriculum.sample_losses(model, X, Y)
    function = model.predict_function

    netopt.curriculum.sample_losses(model, X, Y)

    assert model.predict_function is function


class ReadAfterFreezing(keras.callbacks.Callback):
    """Uses the model as a script does that holds it, not `self.model`."""

    def __init__(self, model):
        super().__init__()
        self.held = model
        self.before = self.after = self.outputs = None

    def on_train_batch_end(self, batch, logs=None):
        if batch == 1:
            self.before = self.model.get_weights()
        if batch == 2:
            freeze(self.held, True, False)
            self.outputs = netopt.surgery.snapshot(self.held, X).inference[0]
            self.after = [np.array(w) for w in self.held.get_weights()]
            self.held.stop_training = True


def test_snapshot_in_an_epoch_after_layers_were_frozen_and_unfrozen():
    model = build()
    freeze(model, False, True)
    model.compile(keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy")
    read = ReadAfterFreezing(model)

    model.fit(X, Y, batch_size=30, epochs=2, verbose=0, callbacks=[read])

    for before, after in zip(read.before, read.after, strict=True):
        np.testing.assert_array_equal(before, after)
    np.testing.assert_array_equal(
        read.outputs, netopt.surgery.snapshot(build(), X).inference[0]
    )
