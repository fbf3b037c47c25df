"""Extraction of elastic layers: plain, smaller, and exact."""

import keras
import numpy as np
import pytest
from search.supernet import elastic_net
from search.supernet.elastic_net import (
    conv,
    cut,
    network,
    norm,
    randomize,
    to_numpy,
)

from keras_netopt import layers
from keras_netopt.cost import summarize
from keras_netopt.search import extract
from keras_netopt.search.supernet.architecture import (
    sample_architectures,
    set_architecture,
)
from keras_netopt.search.supernet.elastic_cost import ElasticCost
from keras_netopt.search.supernet.searchable_layer import find_decisions


@pytest.fixture(scope="module")
def net():
    model = network()
    randomize(model)
    return model


def test_every_architecture_equals_its_plain_network(net):
    x, _ = elastic_net.data()
    costs = ElasticCost(net)
    for architecture in sample_architectures(net, 6, seed=1):
        set_architecture(net, architecture)
        before = [to_numpy(v) for v in net.weights]
        expected = to_numpy(net(x))
        plain = cut(net, architecture)

        np.testing.assert_allclose(to_numpy(plain(x)), expected, atol=1e-5)
        assert costs.params(architecture) == plain.count_params()
        for old, new in zip(before, net.weights, strict=True):
            np.testing.assert_array_equal(old, to_numpy(new))


def test_the_plain_network_has_the_chosen_shapes(net):
    smallest = dict.fromkeys(sample_architectures(net, 1)[0], 0)
    plain = cut(net, smallest)

    assert plain.get_layer("stem").kernel.shape == (1, 1, 3, 2)
    only = plain.get_layer("stack")  # It has the name of the stack.
    assert only.get_layer("wide0").kernel.shape == (3, 3, 2, 2)
    assert plain.get_layer("head").kernel.shape == (8, 3)
    both = cut(net, {**smallest, "stack": 1})
    assert [layer.name for layer in both.layers][4:6] == ["b0", "b1"]
    modules = {type(layer).__module__ for layer in plain._flatten_layers()}
    assert all(name.startswith("keras.") for name in modules)


def test_a_supernet_is_saved_and_read_as_it_is(net, tmp_path):
    """Each layer of a shared width saves its own copy of the decision."""
    x, _ = elastic_net.data()
    set_architecture(net, dict.fromkeys(find_decisions(net), 0))
    for decision in find_decisions(net).values():
        decision.set_mode("uniform")
    net.save(tmp_path / "net.keras")
    again = keras.models.load_model(tmp_path / "net.keras", compile=False)

    assert [v.path for v in again.weights] == [v.path for v in net.weights]
    np.testing.assert_array_equal(to_numpy(again(x)), to_numpy(net(x)))
    pairs = [
        [to_numpy(m(x, training=True)) for m in (net, again)] for _ in range(3)
    ]
    for one, other in pairs:
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_recalibrated_statistics_are_those_of_the_batch():
    inputs = keras.Input((3,))
    layer = layers.ElasticDense(4, (2, 4), normalization=norm(), name="d")
    model = keras.Model(inputs, keras.layers.Dense(2)(layer(inputs)))
    x = np.random.default_rng(0).normal(size=(32, 3)).astype("float32")
    small = extract(model, {"d": 0}, calibration_data=x)
    features = to_numpy(small.get_layer("d")(x))
    found = small.get_layer("d_normalization")

    for average, expected in [
        (found.moving_mean, features.mean(axis=0)),
        (found.moving_variance, features.var(axis=0)),
    ]:
        np.testing.assert_allclose(to_numpy(average), expected, atol=1e-4)


def test_costs_equal_those_of_the_plain_network(net):
    costs = ElasticCost(net)
    for architecture in sample_architectures(net, 2, seed=5):
        assert (
            costs.macs(architecture) == summarize(cut(net, architecture)).macs
        )


def test_units_stay_where_another_layer_needs_them():
    """A stream that a plain layer writes to keeps its width."""
    inputs = keras.Input((4, 4, 3))
    x = conv(4, 3, (2, 4), name="narrow")(inputs)
    y = keras.layers.Conv2D(4, 1, bias_initializer="ones", name="wide")(inputs)
    outputs = keras.layers.Flatten()(keras.layers.Add()([x, y]))
    model = keras.Model(inputs, keras.layers.Dense(2)(outputs))
    set_architecture(model, {"narrow": 0})
    data, _ = elastic_net.data()
    plain = cut(model, {"narrow": 0})

    assert plain.get_layer("narrow").filters == 4
    np.testing.assert_allclose(
        to_numpy(plain(data)), to_numpy(model(data)), atol=1e-5
    )


@pytest.mark.parametrize(
    "after",
    [
        keras.layers.BatchNormalization(beta_initializer="ones", name="after"),
        keras.layers.Activation("sigmoid", name="after"),
        keras.layers.Rescaling(1.0, 0.5, name="after"),
    ],
)
def test_layers_that_revive_masked_units_are_refused(after):
    """The network without these units would compute something else."""
    model = keras.Sequential(
        [
            keras.Input((3,)),
            layers.ElasticDense(4, (2, 4), name="d"),
            after,
            keras.layers.Dense(2),
        ]
    )
    with pytest.raises(ValueError, match="Layer 'after' turns the zeros"):
        cut(model, {"d": 0})
    assert cut(model, {"d": 1}).count_params() == model.count_params() - 6


def test_an_activation_of_masked_units_that_stay_is_refused():
    layer = layers.ElasticDense(4, (2, 4), activation="sigmoid", name="d")
    model = keras.Sequential([keras.Input((3,)), layer])

    with pytest.raises(ValueError, match="units of 'd' cannot be removed"):
        cut(model, {"d": 0})


def test_elastic_layers_are_blocks_of_a_residual_stack():
    """Their masked units stay: the stream has the width of its input."""
    blocks = [
        keras.Sequential(
            [
                layers.ElasticDense(5, (2, 5), name=f"inner{k}"),
                keras.layers.Dense(4),
            ],
            name=f"block{k}",
        )
        for k in range(2)
    ]
    blocks.append(layers.ElasticDense(4, (1, 4), name="last"))
    stack = layers.ElasticDepth(blocks, (1, 3), residual=True, name="stack")
    model = keras.Sequential([keras.Input((4,)), stack, keras.layers.Dense(2)])
    randomize(model)
    x = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
    costs = ElasticCost(model)
    for architecture in (
        {"stack": 0, "inner0": 0, "inner1": 1, "last": 0},
        {"stack": 1, "inner0": 1, "inner1": 0, "last": 0},
    ):
        set_architecture(model, architecture)
        plain = cut(model, architecture)

        np.testing.assert_allclose(
            to_numpy(plain(x)), to_numpy(model(x)), atol=1e-5
        )
        assert costs.params(architecture) == plain.count_params()
        assert costs.macs(architecture) == summarize(plain).macs


def test_units_that_are_outputs_stay():
    model = keras.Sequential(
        [keras.Input((3,)), layers.ElasticDense(4, (2, 4), name="d")]
    )
    assert cut(model, {"d": 0}).output_shape == (None, 4)


@pytest.mark.backend("tensorflow")
def test_the_plain_network_exports_to_litert(net, tmp_path):
    from keras_netopt.export import to_litert

    smallest = dict.fromkeys(sample_architectures(net, 1)[0], 0)
    report = to_litert(cut(net, smallest), tmp_path / "small.tflite")
    assert report.verification is not None
    assert report.max_abs_diff < 1e-5
