"""Edits of a model that another, fitted model contains."""

import keras
import numpy as np
import pytest
from surgery.conftest import EAGER

from keras_netopt import surgery

layers = keras.layers
rng = np.random.default_rng(0)
X = rng.normal(size=(16, 6)).astype("float32")
Y = X[:, :1]


def part():
    inputs = keras.Input((6,))
    x = layers.Dense(8, activation="relu", name="one")(inputs)
    x = layers.Dense(8, activation="relu", name="two")(x)
    return keras.Model(inputs, layers.Dense(4)(x))


class Around(keras.Model):
    """A subclassed model."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.head = inner, layers.Dense(1)

    def call(self, inputs):
        return self.head(self.inner(inputs))


OUTERS = {
    "sequential": lambda p: keras.Sequential(
        [keras.Input((6,)), p, layers.Dense(1)]
    ),
    "same graph": lambda p: keras.Model(
        p.inputs[0], layers.Dense(1)(p.outputs[0])
    ),
    "subclassed": Around,
}
EDITS = {
    "remove": lambda m: surgery.remove(m, {"one": [0, 3]}),
    "widen": lambda m: surgery.widen(m, "two", add=3),
    "deepen": lambda m: surgery.deepen(m, "one", init="identity"),
}


def fitted(model, **options):
    model.compile("adam", "mse", **options)
    model.fit(X, Y, batch_size=4, verbose=0)
    model.predict(X, verbose=0)
    return model


def values(model):
    return [
        np.array(keras.ops.convert_to_numpy(v))
        for v in model.trainable_variables
    ]


def assert_trains(model):
    """All weights move, and `predict` answers for the weights."""
    before, steps = values(model), int(model.optimizer.iterations)
    model.fit(X, Y, batch_size=4, verbose=0)
    assert int(model.optimizer.iterations) > steps >= 4
    for old, new in zip(before, values(model), strict=True):
        assert (old != new).any()
    expected = keras.ops.convert_to_numpy(model(X))
    found = model.predict(X, verbose=0)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("outer", "edit"),
    [
        ("sequential", "remove"),
        ("sequential", "deepen"),
        ("subclassed", "widen"),
        ("same graph", "remove"),
        ("same graph", "deepen"),
    ],
)
def test_the_outer_model_follows(outer, edit):
    keras.utils.set_random_seed(0)
    inner = part()
    model = fitted(OUTERS[outer](inner))
    count = len(model.trainable_variables)
    EDITS[edit](inner)
    assert_trains(model)
    assert len(model.trainable_variables) - count == 2 * (edit == "deepen")


def test_the_inner_model_follows():
    keras.utils.set_random_seed(0)
    inner = part()
    outer = fitted(OUTERS["sequential"](inner), run_eagerly=EAGER)
    fitted(inner)
    surgery.remove(outer, {f"{inner.name}/one": [1]})
    assert_trains(inner)


def test_slots_are_carried_over_and_not_reset():
    inner = part()
    outer = fitted(OUTERS["sequential"](inner), run_eagerly=EAGER)
    kernel = inner.get_layer("one").kernel

    def slots():
        name = kernel.path.replace("/", "_")
        return [
            np.array(keras.ops.convert_to_numpy(v))
            for v in outer.optimizer.variables
            if name in v.name
        ]

    before = slots()
    EDITS["remove"](inner)
    assert len(before) == 2
    for old, new in zip(before, slots(), strict=True):
        np.testing.assert_array_equal(new, np.delete(old, [0, 3], axis=1))


def test_a_callback_of_the_outer_fit_edits_the_part():
    inner = part()
    outer = OUTERS["sequential"](inner)

    class Edit(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 2:
                EDITS["remove"](inner)

    outer.compile("adam", "mse", run_eagerly=EAGER)
    outer.fit(X, Y, batch_size=4, verbose=0, callbacks=[Edit()])
    assert inner.get_layer("one").units == 6
    assert all(np.isfinite(one).all() for one in values(outer))
    assert_trains(outer)


@pytest.mark.backend("tensorflow")
@pytest.mark.parametrize(
    "options", [{"jit_compile": True}, {"steps_per_execution": 4}]
)
def test_the_outer_model_follows_with_compile_options(options):
    inner = part()
    outer = fitted(OUTERS["sequential"](inner), **options)
    EDITS["remove"](inner)
    assert_trains(outer)


@pytest.mark.backend("tensorflow")
def test_a_function_of_the_user_fails_instead_of_using_discarded_weights():
    import tensorflow as tf

    inner = part()
    forward = tf.function(lambda x: inner(x))
    forward(X)
    EDITS["remove"](inner)
    with pytest.raises(tf.errors.InvalidArgumentError):
        forward(X)
    forward = tf.function(lambda x: inner(x))
    np.testing.assert_allclose(forward(X), inner(X), atol=1e-6)
