"""Straight-through masks: the optimizer updates dense weights."""

import keras
import numpy as np
import pytest
from keras import layers, optimizers
from training.mask_tools import assert_masked, half_masks, kernels
from training.steps import apply_gradients

import keras_netopt as netopt
from keras_netopt.callbacks import Quantization
from keras_netopt.training import (
    CheckpointState,
    MaskStore,
    recompile_keeping_state,
)
from keras_netopt.training.dense_store import DenseStore

RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 20)).astype("float32")
Y = RNG.normal(size=(64, 4)).astype("float32")


def attach(model, decay=0.0):
    """Straight-through masks of half of the weights of each kernel."""
    masks = MaskStore.attach(model, kernels(model))
    dense = DenseStore.attach(model, masks.keys, decay)
    masks.assign(half_masks(masks))
    return masks, dense


class ChangeMask(keras.callbacks.Callback):
    """Assigns a mask before an epoch and checks the stored weights."""

    def __init__(self, changes):
        super().__init__()
        self.changes, self.leaks = changes, 0

    def on_epoch_begin(self, epoch, logs=None):
        store = MaskStore.of(self.model)
        if epoch in self.changes:
            store.assign({store.keys[0]: self.changes[epoch]})

    def on_train_batch_end(self, batch, logs=None):
        store = MaskStore.of(self.model)
        self.leaks += store.leaks(store.keys)


def loss_scaled():
    return optimizers.LossScaleOptimizer(optimizers.SGD(0.1), initial_scale=4)


