import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_netopt.callbacks import ParameterScheduler
from keras_netopt.layers import MixtureOfDepths
from keras_netopt.training.gradients import gradients

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
@pytest.mark.parametrize("router", ["sigmoid", "linear"])
def test_exactly_the_best_tokens_change(capacity, router, sequences):
    block = layers.Dense(WIDTH)
    layer = MixtureOfDepths(block, capacity, router_activation=router)
    found = to_numpy(layer(sequences))
    scores = scores_of(layer, sequences)
    hit = np.zeros((3, STEPS), bool)
    best = np.argsort(-scores, axis=1)[:, : layer.top_k]
    np.put_along_axis(hit, best, True, axis=1)
    weight = 1 / (1 + np.exp(-scores)) if router == "sigmoid" else scores
    expected = sequences + weight[..., None] * to_numpy(block(sequences))

    assert layer.top_k == {0.1: 1, 0.5: 4, 1.0: 8}[capacity]
    np.testing.assert_array_equal(found[~hit], sequences[~hit])
    np.testing.assert_allclose(found[hit], expected[hit], atol=1e-5)


def test_the_block_sees_its_tokens_in_their_order(sequences):
    """A block that adds its places: they grow with the time."""

    class Places(layers.Layer):
        def call(self, inputs):
            return ops.zeros_like(inputs) + ops.arange(4.0)[None, :, None]

    layer = MixtureOfDepths(Places(), 0.5, router_activation="linear")
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

    for gradient in gradients(model, sequences, np.ones_like(sequences)):
        assert np.abs(gradient).max() > 0


def test_causal_inference_never_looks_ahead(sequences):
    layer = MixtureOfDepths(layers.Dense(WIDTH), 0.5, causal=True)
    whole = to_numpy(layer(sequences))
    changed = (whole != sequences).any(axis=-1)
    wanted = scores_of(layer, sequences) > 0
    for t in range(1, STEPS):
        cut = sequences.copy()
        cut[:, t:] = 7.0
        np.testing.assert_allclose(
            to_numpy(layer(cut))[:, :t], whole[:, :t], atol=1e-6
        )

    np.testing.assert_array_equal(
        changed, wanted & (np.cumsum(wanted, axis=1) <= layer.top_k)
    )


def test_the_router_learns_to_foresee_its_choice(train, sequences):
    """The auxiliary loss falls; without `causal` there is none."""
    data = np.concatenate([sequences] * 4)
    # Nothing else pulls at the router: the block adds nothing.
    layer = MixtureOfDepths(
        layers.Rescaling(0.0), 0.25, causal=True, aux_loss_weight=10.0
    )
    layer.build(sequences.shape)
    tensor = ops.convert_to_tensor(sequences)

    def agreement():
        scores = scores_of(layer, sequences)
        best = np.argsort(-scores, axis=1)[:, :2]
        hit = np.zeros((3, STEPS))
        np.put_along_axis(hit, best, 1.0, axis=1)
        hit = ops.convert_to_tensor(hit, "float32")
        return float(to_numpy(layer._aux_loss(tensor, hit)))

    before = agreement()
    train(layer, data, epochs=10, optimizer=keras.optimizers.Adam(0.05))
    assert agreement() < before
    other = MixtureOfDepths(layers.Dense(WIDTH), 0.25, aux_loss_weight=10.0)
    other(sequences, training=True)
    assert not other.losses


def test_what_has_no_fixed_shape_is_refused(sequences):
    with pytest.raises(ValueError, match=r"`keras.Input\(\(steps, features"):
        MixtureOfDepths(layers.Dense(4))(keras.Input((None, 4)))
    with pytest.raises(ValueError, match=r"\(3, 4, 4\) and outputs of shape"):
        MixtureOfDepths(layers.Dense(5))(sequences)


def test_the_capacity_is_no_dial(sequences):
    model = keras.Sequential(
        [keras.Input((STEPS, WIDTH)), MixtureOfDepths(layers.Dense(4))]
    )
    model.compile("sgd", "mse")
    with pytest.raises(
        ValueError, match="`capacity` of MixtureOfDepths is none"
    ):
        model.fit(
            sequences,
            sequences,
            verbose=0,
            callbacks=[ParameterScheduler("capacity", 0.5)],
        )
