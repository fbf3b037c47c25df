"""Edits inside `fit` on two devices do what they do on one.

The file runs itself in a process of its own, which alone can have two.
"""

import contextlib
import subprocess
import sys

import keras
import numpy as np
import pytest
from contract import child

from keras_netopt import surgery
from keras_netopt.surgery.growing.deepen import deepen
from keras_netopt.training import slot_checks

EDITS = {
    "deepen": lambda model: deepen(model, "hidden"),
    "widen": lambda model: surgery.widen(model, "hidden", to=16),
    "remove": lambda model: surgery.remove(model, {"hidden": [0, 5]}),
}


@pytest.mark.slow
@pytest.mark.backend("tensorflow", "jax")  # Keras on torch has one device.
def test_two_devices_edit_as_one(tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", __file__],
        env=child.environment(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == [*EDITS, "done"]


@pytest.mark.backend("tensorflow")  # Strategies are TensorFlow's.
def test_other_distributions_are_refused():
    class TPUStrategy:
        pass

    class Spread(keras.Model):
        @property
        def distribute_strategy(self):
            return TPUStrategy()

        @distribute_strategy.setter
        def distribute_strategy(self, value):
            pass

    inputs = keras.Input((2,))
    model = Spread(inputs, keras.layers.Dense(1)(inputs), name="spread")
    with pytest.raises(ValueError) as caught:
        slot_checks.check_distribution(model)
    assert str(caught.value) == (
        "The model 'spread' is trained with TPUStrategy; edits are tested in "
        "one process only: MirroredStrategy on TensorFlow, keras.distribution "
        "on JAX. Edit the model before distributing it. Received: TPUStrategy"
    )


class Edit(keras.callbacks.Callback):
    def __init__(self, edit):
        super().__init__()
        self.edit = edit

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            self.edit(self.model)


def train(scope, edit):
    rng = np.random.default_rng(0)
    y = (np.arange(64) % 3).astype("int32")
    x = rng.normal(size=(64, 8)).astype("float32")
    x[np.arange(64), y] += 2.0
    keras.utils.set_random_seed(0)
    with scope:
        model = keras.Sequential(
            [
                keras.Input((8,)),
                keras.layers.Dense(12, activation="tanh", name="hidden"),
                keras.layers.Dense(3, name="out"),
            ]
        )
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss)
    with (
        scope if keras.backend.backend() == "jax" else contextlib.nullcontext()
    ):
        history = model.fit(
            x,
            y,
            batch_size=32,
            epochs=5,
            shuffle=False,
            verbose=0,
            callbacks=[Edit(edit)],
        )
    return model, history.history["loss"]


def copies(variable):
    if keras.backend.backend() == "tensorflow":
        return [one.numpy() for one in variable.value.values]
    return [np.asarray(s.data) for s in variable.value.addressable_shards]


class Scopes:
    """A scope that can be entered again and again."""

    def __init__(self, make):
        self.make = make

    def __enter__(self):
        self.entered = self.make()
        return self.entered.__enter__()

    def __exit__(self, *error):
        return self.entered.__exit__(*error)


def both_devices():
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        cpu = tf.config.list_physical_devices("CPU")[0]
        one = tf.config.LogicalDeviceConfiguration()
        tf.config.set_logical_device_configuration(cpu, [one, one])
        return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope
    import jax

    devices = jax.devices()
    assert len(devices) == 2
    return keras.distribution.DataParallel(devices=devices).scope


def check_sharded():
    """Half a layer per device; a width that can't be halved is refused.

    After a refusal nothing has changed.
    """
    import jax

    mesh = keras.distribution.DeviceMesh(
        (1, 2), ["batch", "model"], jax.devices()
    )
    layouts = keras.distribution.LayoutMap(mesh)
    layouts[".*hidden/kernel"] = (None, "model")
    distribution = keras.distribution.ModelParallel(
        layout_map=layouts, batch_dim_name="batch"
    )
    scope = Scopes(distribution.scope)
    alone, _ = train(contextlib.nullcontext(), EDITS["widen"])
    model, _ = train(scope, EDITS["widen"])
    for mine, theirs in zip(
        alone.get_weights(), model.get_weights(), strict=True
    ):
        np.testing.assert_allclose(mine, theirs, atol=1e-4)
    slots = [v for v in model.optimizer.variables if v.shape == (8, 16)]
    for slot in slots:
        assert [part.shape for part in copies(slot)] == [(8, 8), (8, 8)]
    assert len(slots) == 1
    kernel = model.get_layer("hidden").kernel
    assert [part.shape for part in copies(kernel)] == [(8, 8), (8, 8)]
    before = model.get_weights()
    with scope, pytest.raises(ValueError, match="evenly divide"):
        surgery.widen(model, "hidden", to=17)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def main():
    scope = Scopes(both_devices())
    for name, edit in EDITS.items():
        alone, loss = train(contextlib.nullcontext(), edit)
        both, shared = train(scope, edit)
        np.testing.assert_allclose(loss, shared, atol=1e-4)
        for mine, theirs in zip(
            alone.get_weights(), both.get_weights(), strict=True
        ):
            np.testing.assert_allclose(mine, theirs, atol=1e-4)
        for variable in [*both.weights, *both.optimizer.variables]:
            first, second = copies(variable)
            np.testing.assert_array_equal(first, second)
        print(name)
    if keras.backend.backend() == "jax":
        check_sharded()
    print("done")


if __name__ == "__main__":
    main()
