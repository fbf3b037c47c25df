"""Tests for callbacks.Quantization: masters, what acts on them, layers."""

import keras
import numpy as np
import pytest
from keras import layers, optimizers

import keras_netopt as netopt
from keras_netopt.callbacks import Pruning, Quantization
from keras_netopt.quantization import grids
from keras_netopt.training import MaskStore
from keras_netopt.training.master_store import MasterStore

RNG = np.random.default_rng(0)
X = RNG.normal(size=(48, 20)).astype("float32")
Y = RNG.normal(size=(48, 4)).astype("float32")


def build(optimizer=None, **options):
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((20,)),
            layers.Dense(16, activation="relu", name="hidden", **options),
            layers.Dense(4, name="out"),
        ]
    )
    model.compile(optimizer or optimizers.Adam(0.01), "mse")
    return model


def fit(model, *callbacks, epochs=1, **options):
    return model.fit(
        *(X, Y),
        **{"batch_size": 16, "epochs": epochs, "verbose": 0, **options},
        callbacks=list(callbacks),
    ).history


def bits_of(model):
    return [row.bits for row in netopt.quantization.report(model).rows]


class Watch(keras.callbacks.Callback):
    """Records after each step which grids the kernels are on."""

    def __init__(self):
        super().__init__()
        self.bits, self.writes = set(), 0

    def on_train_batch_end(self, batch, logs=None):
        self.bits |= set(bits_of(self.model))
        self.writes += len(MasterStore.of(self.model).take_up())


def test_descent_equals_the_straight_through_reference():
    model = keras.Sequential(
        [keras.Input((20,)), layers.Dense(4, use_bias=False)]
    )
    model.compile(optimizers.SGD(0.1), "mse")
    master = model.get_weights()[0]
    fit(model, Quantization(4), epochs=5, shuffle=False)

    def rounded(kernel):
        scale = grids.find_scale(kernel, (1,), 4)
        return grids.round_to_grid(kernel, scale, 4)

    for step in range(15):
        x, y = (a[step % 3 * 16 :][:16] for a in (X, Y))
        error = x @ rounded(master) - y
        master = master - np.float32(0.1) * (2 / 64 * x.T @ error)
    store = MasterStore.of(model)
    (found,) = store.masters().values()
    np.testing.assert_allclose(found, master, atol=1e-6)
    np.testing.assert_array_equal(model.get_weights()[0], rounded(found))


OPTIMIZERS = [
    (2, lambda: optimizers.AdamW(0.01, global_clipnorm=0.5)),
    (3, lambda: optimizers.SGD(0.05, 0.9, nesterov=True)),
    (4, lambda: optimizers.Adam(0.01, use_ema=True, ema_overwrite_frequency=2)),
    (4, lambda: optimizers.Adam(0.01, gradient_accumulation_steps=2)),
    (8, lambda: optimizers.LossScaleOptimizer(optimizers.Adam(0.01))),
    (8, lambda: optimizers.Muon(0.01)),
    (8, lambda: optimizers.Adafactor(0.01)),
    (3, lambda: optimizers.Lion(0.001)),
]


@pytest.mark.parametrize(("bits", "make"), OPTIMIZERS)
def test_every_step_ends_on_the_grid(bits, make):
    model = build(make(), kernel_constraint="max_norm")
    watch = Watch()
    history = fit(model, Quantization(bits), watch, epochs=2)
    assert watch.bits == {bits}
    assert watch.writes == 0
    assert bits_of(model) == [bits, bits]
    assert history["quantized"] == [1.0, 1.0]
    assert 0 < history["quantization_error"][-1] < 1


def test_without_a_learning_rate_masters_do_not_move():
    model = build(optimizers.SGD(0.0))
    before = model.get_weights()[0]
    fit(model, Quantization(4), epochs=4)
    store = MasterStore.of(model)
    np.testing.assert_array_equal(store.masters()["hidden/kernel"], before)


def test_averages_at_the_end_are_rounded():
    model = build(optimizers.Adam(0.01, use_ema=True))
    fit(model, Quantization(4))
    assert bits_of(model) == [4, 4]


def test_compile_does_not_end_the_quantization():
    """Else the next fit trains in float, and nothing tells that."""
    model = build(optimizers.SGD(0.0))
    fit(model, Quantization(4))
    masters = MasterStore.of(model).masters()
    model.compile(optimizers.SGD(0.0), "mse")
    fit(model)
    again = MasterStore.of(model).masters()
    for key, master in masters.items():
        np.testing.assert_array_equal(again[key], master)
    model.compile(optimizers.Adam(0.01), "mse")
    watch = Watch()
    fit(model, watch, epochs=2)
    assert watch.bits == {4}
    assert np.any(
        MasterStore.of(model).masters()["hidden/kernel"]
        != masters["hidden/kernel"]
    )


