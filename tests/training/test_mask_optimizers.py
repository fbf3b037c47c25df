"""Masked weights stay zero under every optimizer."""

import keras
import numpy as np
import pytest
from training.mask_tools import assert_masked, half_masks, kernels
from training.steps import apply_gradients

from keras_netopt.training import MaskStore

OPTIMIZERS = [
    "adadelta",
    "adafactor",
    "adagrad",
    "adam",
    "adamax",
    "adamw",
    "ftrl",
    "lion",
    "nadam",
    "rmsprop",
]


def make_optimizers():
    found = {
        name: (lambda n=name: keras.optimizers.get(n)) for name in OPTIMIZERS
    }
    sgd = keras.optimizers.SGD
    found["sgd"] = lambda: sgd(0.05)
    found["momentum"] = lambda: sgd(0.05, momentum=0.9, nesterov=True)
    found["clipnorm"] = lambda: keras.optimizers.Adam(clipnorm=0.1)
    found["global_clipnorm"] = lambda: sgd(0.1, global_clipnorm=0.1)
    found["accumulation"] = lambda: keras.optimizers.Adam(
        gradient_accumulation_steps=2
    )
    found["ema"] = lambda: sgd(0.1, use_ema=True, ema_overwrite_frequency=2)
    found["decay"] = lambda: keras.optimizers.AdamW(weight_decay=0.1)
    found["loss_scale"] = lambda: keras.optimizers.LossScaleOptimizer(
        keras.optimizers.Adam()
    )
    found["multi"] = lambda: keras.optimizers.MultiOptimizer(
        keras.optimizers.OptimizerMap(
            keras.optimizers.Adam(), {".*hidden.*": sgd(0.1, momentum=0.9)}
        )
    )
    found["lamb"] = keras.optimizers.Lamb
    found["muon"] = keras.optimizers.Muon
    found["schedule_free"] = keras.optimizers.ScheduleFreeAdamW
    return found


# On JAX, Keras applies scaled gradients in a compiled step only.
STEPPED = make_optimizers().keys() - (
    {"loss_scale"} if keras.backend.backend() == "jax" else ()
)


@pytest.mark.parametrize("name", sorted(STEPPED))
def test_masked_weights_are_zero_after_every_step(name, make_mlp):
    model = make_mlp(make_optimizers()[name]())
    store = MaskStore.attach(model, kernels(model))
    store.assign(half_masks(store))
    before = store.weights()
    for seed in range(2):
        apply_gradients(model, seed=seed)
        assert_masked(store)
    assert any(
        not np.array_equal(before[k], w) for k, w in store.weights().items()
    )


# The last two branch in the compiled step.
COMPILED = ("adam", "accumulation", "loss_scale")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=() if n in COMPILED else pytest.mark.slow)
        for n in sorted(make_optimizers())
    ],
)
def test_masked_weights_are_zero_after_every_batch(name, make_mlp, toy_data):
    model = make_mlp(make_optimizers()[name]())
    store = MaskStore.attach(model, kernels(model))
    store.assign(half_masks(store))
    seen = []

    class Check(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            assert_masked(store)
            seen.append(store.weights())

    model.fit(*toy_data, batch_size=16, verbose=0, callbacks=[Check()])

    assert len(seen) == 4
    assert any(not np.array_equal(seen[0][k], w) for k, w in seen[-1].items())
