"""New initial values of all weights: drawn as a new model draws them."""

import keras
import numpy as np
import pytest
from contract import zoo

from keras_netopt.graph.layers import variable_keys
from keras_netopt.training.initial_values import (
    assign_initial_values,
    draw_initial_values,
)

L = keras.layers


def test_every_model_gets_values_that_its_seed_repeats():
    """Bug: weights of nested models, cells or attention are left out."""
    wrong = []
    for name in zoo.BUILDERS:
        model = zoo.build(name)
        if not model.built:
            model(zoo.data(name)[0][:2])
        trained = [weight + 5.0 for weight in model.get_weights()]
        model.set_weights(trained)
        first = draw_initial_values(model, seed=1)
        if list(first) != [variable_keys(model)[id(v)] for v in model.weights]:
            wrong.append(f"{name}: {list(first)}")
        again = draw_initial_values(model, seed=1)
        other = draw_initial_values(model, seed=2)
        for key, value in first.items():
            if not np.array_equal(value, again[key]):
                wrong.append(f"{name}: {key} is not repeated")
            is_random = key.split("#")[0].endswith(("kernel", "embeddings"))
            if np.array_equal(value, other[key]) == is_random:
                wrong.append(f"{name}: {key} with another seed")
            if np.abs(value).max() > 3.0:
                wrong.append(f"{name}: {key} is a trained value")
        for weight, held in zip(model.get_weights(), trained, strict=True):
            np.testing.assert_array_equal(weight, held)
    assert not wrong, "\n".join(wrong)


def test_values_have_the_distribution_of_the_initializer():
    """Bug: a default initializer stands in for the layer's own."""
    model = keras.Sequential(
        [
            keras.Input((200,)),
            L.Dense(300, kernel_initializer="he_normal", name="hidden"),
            L.BatchNormalization(name="norm"),
            L.Dense(5, bias_initializer=keras.initializers.Constant(0.25)),
        ]
    )
    values = draw_initial_values(model)

    assert values["hidden/kernel"].std() == pytest.approx(0.1, rel=0.02)
    assert (values["norm/gamma"] == 1).all()
    assert (values["norm/moving_variance"] == 1).all()
    assert (values[list(values)[-1]] == 0.25).all()


def test_the_seed_of_an_initializer_is_replaced():
    """Bug: a control arm of "new" values starts from those of the ticket."""
    seeded = keras.initializers.GlorotUniform(seed=3)
    model = keras.Sequential(
        [keras.Input((8,)), L.Dense(4, kernel_initializer=seeded, name="d")]
    )
    values = draw_initial_values(model)["d/kernel"]

    assert not np.array_equal(values, model.layers[0].get_weights()[0])
    assert seeded.seed == 3


class Inline(L.Layer):
    """As in many tutorials: no `get_config`, initializers in `build`."""

    def __init__(self, units, name="inline"):
        super().__init__(name=name)
        self.units = units

    def build(self, shape):
        self.w = self.add_weight(
            shape=(shape[-1], self.units),
            initializer=keras.initializers.RandomNormal(2.0, 0.1, seed=1),
            name="w",
        )

    def call(self, x):
        return x @ self.w


class FromArray(Inline):
    """A weight made from an array, which Keras cannot declare."""

    def build(self, shape):
        rng = np.random.default_rng(np.random.randint(2**31))
        size = (shape[-1], self.units)
        self.w = keras.Variable(rng.normal(2.0, 0.1, size), name="w")


class Opaque(Inline):
    """Nothing tells how it was made."""

    def __init__(self, function):
        super().__init__(3)
        self.function = function

    def get_config(self):
        raise NotImplementedError


@pytest.mark.parametrize("kind", [Inline, FromArray])
def test_layers_without_initializers_as_attributes(kind):
    model = keras.Sequential([keras.Input((8,)), kind(4)])
    before = model.get_weights()[0]
    values = [draw_initial_values(model, seed)["inline/w"] for seed in (0, 1)]

    assert not np.array_equal(*values)
    assert not np.array_equal(values[0], before)
    assert all(abs(v.mean() - 2.0) < 0.1 for v in values)


def test_a_layer_that_does_not_tell_is_refused_by_name():
    model = keras.Sequential([keras.Input((8,)), Opaque(abs)], name="m")
    with pytest.raises(ValueError) as error:
        draw_initial_values(model)

    text = str(error.value)
    assert "layer `inline` of class Opaque" in text and "`w`" in text
    assert "`w_initializer`" in text and "Received: model='m'" in text
    model.layers[0].w_initializer = "ones"
    assert (draw_initial_values(model)["inline/w"] == 1).all()


def test_frozen_layers_and_statistics_of_the_data_are_kept():
    """Bug: a pretrained base becomes noise in the control arm."""
    model = keras.Sequential(
        [
            keras.Input((4,)),
            L.Normalization(name="scale"),
            L.Dense(3, name="base"),
            L.Dense(2, name="head"),
        ]
    )
    model.get_layer("base").trainable = False
    before = model.get_weights()
    assign_initial_values(model, seed=1)

    assert list(draw_initial_values(model)) == ["head/kernel", "head/bias"]
    for one, other in zip(before[:-2], model.get_weights(), strict=False):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(before[-2], model.get_weights()[-2])


def test_drawing_leaves_the_generators_alone():
    """Bug: dropout depends on whether values were drawn before."""
    model = keras.Sequential(
        [keras.Input((8,)), Inline(4), FromArray(2, "array")]
    )
    draws = []
    for draw in (False, True):
        keras.utils.set_random_seed(1)
        if draw:
            draw_initial_values(model)
        drawn = keras.ops.convert_to_numpy(keras.random.uniform((3,)))
        draws.append((*drawn, np.random.random()))
    assert draws[0] == draws[1]
