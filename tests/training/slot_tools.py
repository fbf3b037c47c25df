"""Optimizers, their slots, and an edit of their variables."""

import keras
import numpy as np

from keras_netopt.surgery.channels.channel_graph import ChannelGraph
from keras_netopt.surgery.edits.apply_plan import apply_plan
from keras_netopt.surgery.edits.edit_plan import EditPlan
from keras_netopt.training.backend import sync_variables
from keras_netopt.training.optimizers import all_optimizers, slot_lists

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


def slots_of(model):
    """Yields the attribute's name, the variable and its slot."""
    for owner in all_optimizers(model.optimizer):
        # Keras has no public name for them.
        variables = owner._trainable_variables
        for name, values in slot_lists(owner):
            for variable, slot in zip(variables, values, strict=True):
                if slot is not None:
                    yield name, variable, slot


def fill(model):
    """Fills every slot with positive numbers and returns them."""
    rng = np.random.default_rng(0)
    held = {}
    for owner in all_optimizers(model.optimizer):
        (steps,) = [v for v in owner.variables[:2] if v.name == "iteration"]
        steps.assign(7)
    for name, variable, slot in slots_of(model):
        slot.assign(rng.uniform(0.01, 0.1, slot.shape).astype("float32"))
        held[name, id(variable)] = (variable, array_of(slot))
    return held


def array_of(variable):
    return np.array(keras.ops.convert_to_numpy(variable))


def cut_and_grow(model):
    """Removes a unit, copies one unevenly, and adds a new one."""
    graph = ChannelGraph(model)
    first, second, third = graph.units("hidden")[:3]
    copies = np.ones(graph.group_count, "int64")
    copies[[first, second, third]] = 0, 3, 2
    plan = EditPlan(
        graph,
        copies,
        shares={second: np.array([0.2, 0.5, 0.3]), third: np.array([1.0, 0.0])},
        new_numbers={third: np.array([-1, 0])},
    )
    return plan, apply_plan(model, graph, plan).slots


def now(model):
    return {
        (name, id(variable)): array_of(slot)
        for name, variable, slot in slots_of(model)
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
    x, y = toy_data
    for half in (slice(None, None, 2), slice(1, None, 2)):
        model.train_on_batch(x[half], y[half])
    sync_variables(model)
    assert all(np.isfinite(w).all() for w in model.get_weights())
    assert all(np.isfinite(a).all() for a in now(model).values())
    for old, new in zip(before, model.get_weights(), strict=True):
        assert not np.array_equal(old, new)
