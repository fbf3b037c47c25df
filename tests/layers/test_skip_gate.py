import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_netopt.layers import SkipGate
from keras_netopt.training.gradients import compute_gradients


def to_numpy(tensor):
    return np.array(ops.convert_to_numpy(ops.stop_gradient(tensor)))


def by_first():
    """A gate that is open if the first feature is above 0."""
    gate = layers.Dense(1, use_bias=False, name="gate")
    gate.build((None, 4))
    gate.set_weights([np.array([[100.0], [0.0], [0.0], [0.0]])])
    return gate


@pytest.mark.parametrize("inference", ["mask", "cond"])
@pytest.mark.parametrize("residual", [True, False])
def test_samples_run_the_block_or_are_unchanged(inference, residual, x):
    block = layers.Dense(4)
    layer = SkipGate(block, by_first(), inference=inference, residual=residual)
    whole = to_numpy(block(x)) + (x if residual else 0)
    expected = np.where(x[:, :1] > 0, whole, x)

    assert 0 < (x[:, 0] > 0).mean() < 1
    np.testing.assert_allclose(to_numpy(layer(x)), expected, atol=1e-6)
    skipped = x[:, 0] <= 0
    np.testing.assert_array_equal(to_numpy(layer(x))[skipped], x[skipped])
    for one in (x[skipped][:1], x[~skipped][:1]):
        found = to_numpy(layer(one))
        np.testing.assert_allclose(
            found, expected[(x == one).all(axis=1)], atol=1e-6
        )


def test_the_gate_is_binary_and_has_a_gradient(x):
    layer = SkipGate(layers.Dense(4), cost_weight=0.0, name="gated")
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Dense(1)(layer(inputs)))
    model.compile("sgd", "mse")
    found = compute_gradients(model, x, np.ones((16, 1)))

    outputs, added = to_numpy(layer(x)), to_numpy(layer.block(x))
    gate = (outputs != x).any(axis=1, keepdims=True)
    np.testing.assert_allclose(outputs, x + gate * added, atol=1e-6)
    assert all(np.abs(g).max() > 0 for g in found[: len(layer.weights) - 3])


def test_the_loss_moves_the_gate_to_the_target_rate(train):
    """No other loss affects the gate: the block outputs zeros."""
    rng = np.random.default_rng(1)
    data = rng.standard_normal((256, 4)).astype("float32")
    for target_rate in (0.25, 0.75):
        keras.utils.set_random_seed(2)
        layer = SkipGate(layers.Rescaling(0.0), target_rate=target_rate)
        optimizer = keras.optimizers.Adam(0.02)
        steps = np.concatenate([data] * 60)
        train(layer, steps, optimizer=optimizer, batch_size=256)
        share = (to_numpy(layer.gate(data)) > 0).mean()

        assert abs(share - target_rate) < 0.05
        assert abs(float(layer.execution_rate.value) - target_rate) < 0.05


def test_the_target_rate_loss_uses_the_batch(x):
    layer = SkipGate(
        layers.Identity(), by_first(), target_rate=0.9, cost_weight=3.0
    )
    layer(x, training=True)
    share = (x[:, 0] > 0).mean()

    assert float(to_numpy(layer.losses[0])) == pytest.approx(
        3.0 * (share - 0.9) ** 2, rel=1e-5
    )
    assert float(layer.execution_rate.value) == pytest.approx(0.9 + 0.1 * share)


@pytest.mark.parametrize(
    "shape", [(4,), (6, 4), (5, 5, 4)], ids=["vector", "sequence", "image"]
)
def test_the_default_gate_supports_vectors_sequences_images(shape):
    layer = SkipGate(layers.Dense(4))
    data = np.ones((2, *shape), "float32")

    assert to_numpy(layer(data)).shape == data.shape
    assert to_numpy(layer.gate(data)).shape == (2, 1)


def test_the_temperature_does_not_change_the_outputs(x):
    layer = SkipGate(layers.Dense(4), by_first())
    before = to_numpy(layer(x))
    layer.temperature.assign(50.0)

    np.testing.assert_array_equal(to_numpy(layer(x)), before)


def test_invalid_gates_are_refused(x):
    with pytest.raises(ValueError, match="must output one logit per sample"):
        SkipGate(layers.Dense(4), layers.Dense(2))(x)
    with pytest.raises(ValueError, match="with inputs of rank 5"):
        SkipGate(layers.Identity())(np.ones((1, 2, 2, 2, 4), "float32"))
    with pytest.raises(ValueError, match=r"\(16, 4\) and outputs of shape"):
        SkipGate(layers.Dense(5))(x)
