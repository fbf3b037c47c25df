"""Masks are optimizer variables and apply at every training step."""

import keras
import numpy as np
from training.mask_tools import assert_masked, half_masks, kernels
from training.steps import apply_gradients

from keras_netopt.training import (
    CheckpointState,
    MaskStore,
    recompile_keeping_state,
)
from keras_netopt.training.replace_value import replace_value


def test_slots_are_zero_where_the_mask_is(make_mlp):
    model = make_mlp(keras.optimizers.Adam(use_ema=True))
    store = MaskStore.attach(model, kernels(model))
    apply_gradients(model, 2)
    store.assign(half_masks(store))
    for _ in range(2):
        mask = store.masks()["hidden/kernel"]
        same_shape = [
            np.array(keras.ops.convert_to_numpy(v))
            for v in model.optimizer.variables
            if tuple(v.shape) == mask.shape and v.dtype != "bool"
        ]
        assert len(same_shape) == 3
        for slot in same_shape:
            assert not slot[~mask].any()
            assert slot[mask].any()
        apply_gradients(model)


def test_the_users_constraint_is_applied_first():
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(
                3, kernel_constraint=keras.constraints.MaxNorm(0.1)
            ),
        ]
    )
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(True))
    own = model.layers[0].kernel.constraint
    store = MaskStore.attach(model, kernels(model))
    store.assign(half_masks(store))
    apply_gradients(model, 3)

    norms = np.linalg.norm(model.layers[0].get_weights()[0], axis=0)
    assert norms.max() <= 0.1 + 1e-6
    assert_masked(store)
    store.detach()
    assert model.layers[0].kernel.constraint is own


def test_attaching_twice_adds_nothing(make_mlp):
    model = make_mlp()
    store = MaskStore.attach(model, kernels(model))
    count = len(model.optimizer.variables)

    assert MaskStore.attach(model, kernels(model)) is store
    assert len(model.optimizer.variables) == count


def test_detaching_restores_the_optimizer(make_mlp):
    model = make_mlp()
    model.optimizer.build(model.trainable_variables)
    names = [v.path for v in model.optimizer.variables]
    store = MaskStore.attach(
        model, kernels(model), lambda slot, weight, gradient: slot + gradient
    )
    assert len(model.optimizer.variables) == len(names) + 4
    store.assign(half_masks(store))
    zeros = {k: w == 0 for k, w in store.weights().items()}
    store.detach()

    assert [v.path for v in model.optimizer.variables] == names
    assert MaskStore.of(model) is None
    apply_gradients(model)
    weights = {k: np.array(v) for k, v in kernels(model).items()}
    assert any(weights[k][zero].any() for k, zero in zeros.items())


def test_masks_move_to_a_new_optimizer(make_mlp, toy_data):
    model = make_mlp()
    store = MaskStore.attach(model, kernels(model))
    store.assign(half_masks(store))
    masks = store.masks()
    model.compile("sgd", model.loss)
    model.fit(*toy_data, epochs=1, verbose=0)  # Without masks: zeros remain.
    assert_masked(store)
    moved = MaskStore.attach(model, kernels(model))

    assert moved is not store
    assert MaskStore.of(model) is moved
    for key, mask in moved.masks().items():
        np.testing.assert_array_equal(mask, masks[key])
    model.fit(*toy_data, epochs=1, verbose=0)
    assert_masked(moved)


def test_statistics_use_unmasked_gradients(make_mlp):
    """A masked gradient would be zero at masked weights."""
    model = make_mlp("sgd")
    store = MaskStore.attach(
        model,
        kernels(model),
        lambda slot, weight, gradient: slot + keras.ops.abs(gradient),
    )
    store.assign(half_masks(store))
    gradients = apply_gradients(model)

    for key, variable in kernels(model).items():
        expected = np.abs(gradients[id(variable)])
        np.testing.assert_array_equal(store.statistics()[key], expected)
    store.reset_statistics(store.keys)
    assert not any(s.any() for s in store.statistics().values())


def test_files_hold_keras_own_slots_only(make_mlp, toy_data, tmp_path):
    model = make_mlp()
    store = MaskStore.attach(model, kernels(model))
    store.assign(half_masks(store))
    apply_gradients(model, 2)
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")

    assert int(loaded.optimizer.iterations) == int(model.optimizer.iterations)
    x, _ = toy_data
    np.testing.assert_array_equal(
        *(keras.ops.convert_to_numpy(one(x)) for one in (loaded, model))
    )
    own = [v for v in model.optimizer.variables if "mask" not in v.name]
    for mine, theirs in zip(own, loaded.optimizer.variables, strict=True):
        np.testing.assert_array_equal(np.array(mine), np.array(theirs))


def test_state_is_restored_by_structure():
    """Keras numbers unnamed layers differently in each model."""

    def build():
        model = keras.Sequential(
            [keras.Input((8,)), keras.layers.Dense(16), keras.layers.Dense(3)]
        )
        model.compile("adam", "mse")
        return model

    model, twin = build(), build()
    store = MaskStore.attach(model, kernels(model))
    store.assign(half_masks(store))
    other = MaskStore.attach(twin, kernels(twin))
    assert store.keys != other.keys
    other.load_state(store.save_state()[1])

    for mine, theirs in zip(
        store.masks().values(), other.masks().values(), strict=True
    ):
        np.testing.assert_array_equal(mine, theirs)
    assert_masked(other)


