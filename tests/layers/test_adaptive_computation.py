import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_netopt.cost import summarize
from keras_netopt.layers import AdaptiveComputation


def to_numpy(tensor):
    return np.array(ops.convert_to_numpy(ops.stop_gradient(tensor)))


def make(cell=None, bias=None, **arguments):
    cell = cell or layers.Dense(4, activation="tanh")
    layer = AdaptiveComputation(cell, **{"max_steps": 5, **arguments})
    layer.build((None, 4))
    rng = np.random.default_rng(0)
    kernel = rng.standard_normal((4, 1))
    bias = np.array([-1.0 if bias is None else bias])
    layer.halting.set_weights([kernel, bias])
    return layer


def test_the_weights_are_those_of_the_paper(x):
    layer = make()
    outputs, weights, steps, remainder = map(to_numpy, layer._unroll(x))
    kernel, bias = layer.halting.get_weights()
    state, expected, ns, rs = x, np.zeros_like(x), [], []
    states, h = [], []
    for _ in range(5):
        state = to_numpy(layer.cell(state))
        states.append(state)
        h.append(1 / (1 + np.exp(-(state @ kernel + bias)[:, 0])))
    for i in range(len(x)):
        spent, n = 0.0, 0
        while n < 4 and spent + h[n][i] < 0.99:
            expected[i] += h[n][i] * states[n][i]
            spent, n = spent + h[n][i], n + 1
        expected[i] += (1 - spent) * states[n][i]
        ns.append(n + 1)
        rs.append(1 - spent)

    assert len(set(ns)) > 1
    np.testing.assert_array_equal(steps, ns)
    np.testing.assert_allclose(remainder, rs, atol=1e-5)
    np.testing.assert_allclose(outputs, expected, atol=1e-5)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, atol=1e-6)
    assert ((steps >= 1) & (steps <= 5)).all()


def test_the_loop_gives_what_the_unrolled_steps_give(x):
    for data in (x, np.stack([x, x + 1.0], axis=1)):
        layer = AdaptiveComputation(layers.Dense(4, activation="tanh"), 5)
        found = to_numpy(layer(data))
        np.testing.assert_allclose(
            found, to_numpy(layer(data, training=True)), atol=1e-6
        )


def test_a_high_halting_bias_makes_one_step(x):
    layer = make(bias=20.0)
    _, _, steps, _ = layer._unroll(x)

    np.testing.assert_array_equal(to_numpy(steps), 1.0)
    np.testing.assert_allclose(
        to_numpy(layer(x)), to_numpy(layer.cell(x)), atol=1e-6
    )


def test_steps_cost_what_they_are_told_to(x):
    for price in (0.0, 0.5):
        layer = make(ponder_cost=price)
        _, _, steps, remainder = map(to_numpy, layer._unroll(x))
        layer(x, training=True)
        paid = float(to_numpy(layer.losses[0]))
        assert paid == pytest.approx(price * (steps + remainder).mean())
    assert float(layer.mean_steps.value) == pytest.approx(
        0.9 * 5 + 0.1 * steps.mean()
    )


def test_a_dear_step_is_made_less_often(train, x):
    def steps(price):
        keras.utils.set_random_seed(1)
        layer = make(ponder_cost=price, max_steps=3)
        optimizer = keras.optimizers.Adam(0.05)
        steps = np.concatenate([x] * 20)
        train(layer, steps, optimizer=optimizer, batch_size=16)
        return float(to_numpy(layer._unroll(x)[2]).mean())

    assert steps(1.0) < steps(0.0)


def test_gradients_reach_cell_and_halting_unit(x):
    inputs = keras.Input((4,))
    layer = make()
    model = keras.Model(inputs, layer(inputs))
    model.compile("sgd", "mse")
    before = [to_numpy(v) for v in model.trainable_variables]
    model.train_on_batch(x, np.ones_like(x))

    assert len(before) == 4
    for old, variable in zip(before, model.trainable_variables, strict=True):
        assert not np.array_equal(old, to_numpy(variable))


def test_expected_steps_are_counted(x):
    inputs = keras.Input((4,))
    layer = make()
    model = keras.Model(inputs, layer(inputs))
    layer.mean_steps.assign(2.0)

    assert summarize(model).macs == 2 * (16 + 4)
    assert summarize(model, training=True).macs == 5 * (16 + 4)
    assert not summarize(model).unknown


def test_losses_inside_the_loop_do_no_harm(x):
    cell = layers.Dense(4, activity_regularizer="l2")
    inputs = keras.Input((4,))
    model = keras.Model(inputs, make(cell)(inputs))
    model.compile("sgd", "mse")
    model.fit(x, x, verbose=0)

    assert np.isfinite(model.evaluate(x, x, verbose=0))


def test_pondering_halts_where_the_unrolled_steps_say(x):
    for data in (x, np.stack([x, x[::-1]], axis=1)):
        layer = make(bias=0.0, mode="ponder", halt_at=0.6)
        states, p = map(to_numpy, layer._all_states(data))
        n = (p.cumsum(1) >= 0.6).argmax(1)

        assert len(set(n)) > 1
        np.testing.assert_allclose(p.sum(1), 1.0, atol=1e-6)
        found = to_numpy(layer(data))
        expected = states[np.arange(len(x)), n]
        np.testing.assert_allclose(found, expected, atol=1e-6)
        mean = np.einsum("bn,bn...->b...", p, states)
        found = to_numpy(layer(data, training=True))
        np.testing.assert_allclose(found, mean, atol=1e-5)
        steps = p @ np.arange(1.0, 6.0)
        np.testing.assert_allclose(
            to_numpy(layer.count_steps(data)), steps, rtol=1e-5
        )
        assert float(layer.mean_steps.value) == pytest.approx(
            0.9 * 5 + 0.1 * steps.mean(), rel=1e-5
        )


def test_pondering_begins_at_the_prior():
    layer = AdaptiveComputation(layers.Dense(4), mode="ponder", prior=0.25)
    layer.build((None, 4))
    h = 1 / (1 + np.exp(-layer.halting.get_weights()[1]))

    assert h == pytest.approx(0.25)
    assert set(layer.netopt_schedulable) == {"kl_weight"}


@pytest.mark.parametrize(
    ("mode", "name", "value"),
    [
        ("act", "prior", 0.2),
        ("act", "halt_at", "sample"),
        ("ponder", "epsilon", 0.01),
        ("ponder", "ponder_cost", 0.0),
        ("ponder", "prior", 0.0),
        ("ponder", "prior", 1.0),
        ("ponder", "kl_weight", -0.1),
        ("ponder", "halt_at", 0.0),
        ("ponder", "halt_at", "median"),
        ("ponder", "seed", -1),
    ],
)
def test_arguments_act_or_are_refused(mode, name, value):
    with pytest.raises(ValueError, match=f"Argument `{name}` must be"):
        AdaptiveComputation(layers.Dense(4), mode=mode, **{name: value})


def test_a_cell_that_changes_the_shape_is_refused(x):
    with pytest.raises(ValueError, match="Argument `cell` of AdaptiveComp"):
        AdaptiveComputation(layers.Dense(5))(x)
