"""Freezing and opening weights, with every optimizer of Keras."""

import keras
import numpy as np
import pytest
from callback_tools.fine_tuning import X, Y, build, slots_of
from keras import optimizers

from keras_netopt.callbacks import Pruning
from keras_netopt.training.frozen_layers import FrozenLayers
from keras_netopt.training.optimizers import all_optimizers


def multi():
    return optimizers.MultiOptimizer(
        optimizers.OptimizerMap(
            optimizers.Adam(0.01), {".*head/.*": optimizers.SGD(0.1, 0.9)}
        )
    )


OPTIMIZERS = {
    "adadelta": lambda: optimizers.Adadelta(0.01),
    "adafactor": lambda: optimizers.Adafactor(0.01),
    "adagrad": lambda: optimizers.Adagrad(0.01),
    "adam": lambda: optimizers.Adam(0.01, amsgrad=True, use_ema=True),
    "adamax": lambda: optimizers.Adamax(0.01),
    "ftrl": lambda: optimizers.Ftrl(0.01),
    "lamb": lambda: optimizers.Lamb(0.01),
    "lion": lambda: optimizers.Lion(0.01),
    "muon": lambda: optimizers.Muon(0.01),
    "nadam": lambda: optimizers.Nadam(0.01),
    "rmsprop": lambda: optimizers.RMSprop(0.01, momentum=0.9, centered=True),
    "free": lambda: optimizers.ScheduleFreeAdamW(0.01),
    "sgd": lambda: optimizers.SGD(0.1, 0.9, gradient_accumulation_steps=2),
    "scaled": lambda: optimizers.LossScaleOptimizer(optimizers.Adam(0.01)),
    "multi": multi,
}


def state(model):
    return [np.array(v.numpy()) for v in model.optimizer.variables]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_slots_are_those_of_the_trainable_weights(name):
    """As in a new optimizer; nothing is lost when all are open again."""
    model = build()
    model.compile(
        OPTIMIZERS[name](),
        "sparse_categorical_crossentropy",
        run_eagerly=keras.backend.backend() == "tensorflow",
        jit_compile=False,
    )
    model.train_on_batch(X, Y)
    model.train_on_batch(X, Y)  # No accumulated gradients remain.
    all_variables = [id(v) for v in model.optimizer.variables]
    before = state(model)
    frozen = FrozenLayers(
        model, [[model.get_layer("head")], [model.get_layer("first")]]
    )
    frozen.set_open([0])
    fresh = build()
    fresh.get_layer("first").trainable = False
    other = OPTIMIZERS[name]()
    other.build(fresh.trainable_variables)
    mine = [tuple(v.shape) for v in model.optimizer.variables]
    assert mine == [tuple(v.shape) for v in other.variables]
    for one in all_optimizers(model.optimizer):
        assert len(one._trainable_variables_indices) == len(
            one._trainable_variables
        )
    assert len(model.optimizer._trainable_variables) == 6
    frozen.set_open([0, 1])

    assert [id(v) for v in model.optimizer.variables] == all_variables
    for then, now in zip(before, state(model), strict=True):
        np.testing.assert_array_equal(then, now)
    frozen.set_open([0])
    kernel = model.get_layer("first").kernel
    then = np.array(kernel.numpy())
    head = np.array(model.get_layer("head").kernel.numpy())
    model.train_on_batch(X, Y)
    model.train_on_batch(X, Y)
    np.testing.assert_array_equal(kernel.numpy(), then)
    assert not np.array_equal(model.get_layer("head").kernel.numpy(), head)


def test_a_weight_that_the_optimizer_does_not_know_gets_slots():
    """Frozen before the optimizer was built."""
    model = build()
    model.get_layer("first").trainable = False
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
    model.train_on_batch(X, Y)
    before = slots_of(model.optimizer)
    frozen = FrozenLayers(model, [[model.get_layer("head")]])
    model.get_layer("first").trainable = True
    frozen.set_open([])

    after = slots_of(model.optimizer)
    assert {path.split("/")[0] for _, path in after} == {
        "first",
        "norm",
        "second",
    }
    for key in set(before) & set(after):
        np.testing.assert_array_equal(after[key], before[key])
    model.train_on_batch(X, Y)


def test_masks_remain_variables_of_the_optimizer():
    model = build()
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
    model.fit(X, Y, verbose=0, callbacks=[Pruning(0.5)])
    masks = [v for v in model.optimizer.variables if "mask" in v.path]
    frozen = FrozenLayers(model, [[model.get_layer("first")]])
    frozen.set_open([])

    now = [v for v in model.optimizer.variables if "mask" in v.path]
    assert [*map(id, masks)] == [*map(id, now)]
    model.train_on_batch(X, Y)
    frozen.set_open([0])
    model.train_on_batch(X, Y)
    kernel = model.get_layer("first").kernel.numpy()
    assert (kernel == 0).sum() >= 12
