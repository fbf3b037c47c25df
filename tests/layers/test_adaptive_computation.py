import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_netopt.cost import summarize
from keras_netopt.layers import AdaptiveComputation


def to_numpy(tensor):
    return np.array(ops.convert_to_numpy(ops.stop_gradient(tensor)))


def make(cell=None, bias=None, **arguments):
    dense = layers.Dense(4, activation="tanh")
    layer = AdaptiveComputation(cell or dense, **{"max_steps": 5, **arguments})
    layer.build((None, 4))
    rng = np.random.default_rng(0)
    kernel = rng.standard_normal((4, 1))
    if cell is None:  # Samples halt after different numbers of steps.
        dense.set_weights([3 * rng.standard_normal((4, 4)), np.zeros(4)])
    bias = np.array([-1.0 if bias is None else bias])
    layer.halting.set_weights([kernel, bias])
    return layer


def test_step_weights_match_the_paper(x):
    layer = make(ponder_cost=1.0)
    outputs = to_numpy(layer(x, training=True))
    ponder_loss = float(to_numpy(layer.losses[0]))
    steps = to_numpy(layer.count_steps(x))
    kernel, bias = layer.halting.get_weights()
    state, expected, ns, rs = x, np.zeros_like(x), [], []
    states, h = [], []
    for _ in range(5):
        state = to_numpy(layer.cell(state))
        states.append(state)
        h.append(1 / (1 + np.exp(-(state @ kernel + bias)[:, 0])))
    for i in range(len(x)):
        cumulative, n = 0.0, 0
        while n < 4 and cumulative + h[n][i] < 0.99:
            expected[i] += h[n][i] * states[n][i]
            cumulative, n = cumulative + h[n][i], n + 1
        expected[i] += (1 - cumulative) * states[n][i]
        ns.append(n + 1)
        rs.append(1 - cumulative)

    assert len(set(ns)) > 1
    np.testing.assert_array_equal(steps, ns)
    assert ponder_loss == pytest.approx(np.mean(ns) + np.mean(rs), abs=1e-5)
    np.testing.assert_allclose(outputs, expected, atol=1e-5)
    assert ((steps >= 1) & (steps <= 5)).all()


def test_the_loop_equals_the_unrolled_steps(x):
    for data in (x, np.stack([x, x + 1.0], axis=1)):
        layer = AdaptiveComputation(layers.Dense(4, activation="tanh"), 5)
        found = to_numpy(layer(data))
        np.testing.assert_allclose(
            found, to_numpy(layer(data, training=True)), atol=1e-6
        )


def test_a_high_halting_bias_gives_one_step(x):
    layer = make(bias=20.0)

    np.testing.assert_array_equal(to_numpy(layer.count_steps(x)), 1.0)
    np.testing.assert_allclose(
        to_numpy(layer(x)), to_numpy(layer.cell(x)), atol=1e-6
    )


def test_the_ponder_cost_is_added_to_the_loss(x):
    losses = []
    for cost in (0.0, 0.5, 1.0):
        keras.utils.set_random_seed(1)
        layer = make(ponder_cost=cost)
        layer(x, training=True)
        losses.append(float(to_numpy(layer.losses[0])))
    steps = to_numpy(layer.count_steps(x))
    assert losses[2] > steps.mean()  # The remainder is added.
    assert losses == pytest.approx([0.0, 0.5 * losses[2], losses[2]])
    assert float(layer.mean_steps.value) == pytest.approx(
        0.9 * 5 + 0.1 * steps.mean()
    )


def test_a_higher_ponder_cost_gives_fewer_steps(train, x):
    layer = make(ponder_cost=0.0, max_steps=3)
    data = np.concatenate([x] * 20)
    optimizer = keras.optimizers.Adam(0.05)
    model, _ = train(layer, data, optimizer=optimizer, batch_size=16)

    def steps():
        return float(to_numpy(layer.count_steps(x)).mean())

    free = steps()
    layer.ponder_cost.assign(1.0)
    model.fit(data, np.ones((320, 1)), batch_size=16, verbose=0)
    assert steps() < free


def test_gradients_reach_cell_and_halting_unit(x):
    inputs = keras.Input((4,))
    layer = make(max_steps=2)
    model = keras.Model(inputs, layer(inputs))
    model.compile("sgd", "mse", run_eagerly=True)
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


def test_losses_inside_the_loop_are_ignored(x):
    cell = layers.Dense(4, activity_regularizer="l2")
    inputs = keras.Input((4,))
    model = keras.Model(inputs, make(cell, max_steps=2)(inputs))
    model.compile("sgd", "mse")
    model.fit(x, x, verbose=0)

    assert np.isfinite(model.evaluate(x, x, verbose=0))


def test_the_ponder_loop_equals_the_unrolled_steps(x):
    for data in (x, np.stack([x, x[::-1]], axis=1)):
        layer = make(bias=0.0, mode="ponder", halt_at=0.6)
        with layer.netopt_all_steps() as record:
            states = to_numpy(layer(data, training=True))
        states = states.reshape(len(x), 5, *data.shape[1:])
        p = to_numpy(record.p)
        layer.mean_steps.assign(5.0)  # As before this call.
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


def test_the_initial_halting_probability_is_the_prior():
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
def test_arguments_of_the_other_mode_are_refused(mode, name, value):
    with pytest.raises(ValueError, match=f"Argument `{name}` must be"):
        AdaptiveComputation(layers.Dense(4), mode=mode, **{name: value})


def test_a_cell_that_changes_the_shape_is_refused(x):
    with pytest.raises(ValueError, match="Argument `cell` of AdaptiveComp"):
        AdaptiveComputation(layers.Dense(5))(x)
