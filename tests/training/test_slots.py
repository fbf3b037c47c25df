"""Edits preserve optimizer slots: exact values in Keras' order."""

import keras
import numpy as np
import pytest
from training.mask_tools import kernels
from training.slot_tools import (
    ADAM,
    CASES,
    array_of,
    assert_like_reloaded,
    assert_trains,
    build,
    cut_and_grow,
    fill,
    multi,
    now,
)

from keras_netopt.surgery.growing.deepen import deepen
from keras_netopt.training import MaskStore, slot_checks
from keras_netopt.training.optimizers import slot_lists

optimizers = keras.optimizers


# One of each structure: no slots, lists, dictionaries, accumulators, averages,
# wrapped optimizers.
STRUCTURES = (
    "sgd adagrad adam_amsgrad_accumulation sgd_nesterov_ema rmsprop muon "
    "loss_scale multi"
).split()


@pytest.mark.parametrize("name", [n for n in CASES if n not in STRUCTURES])
def test_every_slot_is_mapped_by_its_kind(name):
    edit(name)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=() if n in STRUCTURES else pytest.mark.slow)
        for n in (*CASES, "multi")
    ],
)
def test_an_edited_model_trains_and_its_file_loads(name, toy_data, tmp_path):
    model = edit(name)
    assert_like_reloaded(model, tmp_path / "m.keras")
    assert_trains(model, toy_data)


def edit(name):
    """Edits a model and compares its slots."""
    make, kinds = CASES.get(name, (multi, {**ADAM, "momentums": "gradient"}))
    model = build(make())
    held = fill(model)
    slot_checks.check_optimizer(model, zero_outgoing=True)
    plan, report = cut_and_grow(model)
    found = now(model)

    assert found.keys() == held.keys()
    for key, (variable, before) in held.items():
        expected = plan.map(variable, before, kinds[key[0]])
        np.testing.assert_array_equal(found[key], expected, err_msg=key[0])
        assert found[key].shape == tuple(variable.shape)
    assert any(plan.changes(v) for v, _ in held.values()) or not held
    assert sum(report.carried.values()) == len(held)
    assert report.reset == report.guessed == () and report.fresh == 0
    assert int(model.optimizer.iterations) == 7 // (
        model.optimizer.gradient_accumulation_steps or 1
    )
    return model


def test_adafactor_keeps_its_factored_second_moments(toy_data, tmp_path):
    model = build(optimizers.Adafactor())
    slots, squares = dict(slot_lists(model.optimizer)), {}
    rng = np.random.default_rng(0)
    for k, variable in enumerate(model.trainable_variables):
        shape = tuple(variable.shape)
        square = rng.uniform(0.1, 1.0, shape).astype("float32")
        if len(shape) == 2:
            square = np.outer(square[:, 0], square[0])
            slots["_r"][k].assign(square.mean(axis=-1))
            slots["_c"][k].assign(square.mean(axis=-2))
        slots["_v"][k].assign(square)
        squares[k] = (variable, square)
    plan, report = cut_and_grow(model)

    slots = dict(slot_lists(model.optimizer))
    for k, (variable, square) in squares.items():
        expected = plan.map(variable, square, "gradient2")
        np.testing.assert_array_equal(array_of(slots["_v"][k]), expected)
        if len(variable.shape) == 2:
            for axis, name in ((-1, "_r"), (-2, "_c")):
                np.testing.assert_allclose(
                    array_of(slots[name][k]),
                    expected.mean(axis=axis),
                    rtol=1e-5,
                )
    assert report.carried == {"factored": 16, "gradient2": 8}
    assert_like_reloaded(model, tmp_path / "m.keras")
    assert_trains(model, toy_data)


def test_masks_and_statistics_follow(toy_data, tmp_path):
    model = build(optimizers.Adam())
    store = MaskStore.attach(
        model, kernels(model), lambda slot, weight, gradient: slot + gradient
    )
    rng = np.random.default_rng(1)
    store.assign(
        {k: rng.random(m.shape) < 0.5 for k, m in store.masks().items()}
    )
    model.fit(*toy_data, batch_size=32, verbose=0)
    masks, statistics = store.masks(), store.statistics()
    plan, _ = cut_and_grow(model)

    for key, variable in kernels(model).items():
        expected = plan.map(variable, masks[key], "index")
        np.testing.assert_array_equal(store.masks()[key], expected)
        mask = variable.constraint.mask
        assert id(mask) in ours(store)
        np.testing.assert_array_equal(array_of(mask), expected)
        np.testing.assert_array_equal(
            store.statistics()[key],
            plan.map(variable, statistics[key], "gradient"),
        )
    new_unit = store.masks()["hidden/kernel"][:, 4]
    assert new_unit.all()
    model.fit(*toy_data, batch_size=32, verbose=0)
    for key, weight in store.weights().items():
        assert not weight[~store.masks()[key]].any()
        assert weight.any()
    names = [v.name for v in model.optimizer.variables]
    assert sum(name.startswith("mask") for name in names) == 3
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    own = [v for v in model.optimizer.variables if id(v) not in ours(store)]
    for mine, theirs in zip(own, loaded.optimizer.variables, strict=True):
        np.testing.assert_array_equal(array_of(mine), array_of(theirs))


def ours(store):
    return {id(v) for v in store.variables}


