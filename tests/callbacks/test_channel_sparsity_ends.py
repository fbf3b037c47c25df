"""`ChannelSparsity` ends, and meets frozen weights and other edits."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_netopt import sparsity, surgery
from keras_netopt.callbacks import ChannelSparsity
from keras_netopt.training import NoEffectWarning, recompile_keeping_state
from keras_netopt.training.editing import editing
from keras_netopt.training.fit_watch import list_watchers

pytestmark = pytest.mark.filterwarnings("ignore:.*no channel can be removed")
L = keras.layers
# Cheaper than a trace, but on JAX, which compiles every operation.
EAGER = keras.backend.backend() != "jax"
X = np.random.default_rng(0).normal(size=(16, 6)).astype("float32")
Y = np.random.default_rng(1).normal(size=(16, 2)).astype("float32")


def build():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((6,)),
            L.Dense(5, name="a"),
            L.BatchNormalization(name="norm"),
            L.ReLU(),
            L.Dense(4, name="b"),
            L.Dense(2, name="out"),
        ]
    )
    compile_model(model)
    return model


def compile_model(model):
    model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=EAGER)


def fit(model, *callbacks, epochs=2):
    return model.fit(
        X,
        Y,
        batch_size=8,
        epochs=epochs,
        verbose=0,
        shuffle=False,
        callbacks=list(callbacks),
    ).history


def lasso(strength=0.05, **arguments):
    return ChannelSparsity(
        strength, regularizer="group_lasso", **{"end": 1.0, **arguments}
    )


class Stop(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        raise KeyboardInterrupt


@pytest.mark.parametrize("again", ["plain", "same", "batch"])
def test_the_penalty_ends_with_an_interrupted_fit(again):
    """Bug: it shrinks in the next `fit`, or twice with the same callback."""
    model, twin, callback = build(), build(), lasso()
    with pytest.raises(KeyboardInterrupt):
        fit(model, callback, Stop())
    twin.set_weights(model.get_weights())
    if again == "batch":
        for one in (model, twin):
            one.train_on_batch(X, Y)
    elif again == "plain":
        fit(model)
        fit(twin)
    else:
        fit(model, callback)
        fit(twin, lasso())
    for a, b in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not list_watchers(model)
    assert "make_train_function" not in vars(model)


def test_another_model_ends_the_penalty_of_the_first():
    """Bug: `reset` drops the shrinker, but the optimizer keeps it."""
    model, callback = build(), lasso()
    with pytest.raises(KeyboardInterrupt):
        fit(model, callback, Stop())
    fit(build(), callback, epochs=1)
    assert not list_watchers(model)


def test_the_penalty_stays_in_its_fit():
    """Bug: a recompilation drops it, or a batch that a callback trains."""
    model = build()

    class Strong(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.make_train_function()  # As `train_on_batch` does.
            (shrinker,) = list_watchers(self.model)
            shrinker.strength = 100.0 * epoch
            recompile_keeping_state(self.model)

    assert fit(model, lasso(), Strong())["dead_channels"] == [0, 1]


def test_a_layer_whose_channels_all_die_keeps_one():
    """Bug: the second pass of the cut refuses `include`, in mid-training."""
    model, callback = build(), lasso(100.0, end=0.4, include="a")
    fit(model, callback, epochs=3)
    assert model.get_layer("a").units == 1
    assert model.get_layer("b").units == 4
    assert len(callback.reports) == 1


def test_compact_may_leave_one_unit_of_the_included_layer():
    model = build()
    for variable in model.get_layer("a").weights:
        variable.assign(np.zeros(variable.shape))
    sparsity.compact(model, include="a")
    assert model.get_layer("a").units == 1


def test_an_edit_may_leave_nothing_to_shrink():
    """Bug: the layers of `include` are checked again after each edit."""

    class Cut(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            with editing(self.model):
                surgery.remove(self.model, {"a": [0, 1, 2, 3]})

    model = build()
    fit(model, lasso(0.01, include="a"), Cut(), epochs=1)
    assert model.get_layer("a").units == 1


def test_a_frozen_shift_keeps_its_value():
    """Bug: the penalty on the scale is dropped without a warning."""
    model = build()
    norm = model.get_layer("norm")
    norm.beta.trainable = False
    norm.beta.assign(np.full(5, 0.3))
    compile_model(model)
    assert fit(model, ChannelSparsity(20.0, end=1.0))["dead_channels"] == [1, 1]
    assert model.get_layer("a").units == 1  # The shifts are constants.
    np.testing.assert_allclose(ops.convert_to_numpy(norm.beta), [0.3])


@pytest.mark.parametrize("regularizer", ["bn_scale", "group_lasso"])
def test_frozen_weights_are_named(regularizer):
    """Bug: channels with one frozen weight are left alone in silence."""
    model = build()
    variable = model.get_layer("norm").gamma
    if regularizer == "group_lasso":
        variable = model.get_layer("a").bias
    variable.trainable = False
    compile_model(model)
    frozen = "norm" if regularizer == "bn_scale" else "a"
    callback = ChannelSparsity(100.0, regularizer=regularizer, end=1.0)
    with pytest.warns(NoEffectWarning, match=f"weights of {frozen} are frozen"):
        fit(model, callback)
    assert (ops.convert_to_numpy(model.get_layer("a").kernel) != 0).all()
    assert model.get_layer("b").units == (1 if frozen == "a" else 4)
