"""Optimizer slots follow an edit: exact values, Keras' order, no surprise."""

import keras
import numpy as np
import pytest

from keras_netopt.surgery.edits.edit import apply
from keras_netopt.surgery.edits.plan import Plan
from keras_netopt.surgery.graph.channel_graph import ChannelGraph
from keras_netopt.surgery.growing.deepen import deepen
from keras_netopt.training import MaskStore, slots, variable_keys
from keras_netopt.training.backend import sync
from keras_netopt.training.optimizers import all_owners, slot_lists

optimizers = keras.optimizers
EMA = {"_model_variables_moving_average": "weight"}
ADAM = {"_momentums": "gradient", "_velocities": "gradient2"}
HATS = {"_velocity_hats": "gradient2"}
SUMS = {"_accumulated_gradients": "gradient"}

# What each slot holds, written down from the formulas of the optimizers.
CASES = {
    "adadelta": (
        optimizers.Adadelta,
        {
            "_accumulated_grads": "gradient2",
            "_accumulated_delta_vars": "update",
        },
    ),
    "adagrad": (optimizers.Adagrad, {"_accumulators": "gradient2"}),
    "adam": (optimizers.Adam, ADAM),
    "adam_amsgrad_accumulation": (
        lambda: optimizers.Adam(amsgrad=True, gradient_accumulation_steps=2),
        {**ADAM, **HATS, **SUMS},
    ),
    "adamax": (optimizers.Adamax, {"_m": "gradient", "_u": "gradient"}),
    "adamw": (lambda: optimizers.AdamW(weight_decay=0.1), ADAM),
    "lamb": (optimizers.Lamb, ADAM),
    "lion": (optimizers.Lion, {"_momentums": "gradient"}),
    "loss_scale": (
        lambda: optimizers.LossScaleOptimizer(optimizers.AdamW()),
        ADAM,
    ),
    "muon": (
        optimizers.Muon,
        {"momentums": "gradient", "adam_velocities": "gradient2"},
    ),
    "nadam": (optimizers.Nadam, ADAM),
    "rmsprop": (
        lambda: optimizers.RMSprop(centered=True, momentum=0.5),
        {
            "_velocities": "gradient2",
            "_average_gradients": "gradient",
            "_momentums": "update",
        },
    ),
    "schedule_free": (
        optimizers.ScheduleFreeAdamW,
        {"_momentums": "weight", "_velocities": "gradient2"},
    ),
    "sgd": (optimizers.SGD, {}),
    "sgd_nesterov_ema": (
        lambda: optimizers.SGD(0.01, 0.9, nesterov=True, use_ema=True),
        {"momentums": "gradient", **EMA},
    ),
}


def multi():
    sgd = optimizers.SGD(0.01, momentum=0.9)
    return optimizers.MultiOptimizer(
        optimizers.OptimizerMap(optimizers.Adam(), {".*hidden/kernel": sgd})
    )


def build(optimizer):
    keras.utils.set_random_seed(3)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8,)),
            layers.Dense(6, activation="relu", name="hidden"),
            layers.BatchNormalization(momentum=0.9, name="norm"),
            layers.Dense(5, activation="relu", name="middle"),
            layers.Dense(3, name="out"),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    is_eager = keras.backend.backend() != "jax"  # It is slow there.
    model.compile(optimizer, loss, run_eagerly=is_eager)
    model.optimizer.build(model.trainable_variables)
    return model


def fill(model):
    """Gives every slot numbers above 0 and says what they are."""
    rng = np.random.default_rng(0)
    held = {}
    for owner in all_owners(model.optimizer):
        owner._iterations.assign(7)
        for name, values in slot_lists(owner):
            for variable, slot in zip(
                owner._trainable_variables, values, strict=True
            ):
                if slot is not None:
                    array = rng.uniform(0.01, 0.1, slot.shape)
                    slot.assign(array.astype("float32"))
                    held[name, id(variable)] = (variable, array_of(slot))
    return held


def array_of(variable):
    return np.array(keras.ops.convert_to_numpy(variable))


def cut_and_grow(model):
    """Removes a unit, copies one unevenly, and adds a new one."""
    graph = ChannelGraph(model)
    first, second, third = graph.units("hidden")[:3]
    copies = np.ones(graph.class_count, "int64")
    copies[[first, second, third]] = 0, 3, 2
    plan = Plan(
        graph,
        copies,
        shares={second: np.array([0.2, 0.5, 0.3]), third: np.array([1.0, 0.0])},
        fresh={third: np.array([-1, 0])},
    )
    return plan, apply(model, graph, plan).slots