def test_masks_follow_before_the_optimizer_is_built():
    model = build(optimizers.Adam())
    MaskStore.attach(model, kernels(model))
    model.compile("sgd", model.loss)
    cut_and_grow(model)

    for variable in kernels(model).values():
        assert tuple(variable.constraint.mask.shape) == tuple(variable.shape)


def test_excluded_variables_stay_without_weight_decay(backend):
    """TensorFlow's keys of variables change with their shape."""
    model = build("sgd")
    optimizer = optimizers.AdamW(0.1, weight_decay=0.5)
    hidden, out = model.get_layer("hidden"), model.get_layer("out")
    own = [hidden.kernel, hidden.bias, out.kernel]
    # Another variable of the optimizer; JAX's trainer supports none.
    stranger = keras.Variable(np.ones(2))
    others = [stranger] if backend != "jax" else []
    optimizer.exclude_from_weight_decay(var_list=[hidden.kernel, *others])
    model.compile(optimizer, model.loss)
    optimizer.build([*model.trainable_variables, *others])
    model.set_weights([np.ones_like(w) for w in model.get_weights()])

    def decayed():
        """Gradients of zero: only the decay changes a variable."""
        variables = [*model.trainable_variables, *others]
        before = [array_of(v) for v in [*own, *others]]
        optimizer.apply([keras.ops.zeros(v.shape) for v in variables])
        return [
            not np.array_equal(old, array_of(v))
            for old, v in zip(before, [*own, *others], strict=True)
        ]

    expected = [False, True, True, *(False for _ in others)]
    assert decayed() == expected
    cut_and_grow(model)
    assert decayed() == expected


def test_a_schedule_and_the_loss_scale_continue():
    schedule = optimizers.schedules.CosineDecay(0.1, 100)
    inner = optimizers.Adam(schedule)
    model = build(optimizers.LossScaleOptimizer(inner, initial_scale=8.0))
    fill(model)
    model.optimizer.dynamic_scale.assign(32.0)
    model.optimizer.step_counter.assign(5)
    rate = float(inner.learning_rate)
    cut_and_grow(model)

    assert float(inner.learning_rate) == rate == pytest.approx(schedule(7))
    assert float(model.optimizer.dynamic_scale) == 32.0
    assert int(model.optimizer.step_counter) == 5


def test_a_changed_learning_rate_and_the_momentum_schedule_stay():
    """The next step of a variable that the edit leaves alone is the same."""
    biases = []
    for is_edited in (False, True):
        model = build(optimizers.Nadam(0.1))
        model.optimizer.learning_rate = 0.125
        for step in range(3):
            if is_edited and step == 2:
                cut_and_grow(model)
            ones = [keras.ops.ones(v.shape) for v in model.trainable_variables]
            model.optimizer.apply(ones)
        assert float(model.optimizer.learning_rate) == 0.125
        biases.append(array_of(model.get_layer("out").bias))

    np.testing.assert_array_equal(*biases)


def test_variables_keep_their_optimizer_of_an_optimizer_map():
    def one_each(variable):
        return optimizers.SGD(0.1, momentum=0.9)

    model = build(optimizers.MultiOptimizer(one_each))
    held = fill(model)
    inner = list(model.optimizer.optimizers)
    assert len(inner) == 8
    config = model.optimizer.get_config()
    cut_and_grow(model)

    assert list(model.optimizer.optimizers) == inner
    assert now(model).keys() == held.keys()
    assert model.optimizer.get_config() == config


def test_new_variables_get_new_slots_at_their_position(tmp_path):
    model = build(
        optimizers.Adagrad(use_ema=True, initial_accumulator_value=0.2)
    )
    held = fill(model)
    report = deepen(model, "hidden", init="identity").slots
    kernel = model.get_layer("hidden_deeper1").kernel
    found = now(model)

    assert report.fresh == 4
    assert report.carried == {"weight": 8, "gradient2": 8}
    np.testing.assert_array_equal(
        found["_model_variables_moving_average", id(kernel)], np.eye(6)
    )
    np.testing.assert_array_equal(
        found["_accumulators", id(kernel)], np.full((6, 6), 0.2, "float32")
    )
    for key, (_, before) in held.items():
        np.testing.assert_array_equal(found[key], before)
    assert_like_reloaded(model, tmp_path / "m.keras")


def test_slots_of_a_frozen_layer_stay(backend):
    """Except on JAX, whose trainer does not support them."""
    model = build(optimizers.Adam())
    held = fill(model)
    hidden = model.get_layer("hidden")
    hidden.trainable = False
    names = [v.name for v in model.optimizer.variables]
    cut_and_grow(model)
    after = [v.name for v in model.optimizer.variables]
    assert (after == names) == (backend != "jax")
    kept = {key for key in held if key[1] == id(hidden.kernel)}

    assert len(kept) == 2
    assert (kept <= now(model).keys()) == (backend != "jax")
    hidden.trainable = True
    cut_and_grow(model)
    assert now(model).keys() == held.keys()


def test_added_variables_stay_after_those_of_keras():
    model = build(optimizers.Adam())
    extra = model.optimizer.add_variable((2,), name="extra")
    count = len(model.optimizer.variables)
    cut_and_grow(model)

    assert len(model.optimizer.variables) == count
    assert model.optimizer.variables[-1] is extra
