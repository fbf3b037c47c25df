"""Edits that are made on the model itself and taken back.

The models hold layers in the style of the Keras examples, which have no
`get_config` and cannot be cloned.
"""

import random

import keras
import numpy as np
import pytest
from surgery.conftest import EAGER, stir

from keras_netopt import surgery
from keras_netopt.callbacks import Growing
from keras_netopt.surgery.edits.edit_history import EditHistory
from keras_netopt.surgery.growing.rehearse_actions import rehearse_actions

layers = keras.layers


class Block(layers.Layer):
    """A residual block of a user, without a config."""

    def __init__(self, units):
        super().__init__()
        self.one = layers.Dense(units, activation="relu")
        self.two = layers.Dense(units)

    def call(self, x):
        return x + self.two(self.one(x))


def functional():
    inputs = keras.Input((6,))
    x = layers.Dense(8, activation="relu", name="hidden")(Block(6)(inputs))
    x = layers.Dropout(0.3)(layers.BatchNormalization(name="norm")(x))
    return keras.Model(inputs, layers.Dense(1, name="out")(x))


def sequential():
    stack = [Block(6), layers.Dense(8, activation="relu", name="hidden")]
    return keras.Sequential([keras.Input((6,)), *stack, layers.Dense(1)])


def nested():
    inner = keras.Input((6,))
    x = layers.Dense(8, activation="relu", name="hidden")(Block(6)(inner))
    inner = keras.Model(inner, layers.Dense(4, name="end")(x), name="inner")
    inputs = keras.Input((6,))
    return keras.Model(inputs, layers.Dense(1)(inner(inputs)))


def compiled(build):
    keras.utils.set_random_seed(0)
    model = build()
    model.compile("adam", "mse", run_eagerly=EAGER)
    return stir(model)


def traces(model):
    """Everything by which a model can be seen to have changed."""
    found = [vars(model).get("train_function")]
    for layer in model._flatten_layers():
        found += [layer, type(layer), list(vars(layer)), layer._layers]
        found += [k for k in vars(layer).items() if isinstance(k[1], int)]
        found += [(node, node.arguments) for node in layer._inbound_nodes]
        found += [t.shape for n in layer._inbound_nodes for t in n.outputs]
        found.append(list(layer._outbound_nodes))
        found.append(dict(getattr(layer, "_build_shapes_dict", None) or {}))
    for variable in (*model.variables, *model.optimizer.variables):
        found += [variable, variable.shape]
        if keras.backend.backend() != "jax":  # Its arrays never change.
            found.append(id(variable.value))
        found.append(keras.ops.convert_to_numpy(variable).tobytes())
    found += [model.weights, model.trainable_weights, random.getstate()]
    return [
        [id(one) for one in f] if isinstance(f, list) and f else repr(f)
        for f in found
    ] + [np.random.get_state()[1].tobytes()]


ACTIONS = [
    surgery.Widen("hidden", factor=2),
    surgery.Deepen("hidden"),
    surgery.Deepen("hidden", init="identity"),
    surgery.Widen("hidden", add=3),
]


@pytest.mark.parametrize("build", [functional, sequential, nested])
def test_a_rehearsal_leaves_no_trace(build):
    model = compiled(build)
    path = "inner/hidden" if build is nested else "hidden"
    surgery.widen(model, path, add=1)  # There is an edit history.
    before, size = traces(model), surgery.ModelSize.of(model)
    history = len(EditHistory.of(model).edits)

    report = rehearse_actions(
        model,
        [type(a)(**{**vars(a), "layer": path}) for a in ACTIONS],
        new_units="zero",
    )

    assert report.after.params > 2 * size.params - 100
    assert traces(model) == before
    assert len(EditHistory.of(model).edits) == history


@pytest.mark.parametrize("edit", ["remove", "widen", "deepen", "prune"])
def test_a_dry_run_reports_what_the_edit_does(edit):
    calls = {
        "remove": lambda m, **k: surgery.remove(m, {"hidden": [0, 3]}, **k),
        "widen": lambda m, **k: surgery.widen(m, "hidden", add=5, **k),
        "deepen": lambda m, **k: surgery.deepen(m, "hidden", copies=2, **k),
        "prune": lambda m, **k: surgery.prune_channels(
            m, 0.5, min_channels=1, **k
        ),
    }
    model = compiled(functional)
    before = traces(model)
    dry = calls[edit](model, dry_run=True)
    assert traces(model) == before
    wet = calls[edit](model)
    assert dry.dry_run and not wet.dry_run
    for name in ("before", "after", "widths", "inserted"):
        assert getattr(dry, name) == getattr(wet, name), name


def test_a_rehearsal_that_fails_leaves_no_trace():
    model = compiled(functional)
    before = traces(model)
    actions = [ACTIONS[0], ACTIONS[1], surgery.Widen("out", factor=2)]
    with pytest.raises(ValueError, match="reaches the output"):
        rehearse_actions(model, actions, new_units="zero")
    assert traces(model) == before


def test_a_model_with_layers_without_config_grows_in_fit():
    model = compiled(functional)
    twin = compiled(functional)
    x = np.random.default_rng(0).normal(size=(16, 6)).astype("float32")
    growing = Growing(ACTIONS[:2], {0.5: [0, 1]}, max_params=5000, verbose=0)
    options = {"epochs": 2, "verbose": 0, "shuffle": False}
    keras.utils.set_random_seed(1)
    grown = model.fit(x, x[:, :1], callbacks=[growing], **options).history
    keras.utils.set_random_seed(1)
    plain = twin.fit(x, x[:, :1], **options).history
    # Rehearsed before the first step: it trains like a model never touched.
    assert grown["loss"][0] == plain["loss"][0]
    assert grown["params"][1] > grown["params"][0]
    assert model.get_layer("hidden").units == 16


def test_a_compiled_step_remains_valid():
    model = compiled(functional)
    model.run_eagerly = False
    x = np.ones((8, 6), "float32")
    model.train_on_batch(x, x[:, :1])
    step, kernel = model.train_function, model.get_layer("hidden").kernel
    surgery.widen(model, "hidden", factor=2, dry_run=True)
    assert model.train_function is step
    before = keras.ops.convert_to_numpy(kernel).copy()
    model.train_on_batch(x, x[:, :1])
    assert np.abs(keras.ops.convert_to_numpy(kernel) - before).max() > 0


def test_latency_is_measured_without_a_clone():
    model, widths = compiled(functional), []
    before = traces(model)

    def meter(copy):
        assert not copy.compiled
        copy.compile("sgd", "mse", run_eagerly=EAGER)
        copy.train_on_batch(np.ones((4, 6)), np.ones((4, 1)))
        widths.append(copy.get_layer("hidden").units)
        return float(copy.count_params())

    surgery.prune_channels(
        model,
        0.3,
        resource="latency",
        meter=meter,
        min_channels=1,
        dry_run=True,
    )
    assert widths[0] == 8 and min(widths) < 8
    assert traces(model) == before
