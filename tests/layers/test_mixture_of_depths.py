import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_netopt.callbacks import ParameterScheduler
from keras_netopt.layers import MixtureOfDepths
from keras_netopt.training.gradients import compute_gradients

STEPS, WIDTH = 8, 4


def to_numpy(tensor):
    return np.array(ops.convert_to_numpy(ops.stop_gradient(tensor)))


@pytest.fixture
def sequences():
    rng = np.random.default_rng(0)
    return rng.standard_normal((3, STEPS, WIDTH)).astype("float32")


def scores_of(layer, x):
    return x @ to_numpy(layer.router.kernel)[:, 0]


@pytest.mark.parametrize("capacity", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("activation", ["sigmoid", "linear"])
def test_exactly_the_top_k_tokens_change(capacity, activation, sequences):
    block = layers.Dense(WIDTH)
    layer = MixtureOfDepths(block, capacity, router_activation=activation)
    found = to_numpy(layer(sequences))
    scores = scores_of(layer, sequences)
    mask = np.zeros((3, STEPS), bool)
    best = np.argsort(-scores, axis=1)[:, : layer.top_k]
    np.put_along_axis(mask, best, True, axis=1)
    weight = 1 / (1 + np.exp(-scores)) if activation == "sigmoid" else scores
    expected = sequences + weight[..., None] * to_numpy(block(sequences))

    assert layer.top_k == {0.1: 1, 0.5: 4, 1.0: 8}[capacity]
    np.testing.assert_array_equal(found[~mask], sequences[~mask])
    np.testing.assert_allclose(found[mask], expected[mask], atol=1e-5)


def test_rounding_errors_select_no_additional_token():
    layer = MixtureOfDepths(layers.Dense(WIDTH), 0.07)
    layer.build((None, 100, WIDTH))
    assert layer.top_k == 7  # 0.07 * 100 is 7.000000000000001.


def test_the_block_reads_tokens_in_sequence_order(sequences):
    """The block outputs positions, which increase along the sequence."""

    class Positions(layers.Layer):
        def call(self, inputs):
            return ops.zeros_like(inputs) + ops.arange(4.0)[None, :, None]

    layer = MixtureOfDepths(Positions(), 0.5, router_activation="linear")
    layer.build(sequences.shape)
    layer.router.set_weights([-np.ones((WIDTH, 1))])
    scores = scores_of(layer, sequences)
    added = (to_numpy(layer(sequences)) - sequences)[..., 0] / scores
    for row, score in zip(added, scores, strict=True):
        chosen = np.sort(np.argsort(-score)[:4])
        np.testing.assert_allclose(row[chosen], range(4), atol=1e-3)


def test_gradients_reach_router_and_block(sequences):
    layer = MixtureOfDepths(layers.Dense(WIDTH), 0.25)
    inputs = keras.Input((STEPS, WIDTH))
    model = keras.Model(inputs, layer(inputs))
    model.compile("sgd", "mse")

    for gradient in compute_gradients(
        model, sequences, np.ones_like(sequences)
    ):
        assert np.abs(gradient).max() > 0


def test_routing_is_causal_at_inference(sequences):
    layer = MixtureOfDepths(layers.Dense(WIDTH), 0.5, causal=True)
    whole = to_numpy(layer(sequences))
    changed = (whole != sequences).any(axis=-1)
    eligible = scores_of(layer, sequences) > 0
    for t in range(1, STEPS):
        changed_later = sequences.copy()
        changed_later[:, t:] = 7.0
        np.testing.assert_allclose(
            to_numpy(layer(changed_later))[:, :t], whole[:, :t], atol=1e-6
        )

    np.testing.assert_array_equal(
        changed, eligible & (np.cumsum(eligible, axis=1) <= layer.top_k)
    )


def test_the_router_learns_to_predict_the_top_k_selection(train, sequences):
    """The auxiliary loss decreases; without `causal` there is none."""
    data = np.concatenate([sequences] * 4)
    # No other loss affects the router: the block outputs zeros.
    layer = MixtureOfDepths(
        layers.Rescaling(0.0), 0.25, causal=True, aux_loss_weight=10.0
    )
    layer.build(sequences.shape)

    def aux_loss():
        layer(sequences, training=True)
        return float(to_numpy(layer.losses[0]))

    before = aux_loss()
    train(layer, data, epochs=10, optimizer=keras.optimizers.Adam(0.05))
    assert aux_loss() < before
    other = MixtureOfDepths(layers.Dense(WIDTH), 0.25, aux_loss_weight=10.0)
    other(sequences, training=True)
    assert not other.losses


def test_unknown_lengths_and_changed_shapes_are_refused(sequences):
    with pytest.raises(ValueError, match=r"`keras.Input\(\(steps, features"):
        MixtureOfDepths(layers.Dense(4))(keras.Input((None, 4)))
    with pytest.raises(ValueError, match=r"\(3, 4, 4\) and outputs of shape"):
        MixtureOfDepths(layers.Dense(5))(sequences)


def test_the_capacity_cannot_be_scheduled(sequences):
    model = keras.Sequential(
        [keras.Input((STEPS, WIDTH)), MixtureOfDepths(layers.Dense(4))]
    )
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="MixtureOfDepths.capacity is not one"):
        model.fit(
            sequences,
            sequences,
            verbose=0,
            callbacks=[ParameterScheduler("capacity", 0.5)],
        )