@pytest.mark.parametrize(
    ("decay", "make"), [(0.0, lambda: optimizers.SGD(0.1)), (0.1, loss_scaled)]
)
def test_training_equals_the_numpy_reference(decay, make):
    """Else gradients are taken at dense weights, or revived ones are lost."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [keras.Input((20,)), layers.Dense(4, use_bias=False)]
    )
    model.compile(make(), "mse")
    masks, store = attach(model, decay)
    (dense,) = store.masters().values()
    first, second = RNG.random((2, 20, 4)) > 0.6
    watch = ChangeMask({0: first, 3: second})
    options = {"batch_size": 64, "epochs": 6, "verbose": 0}
    model.fit(X, Y, **options, shuffle=False, callbacks=[watch])

    for step in range(6):
        mask = first if step < 3 else second
        gradient = 2 / (64 * 4) * X.T @ (X @ np.where(mask, dense, 0) - Y)
        dense = dense - 0.1 * (gradient + decay * np.where(mask, 0, dense))
    (found,) = store.masters().values()
    np.testing.assert_allclose(found, dense, atol=1e-6)
    np.testing.assert_array_equal(
        model.get_weights()[0], np.where(second, found, 0)
    )
    assert watch.leaks == 0


OPTIMIZERS = [
    lambda: optimizers.AdamW(0.01, weight_decay=0.1, global_clipnorm=0.5),
    lambda: optimizers.SGD(0.05, 0.9, nesterov=True),
    lambda: optimizers.Adam(0.01, use_ema=True, ema_overwrite_frequency=2),
    lambda: optimizers.Adam(0.01, gradient_accumulation_steps=2),
    lambda: optimizers.Muon(0.01),
]


@pytest.mark.parametrize("make", OPTIMIZERS)
def test_dense_weights_move_as_without_masks(make_mlp, make):
    """Given gradients, masks must reach neither slots nor dense weights."""
    plain, model = make_mlp(make()), make_mlp(make())
    plain.set_weights(model.get_weights())
    masks, store = attach(model)
    for seed in (1, 2):
        for one in (plain, model):
            apply_gradients(one, 2, seed=seed)
        new = {key: ~mask for key, mask in masks.masks().items()}
        masks.assign(new)
    for key, variable in kernels(plain).items():
        np.testing.assert_array_equal(store.masters()[key], np.array(variable))
        np.testing.assert_array_equal(
            store.values()[key], np.where(new[key], np.array(variable), 0)
        )
    assert_masked_values(masks, store)


def assert_masked_values(masks, store):
    for key, mask in masks.masks().items():
        outside = store.values()[key][~mask]
        assert outside.size and not outside.any()
        assert not np.signbit(outside).any()


def test_a_constraint_of_the_user_acts_on_the_dense_weights():
    model = keras.Sequential(
        [keras.Input((20,)), layers.Dense(4, kernel_constraint="non_neg")]
    )
    model.compile(optimizers.SGD(0.1), "mse")
    _, store = attach(model)
    apply_gradients(model, 2)
    (dense,) = store.masters().values()
    assert dense.min() == 0 and dense.max() > 0
    netopt.sparsity.remove_masks(model)
    assert isinstance(
        model.layers[0].kernel.constraint, keras.constraints.NonNeg
    )


def test_files_are_sparse_and_resume_bit_for_bit(make_mlp, tmp_path):
    model = make_mlp()
    masks, _ = attach(model, 0.01)
    apply_gradients(model, 2)
    model.save(tmp_path / "m.keras")  # Warnings are errors.
    plain = keras.saving.load_model(tmp_path / "m.keras")
    for key, variable in kernels(plain).items():
        assert (np.array(variable) == 0).sum() == (~masks.masks()[key]).sum()

    again = keras.saving.load_model(tmp_path / "m.keras")
    again_masks, again_store = attach(again, 0.01)
    checkpoint = CheckpointState.of(again)
    checkpoint.read(tmp_path / "m.keras")
    again.set_weights(model.get_weights())
    again_masks.load_state(checkpoint.take_loaded("masks")[1])
    again_store.load_state(checkpoint.take_loaded("dense_weights")[1])
    for one in (model, again):
        one_masks = MaskStore.of(one)
        apply_gradients(one, 2, seed=5)
        one_masks.assign({k: ~m for k, m in one_masks.masks().items()})
    for mine, theirs in zip(
        model.get_weights(), again.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("way", ["compile", "recompile"])
def test_dense_weights_move_to_a_new_optimizer(make_mlp, toy_data, way):
    model = make_mlp(optimizers.SGD(0.0))
    masks, store = attach(model)
    dense = store.masters()
    if way == "compile":
        model.compile(optimizers.SGD(0.0), model.loss)
    else:
        recompile_keeping_state(model)
    model.fit(*toy_data, epochs=1, verbose=0)
    moved = DenseStore.of(model)
    assert moved is not store
    for key, array in moved.masters().items():
        np.testing.assert_array_equal(array, dense[key])
    model.optimizer.learning_rate = 0.1
    model.fit(*toy_data, epochs=1, verbose=0)
    assert_masked_values(MaskStore.of(model), moved)
    key = moved.keys[0]
    outside = ~masks.masks()[key]
    assert (moved.masters()[key] != dense[key])[outside].any()


def test_written_weights_become_dense_weights(make_mlp):
    model = make_mlp()
    masks, store = attach(model)
    written = [w + 1 for w in model.get_weights()]
    model.set_weights(written)
    masks.project()
    key = store.keys[0]
    np.testing.assert_array_equal(store.masters()[key], written[0])
    assert_masked_values(masks, store)


def test_without_dense_weights_the_masks_stay(make_mlp):
    model = make_mlp()
    before = len(model.optimizer.variables)
    masks, store = attach(model)
    apply_gradients(model)
    store.detach()
    assert DenseStore.of(model) is None
    apply_gradients(model)
    assert_masked(masks)
    netopt.sparsity.remove_masks(model)
    assert "make_train_function" not in vars(model)
    plain = make_mlp()
    for one in (model, plain):
        apply_gradients(one)
    assert len(model.optimizer.variables) == len(plain.optimizer.variables)
    assert before <= len(plain.optimizer.variables)


def test_statistics_are_those_of_the_forward_pass(make_mlp):
    """Movement is gradient times weight: zero where the mask is zero."""
    model = make_mlp("sgd")
    masks = MaskStore.attach(
        model,
        kernels(model),
        lambda slot, weight, gradient: slot + gradient * weight,
    )
    DenseStore.attach(model, masks.keys)
    masks.assign(half_masks(masks))
    apply_gradients(model)
    for key, mask in masks.masks().items():
        statistic = masks.statistics()[key]
        assert not statistic[~mask].any() and statistic[mask].all()


def test_edits_change_the_dense_weights(make_mlp):
    model = make_mlp(optimizers.SGD(0.0))
    _, store = attach(model)
    before = store.masters()["hidden/kernel"]
    netopt.surgery.prune_channels(model, 0.25)
    cut = store.masters()["hidden/kernel"]
    columns = {column.tobytes() for column in before.T}
    assert cut.shape[1] < before.shape[1]
    assert all(column.tobytes() in columns for column in cut.T)
    apply_gradients(model)
    assert_masked_values(MaskStore.of(model), store)


@pytest.mark.parametrize("first", [True, False])
def test_quantized_kernels_may_have_straight_through_masks(
    make_mlp, toy_data, first
):
    """Masters are masked, dense weights are not, whichever came first."""
    model = make_mlp()
    if first:
        attach(model)
    model.fit(*toy_data, verbose=0, callbacks=[Quantization(4)])
    if not first:
        attach(model)
    store = DenseStore.of(model)
    start = store.masters()
    model.fit(*toy_data, verbose=0)
    masks = MaskStore.of(model)
    assert_masked_values(masks, store)
    for key, mask in masks.masks().items():
        assert start[key][~mask].any()
        assert (store.masters()[key] != start[key])[~mask].any()
    assert {row.bits for row in netopt.quantization.report(model).rows} == {4}