def now(model):
    return {
        (name, id(variable)): array_of(slot)
        for owner in all_owners(model.optimizer)
        for name, values in slot_lists(owner)
        for variable, slot in zip(
            owner._trainable_variables, values, strict=True
        )
        if slot is not None
    }


def assert_like_reloaded(model, path):
    model.save(path)
    loaded = keras.saving.load_model(path)
    mine, theirs = model.optimizer.variables, loaded.optimizer.variables
    assert len(mine) == len(theirs)
    for one, other in zip(mine, theirs, strict=True):
        np.testing.assert_array_equal(array_of(one), array_of(other))


def assert_trains(model, toy_data):
    before = model.get_weights()
    model.fit(*toy_data, batch_size=16, epochs=5, verbose=0)
    sync(model)
    assert all(np.isfinite(w).all() for w in model.get_weights())
    assert all(np.isfinite(a).all() for a in now(model).values())
    for old, new in zip(before, model.get_weights(), strict=True):
        assert not np.array_equal(old, new)


@pytest.mark.parametrize("name", [*CASES, "multi"])
def test_every_slot_is_carried_by_its_kind(name, toy_data, tmp_path):
    make, kinds = CASES.get(name, (multi, {**ADAM, "momentums": "gradient"}))
    model = build(make())
    held = fill(model)
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
    assert_like_reloaded(model, tmp_path / "m.keras")
    assert_trains(model, toy_data)


def test_adafactor_keeps_the_second_moments_that_its_factors_stand_for(
    toy_data, tmp_path
):
    model = build(optimizers.Adafactor())
    optimizer, squares = model.optimizer, {}
    rng = np.random.default_rng(0)
    for k, variable in enumerate(model.trainable_variables):
        shape = tuple(variable.shape)
        square = rng.uniform(0.1, 1.0, shape).astype("float32")
        if len(shape) == 2:
            square = np.outer(square[:, 0], square[0])
            optimizer._r[k].assign(square.mean(axis=-1))
            optimizer._c[k].assign(square.mean(axis=-2))
        optimizer._v[k].assign(square)
        squares[k] = (variable, square)
    plan, report = cut_and_grow(model)

    for k, (variable, square) in squares.items():
        expected = plan.map(variable, square, "gradient2")
        np.testing.assert_array_equal(array_of(optimizer._v[k]), expected)
        if len(variable.shape) == 2:
            for axis, part in ((-1, optimizer._r[k]), (-2, optimizer._c[k])):
                np.testing.assert_allclose(
                    array_of(part), expected.mean(axis=axis), rtol=1e-5
                )
    assert report.carried == {"factored": 16, "gradient2": 8}
    assert_like_reloaded(model, tmp_path / "m.keras")
    assert_trains(model, toy_data)


@pytest.mark.parametrize("name", ["adam", "loss_scale", "multi", "adafactor"])
def test_an_edit_that_fails_half_way_leaves_the_optimizer_as_it_was(
    name, toy_data
):
    make = {"multi": multi, "adafactor": optimizers.Adafactor}.get(name)
    model = build((make or CASES[name][0])())
    fill(model)
    store = MaskStore.attach(model, kernels(model))
    before = [array_of(v) for v in model.optimizer.variables]
    weights, masks = model.get_weights(), store.masks()
    graph = ChannelGraph(model)
    copies = np.ones(graph.class_count, "int64")
    copies[graph.units("hidden")[0]] = 2
    plan = Plan(graph, copies)
    original, calls = plan.map, []

    def fail(variable, array, kind):
        calls.append(kind)
        if calls.count("gradient2") == 2:
            raise RuntimeError("half way")
        return original(variable, array, kind)

    plan.map = fail
    with pytest.raises(RuntimeError, match="half way"):
        apply(model, graph, plan)

    after = model.optimizer.variables
    assert len(before) == len(after)
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, array_of(new))
    for old, new in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    for key, mask in store.masks().items():
        np.testing.assert_array_equal(mask, masks[key])
    assert_trains(model, toy_data)


def test_training_goes_on_after_an_edit_that_failed(toy_data):
    """On TensorFlow the variables are others, which no old step trains."""
    model = build("sgd")
    model.compile(optimizers.SGD(0.1, momentum=0.9), model.loss)
    model.fit(*toy_data, batch_size=16, verbose=0)
    graph = ChannelGraph(model)
    copies = np.ones(graph.class_count, "int64")
    copies[graph.units("hidden")[0]] = 2
    plan = Plan(graph, copies)
    original = plan.map

    def fail(variable, array, kind):
        if kind == "gradient":
            raise RuntimeError("half way")
        return original(variable, array, kind)

    plan.map = fail
    with pytest.raises(RuntimeError, match="half way"):
        apply(model, graph, plan)
    before = model.get_weights()
    model.fit(*toy_data, batch_size=16, verbose=0)
    for old, new in zip(before, model.get_weights(), strict=True):
        assert not np.array_equal(old, new)