def test_written_weights_are_those_that_training_goes_on_from():
    model, callback = build(optimizers.SGD(0.0)), Quantization(3)
    fit(model, callback)
    written = [w + RNG.normal(0, 0.1, w.shape) for w in model.get_weights()]
    model.set_weights(written)
    fit(model, callback)
    store = MasterStore.of(model)
    np.testing.assert_allclose(
        store.masters()["hidden/kernel"], written[0], rtol=1e-6
    )
    assert bits_of(model) == [3, 3]


def test_restored_weights_are_on_the_grid():
    model = build()
    early = keras.callbacks.EarlyStopping(
        "loss", mode="max", patience=1, restore_best_weights=True
    )
    fit(model, early, Quantization(4), epochs=4)
    assert bits_of(model) == [4, 4]
    assert MasterStore.of(model).take_up() == ()


@pytest.mark.parametrize("first", [True, False])
def test_masks_and_masters_in_any_order(first):
    model = build()
    both = [Quantization(4), Pruning(0.8)]
    fit(model, *(both if first else both[::-1]), epochs=3)
    masks, masters = MaskStore.of(model), MasterStore.of(model)
    assert masks.leaks(masks.keys) == 0
    for key, mask in masks.masks().items():
        assert not masters.masters()[key][~mask].any()
        assert (masters.values()[key] == 0).mean() >= 1 - mask.mean()
    assert netopt.sparsity.report(model).sparsity >= 0.799
    assert bits_of(model) == [4, 4]


def test_masks_are_scored_on_the_masters():
    """Ternary kernels have one magnitude: they tell nothing of the order."""
    model = build(optimizers.SGD(0.0))
    kernel = np.abs(model.get_weights()[0])
    fit(model, Quantization(2), Pruning(0.5, include="hidden"), epochs=2)
    mask = MaskStore.of(model).masks()["hidden/kernel"]
    assert kernel[mask].min() >= kernel[~mask].max()


def test_edits_change_the_masters():
    model = build(optimizers.SGD(0.0))
    fit(model, Quantization(4))
    store = MasterStore.of(model)
    before = store.masters()["hidden/kernel"]
    netopt.surgery.prune_channels(model, 0.25)
    cut = store.masters()["hidden/kernel"]
    columns = {column.tobytes() for column in before.T}
    assert cut.shape == (20, 12)
    assert all(column.tobytes() in columns for column in cut.T)
    netopt.surgery.widen(model, "hidden", add=4)
    assert store.masters()["hidden/kernel"].shape == (20, 16)
    fit(model, Quantization(4))
    assert bits_of(model) == [4, 4]


def test_a_deeper_model_is_quantized_whole():
    model = build()
    growing = netopt.callbacks.Growing(
        [netopt.surgery.Deepen("hidden")], {0.5: [0]}
    )
    fit(model, growing, Quantization(4), epochs=2)
    assert len(bits_of(model)) > 2 and set(bits_of(model)) == {4}


def test_begin_trains_in_float_first():
    model = build()
    history = fit(model, Quantization(4, begin="1ep"), epochs=2)
    assert history["quantized"][1] == 1.0
    assert bits_of(model) == [4, 4]


def test_two_widths_in_one_fit():
    model = build()
    fit(
        model,
        Quantization(2, exclude="last"),
        Quantization(8, include="last"),
    )
    assert bits_of(model) == [2, 8]


def test_shared_values_follow_the_masters():
    model = build()
    fit(model, Quantization(clusters=5), epochs=18)
    for row in netopt.quantization.report(model).rows:
        assert row.values == 5 or row.bits is not None


def test_removed_masters_leave_a_plain_optimizer():
    model, plain = build(), build()
    fit(plain)
    fit(model, Quantization(4))
    netopt.quantization.remove_masters(model)
    assert len(model.optimizer.variables) == len(plain.optimizer.variables)
    assert "apply" not in vars(model.optimizer)
    fit(model)
    assert bits_of(model) == [None, None]


def test_files_load_as_plain_models(tmp_path):
    model = build()
    fit(model, Quantization(4))
    model.save(tmp_path / "model.keras")  # Warnings are errors.
    again = keras.saving.load_model(tmp_path / "model.keras")
    for mine, theirs in zip(
        model.get_weights(), again.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(mine, theirs)
    assert bits_of(again) == [4, 4]
