"""Scores of channels against direct computations on small models."""

import keras
import numpy as np
import pytest

from keras_netopt.surgery import ChannelGraph
from keras_netopt.surgery.cutting.channel_scores import (
    NAMES,
    NonFiniteScores,
    normalize_scores,
    score_groups,
)
from keras_netopt.training.gradients import compute_gradients

L = keras.layers


@pytest.fixture
def net():
    """Two convolutions coupled by an addition, then a dense layer."""
    inputs = keras.Input((6, 6, 2))
    one = L.Conv2D(4, 3, padding="same", name="one")(inputs)
    two = L.Conv2D(4, 1, use_bias=False, name="two")(inputs)
    norm = L.BatchNormalization(momentum=0.9, name="norm")(two)
    x = L.GlobalAveragePooling2D()(L.ReLU()(L.Add()([one, norm])))
    outputs = L.Dense(3, name="out")(L.Dense(5, name="hidden")(x))
    model = keras.Model(inputs, outputs)
    rng = np.random.default_rng(1)
    model.set_weights(
        [np.abs(rng.normal(size=w.shape)) + 0.1 for w in model.get_weights()]
    )
    model.compile("sgd", "mse")
    return model


def weights(model, layer):
    return model.get_layer(layer).get_weights()


def of(model, layer, score, **options):
    graph = ChannelGraph(model)
    return score_groups(graph, score, **options)[graph.units(layer)]


@pytest.mark.parametrize("name", ["magnitude"])
def test_magnitude_sums_all_weights_that_produce_a_channel(net, name):
    (kernel, bias), (other,) = weights(net, "one"), weights(net, "two")
    wanted = np.abs(kernel).sum((0, 1, 2)) + np.abs(bias)
    wanted += np.abs(other).sum((0, 1, 2))

    np.testing.assert_allclose(of(net, "one", name), wanted, rtol=1e-6)
    np.testing.assert_allclose(of(net, "two", name), wanted, rtol=1e-6)


def test_l2_is_the_norm_of_the_whole_group(net):
    (kernel, bias), (other,) = weights(net, "one"), weights(net, "two")
    wanted = (kernel**2).sum((0, 1, 2)) + bias**2 + (other**2).sum((0, 1, 2))

    np.testing.assert_allclose(of(net, "one", "l2"), np.sqrt(wanted), rtol=1e-6)


def test_bn_scale_reads_gamma_and_falls_back_to_magnitude(net):
    gamma = weights(net, "norm")[0]

    np.testing.assert_allclose(of(net, "one", "bn_scale"), gamma, rtol=1e-6)
    np.testing.assert_allclose(
        of(net, "hidden", "bn_scale"), of(net, "hidden", "magnitude"), rtol=1e-6
    )


def test_taylor_is_weight_times_gradient(net):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8, 6, 6, 2)).astype("float32")
    y = rng.normal(size=(8, 3)).astype("float32")
    layer = net.get_layer("hidden")
    slopes = compute_gradients(net, x, y, variables=[layer.kernel, layer.bias])
    kernel, bias = layer.get_weights()
    wanted = np.abs(kernel * slopes[0]).sum(0) + np.abs(bias * slopes[1])

    found = of(net, "hidden", "taylor", data=(x, y))
    np.testing.assert_allclose(found, wanted, rtol=1e-4)
    # Gradients of the opposite sign, which must not cancel.
    other = 2 * np.array(keras.ops.convert_to_numpy(net(x))) - y
    twice = of(net, "hidden", "taylor", data=[(x, y), (x, other)])
    np.testing.assert_allclose(twice, 2 * wanted, rtol=1e-4)


def test_fpgm_is_the_distance_to_the_others(net):
    kernel, _ = weights(net, "hidden")
    gaps = np.linalg.norm(kernel.T[:, None] - kernel.T[None], axis=-1)

    np.testing.assert_allclose(
        of(net, "hidden", "fpgm"), gaps.sum(1), rtol=1e-4
    )


def test_random_repeats_with_its_seed(net):
    first = of(net, "hidden", "random", seed=3)

    np.testing.assert_array_equal(first, of(net, "hidden", "random", seed=3))
    assert (first != of(net, "hidden", "random", seed=4)).all()


def test_gates_of_a_recurrent_unit_are_summed():
    model = keras.Sequential(
        [keras.Input((5, 3)), L.LSTM(4, name="lstm"), L.Dense(2)]
    )
    kernel, recurrent, bias = weights(model, "lstm")
    parts = [
        np.abs(w).sum(tuple(range(w.ndim - 1))).reshape(4, 4).sum(0)
        for w in (kernel, recurrent, bias)
    ]

    np.testing.assert_allclose(
        of(model, "lstm", "magnitude"), np.sum(parts, axis=0), rtol=1e-5
    )


def test_a_callable_is_called_for_each_variable(net):
    def count(variable):
        return np.ones(variable.shape)

    assert of(net, "hidden", count).tolist() == [5.0] * 5
    assert of(net, "one", count).tolist() == [2 * 9 + 1 + 2] * 4


def test_normalized_scores_have_mean_one_in_each_set(net):
    graph = ChannelGraph(net)
    found = normalize_scores(graph, score_groups(graph, "magnitude"))

    for layer in ("one", "hidden"):
        assert found[graph.units(layer)].mean() == pytest.approx(1.0)


def test_negative_scores_keep_their_order():
    model = keras.Sequential([keras.Input((2,)), L.Dense(3)])
    graph = ChannelGraph(model)
    raw = -np.arange(graph.group_count, dtype=float)

    order = np.argsort(
        normalize_scores(graph, raw)[graph.units(model.layers[0])]
    )
    assert order.tolist() == [2, 1, 0]


def test_unknown_scores_raise(net):
    with pytest.raises(ValueError) as error:
        score_groups(ChannelGraph(net), "best")

    names = ", ".join(repr(name) for name in NAMES)
    assert str(error.value) == (
        f"Argument `score` must be one of {names}, or a callable(variable). "
        "Received: score='best'"
    )


def test_taylor_without_data_raises(net):
    with pytest.raises(ValueError) as error:
        score_groups(ChannelGraph(net), "taylor")

    assert str(error.value) == (
        "Argument `calibration_data` must be given for score='taylor', which "
        "needs gradients: pass calibration_data=(x, y). "
        "Received: calibration_data=None"
    )


def test_a_score_of_another_shape_raises(net):
    hidden = net.get_layer("hidden").kernel

    def wrong(variable):
        return np.ones((5, 4) if variable is hidden else variable.shape)

    with pytest.raises(ValueError) as error:
        score_groups(ChannelGraph(net), wrong)

    assert str(error.value) == (
        "Argument `score` must return an array of shape (4, 5) for "
        "`hidden/kernel`. Received: shape=(5, 4)"
    )


@pytest.mark.parametrize("score", ["magnitude", "l2", "bn_scale", "fpgm"])
def test_non_finite_weights_raise(net, score):
    for layer in ("hidden", "norm"):
        values = weights(net, layer)
        values[0] = np.full_like(values[0], np.nan)
        net.get_layer(layer).set_weights(values)

    with pytest.raises(NonFiniteScores, match="must be finite"):
        score_groups(ChannelGraph(net), score)