def kernels(model):
    keys = variable_keys(model)
    return {
        keys[id(v)]: v for v in model.trainable_variables if v.name == "kernel"
    }


def test_masks_and_statistics_follow(toy_data, tmp_path):
    model = build(optimizers.Adam())
    store = MaskStore.attach(
        model, kernels(model), lambda slot, weight, gradient: slot + gradient
    )
    rng = np.random.default_rng(1)
    store.assign(
        {k: rng.random(m.shape) < 0.5 for k, m in store.masks().items()}
    )
    model.fit(*toy_data, batch_size=16, verbose=0)
    masks, statistics = store.masks(), store.statistics()
    plan, _ = cut_and_grow(model)

    for key, variable in kernels(model).items():
        expected = plan.map(variable, masks[key], "index")
        np.testing.assert_array_equal(store.masks()[key], expected)
        assert variable.constraint.mask is store._masks[key]
        np.testing.assert_array_equal(
            store.statistics()[key],
            plan.map(variable, statistics[key], "gradient"),
        )
    new_unit = store.masks()["hidden/kernel"][:, 4]
    assert new_unit.all()
    model.fit(*toy_data, batch_size=16, epochs=2, verbose=0)
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


def test_masks_follow_where_the_optimizer_is_not_built_yet():
    model = build(optimizers.Adam())
    MaskStore.attach(model, kernels(model))
    model.compile("sgd", model.loss)
    cut_and_grow(model)

    for variable in kernels(model).values():
        assert tuple(variable.constraint.mask.shape) == tuple(variable.shape)


def test_variables_without_weight_decay_stay_without():
    """TensorFlow's keys of variables change with their shape."""
    model = build("sgd")
    optimizer = optimizers.AdamW(0.1, weight_decay=0.5)
    hidden, out = model.get_layer("hidden"), model.get_layer("out")
    stranger = keras.Variable(np.zeros(2))
    optimizer.exclude_from_weight_decay(var_list=[hidden.kernel, stranger])
    model.compile(optimizer, model.loss)
    optimizer.build(model.trainable_variables)
    assert not optimizer._use_weight_decay(hidden.kernel)
    assert optimizer._use_weight_decay(out.kernel)
    cut_and_grow(model)

    assert not optimizer._use_weight_decay(hidden.kernel)
    assert optimizer._use_weight_decay(hidden.bias)
    assert optimizer._use_weight_decay(out.kernel)
    assert not optimizer._use_weight_decay(stranger)
    before = {id(v): array_of(v) for v in model.trainable_variables}
    zeros = [keras.ops.zeros(v.shape) for v in model.trainable_variables]
    optimizer.apply(zeros, model.trainable_variables)
    moved = {
        v.path.split("/", 1)[1]: not np.array_equal(before[id(v)], array_of(v))
        for v in (hidden.kernel, out.kernel)
    }
    assert moved == {"hidden/kernel": False, "out/kernel": True}


def test_a_schedule_and_the_loss_scale_go_on():
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


def test_a_changed_learning_rate_stays():
    model = build(optimizers.Nadam(0.1))
    model.optimizer.learning_rate = 0.125
    model.optimizer._u_product.assign(0.5)
    cut_and_grow(model)

    assert float(model.optimizer.learning_rate) == 0.125
    assert array_of(model.optimizer._u_product) == 0.5


def test_a_map_that_makes_optimizers_keeps_each_variable_with_its_own():
    def one_each(variable):
        return optimizers.SGD(0.1, momentum=0.9)

    model = build(optimizers.MultiOptimizer(one_each))
    held = fill(model)
    inner = list(model.optimizer.optimizers)
    assert len(inner) == 8
    cut_and_grow(model)

    assert list(model.optimizer.optimizers) == inner
    assert now(model).keys() == held.keys()
    assert model.optimizer._optimizer_map is one_each


def test_new_variables_get_new_slots_in_their_place(tmp_path):
    model = build(
        optimizers.Adagrad(use_ema=True, initial_accumulator_value=0.2)
    )
    held = fill(model)
    report = deepen(model, after="hidden", init="identity").slots
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
    """Except on JAX, whose trainer can't go on with them."""
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


def test_variables_of_others_stay_behind_keras_own():
    model = build(optimizers.Adam())
    extra = model.optimizer.add_variable((2,), name="extra")
    count = len(model.optimizer.variables)
    cut_and_grow(model)

    assert len(model.optimizer.variables) == count
    assert model.optimizer.variables[-1] is extra


