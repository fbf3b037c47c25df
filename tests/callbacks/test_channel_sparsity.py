"""Channels that are trained to zero and removed."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_netopt.callbacks import ChannelSparsity

L = keras.layers
EPOCHS, RATE = 4, 0.1
# Cheaper than a trace, but on JAX, which compiles every operation.
EAGER = keras.backend.backend() != "jax"


def build(optimizer=None, bias=False, eager=False):
    """A CNN of which three channels of `one` have small scales."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            L.Conv2D(8, 3, padding="same", use_bias=bias, name="one"),
            L.BatchNormalization(momentum=0.9, name="norm"),
            L.ReLU(),
            L.Conv2D(6, 3, padding="same", name="two"),
            L.BatchNormalization(momentum=0.9, name="norm_two"),
            L.ReLU(),
            L.GlobalAveragePooling2D(),
            L.Dense(3, name="out"),
        ]
    )
    gamma = np.linspace(0.1, 1, 8)
    gamma[[1, 4, 6]] = 0.01
    model.get_layer("norm").gamma.assign(gamma)
    model.get_layer("norm").beta.assign(np.full(8, 0.3))
    model.compile(
        optimizer or keras.optimizers.SGD(RATE),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        run_eagerly=eager,
    )
    return model


def data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(32, 6, 6, 2)).astype("float32"), np.arange(32) % 3


def fit(model, callback, epochs=EPOCHS, **arguments):
    x, y = data()
    return model.fit(
        x,
        y,
        batch_size=8,
        epochs=epochs,
        verbose=0,
        shuffle=False,
        callbacks=[callback],
        **arguments,
    ).history


def gammas(model, name="norm"):
    return ops.convert_to_numpy(model.get_layer(name).gamma)


class Watch(keras.callbacks.Callback):
    """Checks the outputs around the cut."""

    def __init__(self):
        super().__init__()
        self.outputs, self.widths = [], []

    def on_epoch_end(self, epoch, logs=None):
        self._read()

    def on_epoch_begin(self, epoch, logs=None):
        self._read()

    def _read(self):
        x, _ = data()
        made = ops.convert_to_numpy(self.model(x, training=False))
        self.outputs.append(made)
        self.widths.append(self.model.get_layer("one").filters)


def test_zero_channels_are_cut_without_an_effect():
    """Scales fall to exactly zero, shifts with them; the cut is exact."""
    model, watch = build(), Watch()
    x, y = data()
    callback = ChannelSparsity(0.1, end=0.5)
    history = model.fit(
        x,
        y,
        batch_size=8,
        epochs=EPOCHS,
        verbose=0,
        callbacks=[callback, watch],
    ).history
    kept = model.get_layer("one").filters
    assert watch.widths == [8, 8, 8, 8, kept, kept, kept, kept] and kept <= 5
    before, after = watch.outputs[3:5]
    assert np.abs(before - after).max() < 1e-5
    (row,) = [r for r in callback.report().widths if r.layer == "one"]
    assert (row.before, row.after) == (8, kept)
    dead = history["dead_channels"]
    assert dead[1] == pytest.approx(
        (8 + 6 - kept - model.get_layer("two").filters) / 14
    )
    assert len(dead) == EPOCHS and dead[-1] == 0
    assert callback.is_complete
    assert (gammas(model) != 0).all()
    held = gammas(model)
    fit(model, callback, epochs=1)  # The penalty is off, and stays off.
    assert np.abs(gammas(model) - held).max() > 0
    assert model.get_layer("one").filters == kept


