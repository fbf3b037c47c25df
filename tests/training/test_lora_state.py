"""Layers with LoRA in a `fit` call that is interrupted and resumed."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_netopt as netopt
from keras_netopt.training.lora_state import LoraState
from keras_netopt.warnings import NotIntendedUseWarning

RNG = np.random.default_rng(0)
X = RNG.normal(size=(32, 6)).astype("float32")
Y = RNG.normal(size=(32, 3)).astype("float32")


def of_keras(model, rank=2):
    model.layers[0].enable_lora(rank)


def of_this_package(model, rank=2):
    netopt.sparsity.enable_lora(model, rank, include="adapted")


def build(enable, **arguments):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(8, name="adapted"),
            layers.Dense(3, name="out"),
        ]
    )
    enable(model, **arguments)
    model.compile(keras.optimizers.Adam(0.05), "mse")
    return model


def fit(model, folder, *callbacks, epochs=4):
    model.fit(
        X,
        Y,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=[
            netopt.callbacks.Pruning(
                netopt.schedules.Linear(final=0.5, begin=0.0, end=1.0),
                include="out",
                min_size=1,
            ),
            keras.callbacks.BackupAndRestore(str(folder / "backup")),
            *callbacks,
        ],
    )
    return model


class Interrupt(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt


@pytest.mark.parametrize("enable", [of_keras, of_this_package])
def test_a_resumed_fit_equals_an_uninterrupted_one(enable, tmp_path):
    whole = fit(build(enable), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        fit(build(enable), tmp_path, Interrupt())

    resumed = fit(build(enable), tmp_path)

    for expected, found in zip(
        [*whole.variables, *whole.optimizer.variables],
        [*resumed.variables, *resumed.optimizer.variables],
        strict=True,
    ):
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(found),
            keras.ops.convert_to_numpy(expected),
            err_msg=found.path,
        )
    pair = resumed.layers[0].lora_kernel_a, resumed.layers[0].lora_kernel_b
    assert all(np.any(keras.ops.convert_to_numpy(one)) for one in pair)


def test_pairs_of_another_rank_are_refused():
    saved = LoraState(build(of_keras)).save_state()[1]
    model = build(of_keras, rank=3)
    before = model.get_weights()

    with pytest.raises(ValueError) as error:
        LoraState(model).restore(saved)

    assert "another rank: weights of shapes [(6, 8), (8,), (6, 2), (2, 8)]" in (
        str(error.value)
    )
    assert "Received: ['adapted'] with shapes" in str(error.value)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_pair_of_zeros_is_named(tmp_path):
    model = build(of_keras)
    model.save_weights(tmp_path / "w.weights.h5")
    model.load_weights(tmp_path / "w.weights.h5")

    for _ in range(2):  # Once per `fit` call, not per callback.
        with pytest.warns(NotIntendedUseWarning) as told:
            fit(model, tmp_path, netopt.callbacks.ComputeTracker(), epochs=1)
        texts = [str(warning.message) for warning in told]
        assert sum("LoRA pair of adapted is" in text for text in texts) == 1