class Lists(optimizers.Optimizer):
    """Slots in lists, one of them in a shape of its own."""

    def __init__(self, **kwargs):
        super().__init__(learning_rate=0.1, **kwargs)
        self.beats = keras.Variable(3.0, name="beats")

    def build(self, variables):
        super().build(variables)
        self.trails = self.add_optimizer_variables(variables, "trail")
        self.norms = [self.add_variable((), name="norm") for _ in variables]

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        self.assign_add(self.trails[index], gradient)
        self.assign_add(self.norms[index], keras.ops.sum(gradient))
        self.assign_sub(variable, gradient * 0.01)


class Dicts(Lists):
    """Slots where nobody finds them."""

    def build(self, variables):
        super(type(self), self).build(variables)
        self.by_name = {
            v.path: self.add_variable(v.shape, name="hidden") for v in variables
        }


def test_slots_of_an_unknown_optimizer_are_taken_for_gradients(toy_data):
    model = build(Lists())
    beats = model.optimizer.beats
    held = fill(model)
    plan, report = cut_and_grow(model)
    found = now(model)

    for (name, key), (variable, before) in held.items():
        if name == "trails":
            expected = plan.map(variable, before, "gradient")
        else:
            expected = 0.0 if plan.changes(variable) else before
        np.testing.assert_array_equal(found[name, key], expected)
    assert report.guessed == ("norms", "trails")
    changed = [v.path for v, _ in held.values() if plan.changes(v)]
    assert len(report.reset) == len(changed) / 2
    assert "norms of sequential" in str(report).replace("_1", "")
    assert model.optimizer.beats is beats
    assert model.optimizer.variables[2] is beats
    assert_trains(model, toy_data)


class OwnAdam(optimizers.Adam):
    """One of Keras' optimizers with a slot that nobody finds."""

    build = Dicts.build


@pytest.mark.parametrize("kind", [Dicts, OwnAdam])
def test_slots_that_are_not_understood_are_refused(kind):
    model = build(kind())
    paths = [v.path for v in model.optimizer.by_name.values()]
    with pytest.raises(ValueError) as caught:
        slots.check_optimizer(model, zero_outgoing=False)

    assert str(caught.value) == (
        f"The slots of the optimizer {kind.__name__} are not understood, "
        "expected attributes with a list of one variable a trainable "
        "variable, as `add_optimizer_variables` returns it. "
        f"Received: {paths}"
    )


def test_ftrl_is_refused():
    model = build(optimizers.Ftrl())
    with pytest.raises(ValueError) as caught:
        slots.check_optimizer(model, zero_outgoing=False)

    assert str(caught.value) == (
        "A model that is trained with Ftrl can't be edited like this: its "
        "slots define the weights: the next step would overwrite what the "
        "edit has written. Compile the model with another optimizer. "
        f"Received: optimizer='{model.optimizer.name}'"
    )


def test_adafactor_is_refused_where_units_send_nothing_on():
    model = build(optimizers.LossScaleOptimizer(optimizers.Adafactor()))
    slots.check_optimizer(model, zero_outgoing=False)
    with pytest.raises(ValueError) as caught:
        slots.check_optimizer(model, zero_outgoing=True)

    assert str(caught.value) == (
        "A model that is trained with Adafactor can't be edited like this: a "
        "weight matrix with a row and a column of zero gradients turns to "
        "NaN, and new weights that start at zero make such matrices. Widen "
        'with new_units="net2net", deepen with init="identity", or compile '
        "with another optimizer. Received: "
        f"optimizer='{model.optimizer.name}'"
    )


@pytest.mark.parametrize("name", [*CASES, "multi", "none"])
def test_other_optimizers_are_not_refused(name):
    make = CASES.get(name, (multi, None))[0]
    model = build(make())
    if name == "none":
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    slots.check_optimizer(model, zero_outgoing=True)


def test_there_is_nothing_to_hold_before_the_optimizer_is_built():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    assert slots.snapshot(model) is None
    model.compile("adam", "mse")
    assert slots.snapshot(model) is None
    model.optimizer.build(model.trainable_variables)
    assert slots.snapshot(model) is not None


def test_the_report_tells_everything():
    report = slots.SlotReport(
        {"gradient": 2, "weight": 1}, 3, ("_c of dense/kernel",), ("trails",)
    )
    assert str(report) == (
        "Optimizer slots: carried 2 gradient, 1 weight; 3 new; reset _c of "
        "dense/kernel; taken for gradients trails."
    )
    assert str(slots.SlotReport()) == "Optimizer slots: carried none."
