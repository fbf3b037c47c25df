"""Masks are optimizer variables and apply at every training step."""

import keras
import numpy as np
import pytest
from training.steps import apply_gradients

from keras_netopt.surgery.edits.apply_plan import replace_value
from keras_netopt.training import (
    CheckpointState,
    MaskStore,
    recompile_keeping_state,
    variable_keys,
)

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


def kernels(model):
    keys = variable_keys(model)
    return {
        keys[id(v)]: v for v in model.trainable_variables if v.name == "kernel"
    }


def half_masks(store):
    rng = np.random.default_rng(1)
    return {key: rng.random(m.shape) < 0.5 for key, m in store.masks().items()}


def assert_masked(store):
    masks, weights = store.masks(), store.weights()
    for key, mask in masks.items():
        outside = weights[key][~mask]
        assert outside.size
        assert not outside.any()
        assert not np.signbit(outside).any()
        assert weights[key][mask].any()


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
        gradient_accumulation_steps=4
    )
    found["ema"] = lambda: sgd(0.1, use_ema=True, ema_overwrite_frequency=3)
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
    for seed in range(4):
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