def test_one_step_is_a_soft_threshold():
    """By the learning rate times the strength, after the update."""
    plain, model = build(), build()
    x, y = data()
    plain.fit(x, y, batch_size=32, epochs=1, verbose=0)
    callback = ChannelSparsity(0.5, end=1.0)
    seen = {}

    class Read(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            for name in ("gamma", "beta"):
                variable = getattr(self.model.get_layer("norm"), name)
                seen[name] = ops.convert_to_numpy(variable)

    model.fit(
        x,
        y,
        batch_size=32,
        epochs=1,
        verbose=0,
        callbacks=[callback, Read()],
    )
    full, limit = gammas(plain), RATE * 0.5
    wanted = np.sign(full) * np.maximum(np.abs(full) - limit, 0)
    np.testing.assert_allclose(seen["gamma"], wanted, atol=1e-6)
    assert (wanted == 0).sum() >= 3
    assert np.array_equal(seen["beta"] == 0, wanted == 0)


def test_group_lasso_shrinks_all_weights_of_a_channel():
    """Kernel, bias, scale and shift by one factor; the readers stay."""
    plain, model = (build(bias=True, eager=EAGER) for _ in range(2))
    x, y = data()
    plain.fit(x, y, batch_size=32, epochs=1, verbose=0)
    kernel = ops.convert_to_numpy(plain.get_layer("one").kernel)
    parts = [kernel.reshape(-1, 8)] + [
        ops.convert_to_numpy(v)[None]
        for v in (
            plain.get_layer("one").bias,
            plain.get_layer("norm").gamma,
            plain.get_layer("norm").beta,
        )
    ]
    norm = np.sqrt(np.square(np.concatenate(parts)).sum(axis=0))
    strength = np.sort(norm)[4] / np.sqrt(18 + 3) / RATE * 1.0001
    limit = RATE * strength * np.sqrt(18 + 3)
    factor = np.maximum(1 - limit / norm, 0)
    seen = {}

    class Read(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            for layer in ("one", "out"):
                variable = self.model.get_layer(layer).kernel
                seen[layer] = ops.convert_to_numpy(variable)

    callback = ChannelSparsity(
        strength, regularizer="group_lasso", end=1.0, include="one"
    )
    model.fit(
        x,
        y,
        batch_size=32,
        epochs=1,
        verbose=0,
        callbacks=[callback, Read()],
    )
    np.testing.assert_allclose(seen["one"], kernel * factor, atol=1e-6)
    out = ops.convert_to_numpy(plain.get_layer("out").kernel)
    np.testing.assert_allclose(seen["out"], out, atol=1e-6)
    assert (factor == 0).sum() == 5
    assert model.get_layer("one").filters == 3  # `end=1.0` cuts at the end.


def test_a_share_is_cut_by_scale():
    """The lowest scales of all layers go, zero or not."""
    model = build(eager=EAGER)
    callback = ChannelSparsity(0.0, sparsity=0.5, min_channels=2, end="2ep")
    fit(model, callback)
    widths = [model.get_layer(name).filters for name in ("one", "two")]
    assert sum(widths) == 7
    assert (gammas(model) > 0.2).all()


@pytest.mark.backend("jax", "tensorflow")
@pytest.mark.parametrize("end", [0.5, "4step"])
def test_several_steps_per_execution(end):
    """The penalty is part of the compiled step."""
    one, four = build(), build()
    four.compile(keras.optimizers.SGD(RATE), one.loss, steps_per_execution=4)
    fit(one, ChannelSparsity(0.03, end=end), epochs=2)
    fit(four, ChannelSparsity(0.03, end=end), epochs=2)
    assert one.get_layer("one").filters == four.get_layer("one").filters
    for a, b in zip(one.get_weights(), four.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_accumulated_gradients_get_one_penalty_per_step():
    """Each of two parts of a step shrinks by half."""
    optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=2)
    model = build(optimizer, eager=EAGER)
    held = gammas(model, "norm_two")
    model.get_layer("norm_two").gamma.assign(held)
    seen = []

    class Read(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(gammas(self.model, "norm_two"))

    x, y = data()
    model.fit(
        x[:8],
        y[:8],
        batch_size=4,
        epochs=1,
        verbose=0,
        callbacks=[ChannelSparsity(0.2, end=1.0), Read()],
    )
    np.testing.assert_allclose(held - seen[0], 0.01, atol=1e-6)


def test_a_resumed_fit_cuts_the_same(tmp_path):
    """Before and after the cut: shapes, weights, and no second penalty."""
    x, y = data()
    arguments = {
        "batch_size": 8,
        "epochs": EPOCHS,
        "verbose": 0,
        "shuffle": False,
    }
    reference = build(eager=EAGER)
    history = reference.fit(
        x, y, callbacks=[ChannelSparsity(0.03, end=0.5)], **arguments
    ).history
    for stop in (1, 3):
        model = build(eager=EAGER)

        class Stop(keras.callbacks.Callback):
            def on_epoch_begin(self, epoch, logs=None):
                if epoch == stop:  # noqa: B023
                    raise KeyboardInterrupt

        folder = str(tmp_path / str(stop))
        backup = keras.callbacks.BackupAndRestore(folder)
        with pytest.raises(KeyboardInterrupt):
            model.fit(
                x,
                y,
                callbacks=[ChannelSparsity(0.03, end=0.5), backup, Stop()],
                **arguments,
            )
        again = build(eager=EAGER)
        backup = keras.callbacks.BackupAndRestore(folder)
        rest = again.fit(
            x,
            y,
            callbacks=[ChannelSparsity(0.03, end=0.5), backup],
            **arguments,
        ).history
        for a, b in zip(
            reference.get_weights(), again.get_weights(), strict=True
        ):
            np.testing.assert_array_equal(a, b)
        assert rest["dead_channels"] == history["dead_channels"][stop:]


def test_refusals_and_warnings():
    with pytest.raises(ValueError, match="`strength`.*-1"):
        ChannelSparsity(-1)
    with pytest.raises(ValueError, match="`regularizer`"):
        ChannelSparsity(regularizer="l0")
    with pytest.raises(ValueError, match="`sparsity`"):
        ChannelSparsity(sparsity=1.0)
    with pytest.raises(ValueError, match="lies after the end"):
        fit(build(eager=EAGER), ChannelSparsity(end="9ep"), epochs=1)
    plain = keras.Sequential(
        [keras.Input((6, 6, 2)), L.Flatten(), L.Dense(4), L.Dense(3)]
    )
    plain.compile("sgd", build().loss, run_eagerly=EAGER)
    with pytest.warns(Warning, match="no scale of a batch normalization"):
        fit(plain, ChannelSparsity(), epochs=1)
    with pytest.warns(Warning, match="no channel can be removed"):
        fit(build(eager=EAGER), ChannelSparsity(end=0.5), epochs=2)
    with pytest.raises(ValueError, match="no cut"):
        ChannelSparsity().report()
