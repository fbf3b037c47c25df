import keras
import numpy as np
import pytest
from search.supernet.elastic_net import norm, randomize, to_numpy

from keras_netopt.layers import ElasticDense
from keras_netopt.search.supernet.searchable_layer import find_decisions


def test_every_width_equals_the_plain_layers(x):
    for arguments in ({}, {"normalization": norm(), "activation": "selu"}):
        layer = ElasticDense(5, (1, 3, 5), name="d", **arguments)
        layer(x)
        randomize(layer)
        for index, count in enumerate((1, 3, 5)):
            layer.decisions()[0].fix(index)
            found = to_numpy(layer(x))
            expected = x
            for plain in layer.chosen_layer({"d": index}):
                expected = plain(expected)

            np.testing.assert_allclose(
                found[:, :count], to_numpy(expected)[:, :count], atol=1e-5
            )
            assert (found[:, count:] == 0).all()


def test_a_new_layer_computes_its_largest_width(x):
    layer = ElasticDense(4, (2, 4), kernel_initializer="ones")

    assert (to_numpy(layer(x, training=True)) != 0).all()
    (decision,) = layer.decisions()
    assert decision.name == layer.name and decision.options == (2, 4)


def test_layers_share_a_width_in_every_step(x):
    keras.utils.set_random_seed(3)
    stream = {"widths": (1, 2, 4), "width": "stream", "sampling": "uniform"}
    inputs = keras.Input((4,))
    first = ElasticDense(4, name="a", kernel_initializer="ones", **stream)
    second = ElasticDense(4, name="b", kernel_initializer="ones", **stream)
    y = first(keras.layers.Dense(4)(inputs))
    model = keras.Model(inputs, [y, second(y)])
    decision = find_decisions(model)["stream"]
    seen = []
    for _ in range(12):
        widths = [
            int((to_numpy(y) != 0).any(axis=0).sum())
            for y in model(x, training=True)
        ]
        assert len(set(widths)) == 1
        seen.append(widths[0])
    assert set(seen) == {1, 2, 4}
    decision.fix(0)
    assert [(to_numpy(y) != 0).any(axis=0).sum() for y in model(x)] == [1, 1]
    decision.set_mode("uniform")
    decision.enable([1])
    widths = [(to_numpy(y) != 0).any(0).sum() for y in model(x, training=True)]
    assert widths == [2, 2]


def test_layers_that_share_a_width_have_equal_options():
    model = keras.Sequential(
        [
            keras.Input((4,)),
            ElasticDense(4, (2, 4), width="stream"),
            ElasticDense(4, (3, 4), width="stream"),
        ]
    )
    with pytest.raises(ValueError, match=r"same options. Received: \[2, 4\]"):
        find_decisions(model)


def test_the_normalization_is_a_copy():
    one = norm()
    first, second = (ElasticDense(4, normalization=one) for _ in range(2))

    assert first.normalization is not one
    assert first.normalization is not second.normalization


def test_masked_time_steps_pass_through():
    inputs = keras.layers.Masking()(np.ones((1, 2, 3), "float32"))
    outputs = ElasticDense(4, (2, 4))(inputs)

    assert outputs.shape == (1, 2, 4)