def test_state_holds_the_statistics(make_mlp):
    model, twin = make_mlp("sgd"), make_mlp("sgd")
    store, other = (
        MaskStore.attach(one, kernels(one), lambda slot, _, gradient: gradient)
        for one in (model, twin)
    )
    apply_gradients(model)
    other.load_state(store.save_state()[1])

    for key, statistic in store.statistics().items():
        assert statistic.any()
        np.testing.assert_array_equal(other.statistics()[key], statistic)


def test_state_adds_missing_masks(make_mlp):
    model, twin = make_mlp(), make_mlp()
    store = MaskStore.attach(model, kernels(model))
    store.assign(half_masks(store))
    first = dict([next(iter(kernels(twin).items()))])
    other = MaskStore.attach(twin, first)
    other.load_state(store.save_state()[1])

    assert set(other.keys) == set(store.keys)
    assert_masked(other)


def test_another_statistic_starts_at_zero(make_mlp, toy_data):
    model = make_mlp("sgd")
    add, subtract = (
        lambda slot, weight, gradient: slot + keras.ops.abs(gradient),
        lambda slot, weight, gradient: slot - keras.ops.abs(gradient),
    )
    store = MaskStore.attach(model, kernels(model), add)
    model.fit(*toy_data, epochs=1, verbose=0)
    assert all(s.max() > 0 for s in store.statistics().values())
    MaskStore.attach(model, kernels(model), subtract)
    assert not any(s.any() for s in store.statistics().values())
    model.fit(*toy_data, epochs=1, verbose=0)

    assert all(s.max() <= 0 and s.any() for s in store.statistics().values())
    MaskStore.attach(model, kernels(model))
    assert not store.statistics()


def test_a_quantized_model_can_still_be_saved(make_mlp, toy_data, tmp_path):
    """Quantizing removes the masked kernels from the model."""
    model = make_mlp()
    store = MaskStore.attach(model, kernels(model))
    store.assign(half_masks(store))
    zeros = {k: w == 0 for k, w in store.weights().items()}
    for name in ("hidden", "out"):
        model.get_layer(name).quantize("int8")
    model.save(tmp_path / "m.keras")

    for layer, mask in zip(
        (model.get_layer("hidden"), model.get_layer("out")),
        zeros.values(),
        strict=True,
    ):
        kernel = next(w for w in layer.get_weights() if w.ndim == 2)
        assert not kernel[mask].any()


def test_a_shared_weight_keeps_its_mask_in_another_model(make_mlp):
    model = make_mlp()
    store = MaskStore.attach(model, kernels(model))
    store.assign(half_masks(store))
    other = keras.Sequential([keras.Input((8,)), model.get_layer("hidden")])
    other.compile("sgd", "mse")
    shared = MaskStore.attach(other, kernels(other))

    mask = store.masks()["hidden/kernel"]
    np.testing.assert_array_equal(shared.masks()["hidden/kernel"], mask)


def test_recompiling_a_stateless_optimizer():
    """Two masks, and no slots that could be confused with them."""
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(10, use_bias=False),
            keras.layers.Dense(3, use_bias=False),
        ]
    )
    model.compile(keras.optimizers.SGD(0.25), "mse")
    MaskStore.attach(model, kernels(model))
    model.layers[0].trainable = False
    recompile_keeping_state(model)

    assert float(model.optimizer.learning_rate) == 0.25
    assert int(model.optimizer.iterations) == 0


def test_remap_follows_a_change_of_shape(make_mlp):
    model = make_mlp("sgd")
    store = MaskStore.attach(
        model, kernels(model), lambda slot, weight, gradient: slot + 1.0
    )
    store.assign(half_masks(store))
    apply_gradients(model)
    key, kernel = next(iter(kernels(model).items()))
    old, count = store.masks()[key], len(model.optimizer.variables)
    memory = store.memory()
    replace_value(kernel, np.ones((8, 18)))

    def pad(variable, array, kind):
        if variable is not kernel:
            return array
        fill = {"index": True, "gradient": 0.0}[kind]
        wider = np.full((8, 18), fill, array.dtype)
        wider[:, :16] = array
        return wider

    store.remap(memory, pad)

    new = store.masks()[key]
    assert new.shape == (8, 18)
    np.testing.assert_array_equal(new[:, :16], old)
    assert new[:, 16:].all()
    assert any(kernel.constraint.mask is v for v in store.variables)
    np.testing.assert_array_equal(np.array(kernel.constraint.mask), new)
    statistic = store.statistics()[key]
    assert (statistic[:, :16] > 0).all() and not statistic[:, 16:].any()
    assert len(model.optimizer.variables) == count
    assert_masked(store)


def test_recompiling_keeps_slots_and_masks(make_mlp):
    model = make_mlp(keras.optimizers.Adam(0.01))
    store = MaskStore.attach(model, kernels(model))
    store.assign(half_masks(store))
    apply_gradients(model, 2)
    momentum = {
        v.path: np.array(v)
        for v in model.optimizer.variables
        if "out" in v.path and "mask" not in v.path
    }
    model.get_layer("hidden").trainable = False
    frozen = model.get_layer("hidden").get_weights()
    recompile_keeping_state(model)
    kept = {v.path: np.array(v) for v in model.optimizer.variables}

    assert momentum
    for path, value in momentum.items():
        np.testing.assert_array_equal(kept[path], value)
    apply_gradients(model)
    for now, then in zip(
        model.get_layer("hidden").get_weights(), frozen, strict=True
    ):
        np.testing.assert_array_equal(now, then)
    assert_masked(MaskStore.of(model))
    assert CheckpointState.of(model).states["masks"] is MaskStore.of(model)
