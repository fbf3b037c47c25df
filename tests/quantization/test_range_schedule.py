"""Activation ranges in `fit`, by `callbacks.Quantization`."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_netopt import quantization
from keras_netopt.callbacks import Quantization
from keras_netopt.points import RunLength
from keras_netopt.quantization import ActivationRanges
from keras_netopt.quantization.range_schedule import RangeSchedule
from keras_netopt.warnings import NoEffectWarning

X = np.random.default_rng(0).normal(size=(48, 6)).astype("float32")
Y = np.random.default_rng(1).normal(size=(48, 2)).astype("float32")


def build():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6,))
    x = layers.BatchNormalization()(layers.Dense(8)(inputs))
    x = layers.Dropout(0.2, seed=1)(layers.ReLU()(x))
    model = keras.Model(inputs, layers.Dense(2)(x))
    model.compile(keras.optimizers.Adam(0.01), "mse")
    model.optimizer.build(model.trainable_variables)
    return model


def fit(model, *callbacks, epochs=4):
    return model.fit(
        X,
        Y,
        batch_size=16,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=list(callbacks),
    )


def find_begin(activations, epochs=4, steps=3):
    schedule = RangeSchedule(activations)
    schedule.set_length(RunLength(steps, epochs))
    return schedule.begin


def test_ranges_begin_at_their_point():
    assert find_begin(True) == 9
    assert find_begin("1ep") == 3
    assert find_begin(0.0) == 0
    assert find_begin(7) == 7
    # The shortest fits have a step with ranges.
    assert [find_begin(True, 1, n) for n in (1, 2, 3, 5)] == [0, 1, 2, 4]
    assert not RangeSchedule(False).is_due(9)


def test_kernels_and_activations_are_rounded_and_weights_stay():
    model = build()
    count = len(model.weights)
    callback = Quantization(4, activations=0.5)
    history = fit(model, callback).history
    assert callback.is_complete
    assert history["quantized"][-1] == 1
    report = quantization.report(model)
    assert [row.bits for row in report.rows] == [4, 4]
    assert callback.report().ranges == report.ranges == 3
    assert str(report).endswith("\nActivations: 3 int8 ranges.")
    ranges = ActivationRanges.of(model)
    assert len(ranges.places) == 3 and ranges.are_set
    before = ranges.values()
    model.evaluate(X, Y, verbose=0)
    assert len(np.unique(model.predict(X, verbose=0))) <= 256
    np.testing.assert_array_equal(before, ranges.values())
    assert len(model.weights) == count
    # They go on in later fits, with and without the callback.
    fit(model, callback, epochs=1)
    fit(model, epochs=1)
    assert ActivationRanges.of(model) is ranges
    assert (before != ranges.values()).any()


class Crash(keras.callbacks.Callback):
    def __init__(self, epoch, batch):
        super().__init__()
        self.at = (epoch, batch)
        self.epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.at:
            raise InterruptedError


def test_a_resumed_fit_is_bit_equal(tmp_path):
    def callback():
        return Quantization(4, activations=7)

    whole = build()
    fit(whole, callback())
    # Saved with ranges and resumed by a new model; saved before the ranges
    # began and resumed by the model that got them meanwhile.
    for epoch, is_new in ((3, True), (2, False)):
        backup = keras.callbacks.BackupAndRestore(tmp_path / str(epoch))
        model = build()
        with pytest.raises(InterruptedError):
            fit(model, backup, callback(), Crash(epoch, 1))
        assert ActivationRanges.of(model).are_set
        model = build() if is_new else model
        backup = keras.callbacks.BackupAndRestore(tmp_path / str(epoch))
        fit(model, backup, callback())
        np.testing.assert_array_equal(values(whole), values(model))
        for one, two in zip(
            whole.get_weights(), model.get_weights(), strict=True
        ):
            np.testing.assert_array_equal(one, two)


def values(model):
    return ActivationRanges.of(model).values()


def test_a_fit_that_ends_before_the_ranges_warns():
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = True

    model = build()
    # Attached after the last batch.
    with pytest.warns(NoEffectWarning, match="begin at step 3"):
        fit(model, Quantization(activations=3), Stop())
    assert ActivationRanges.of(model) is None


def test_models_without_a_graph_are_refused_before_the_first_step():
    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(2)

        def call(self, x):
            return self.dense(x)

    model = Subclassed()
    model(X)
    model.compile("sgd", "mse")
    before = model.get_weights()
    with pytest.raises(ValueError, match="calibration_data"):
        fit(model, Quantization(activations=True))
    np.testing.assert_array_equal(before[0], model.get_weights()[0])
    fit(model, Quantization(4), epochs=1)


def test_bad_points_are_refused():
    with pytest.raises(ValueError, match="activations"):
        Quantization(activations=1.5)
    with pytest.raises(ValueError, match="activations"):
        fit(build(), Quantization(activations="9ep"))
