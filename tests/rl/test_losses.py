"""Losses of agents, against gradients computed by hand."""

import keras
import numpy as np
from keras import ops

from keras_netopt.rl import PolicyGradientLoss, QLoss
from keras_netopt.training.gradients import differentiate


def gradient(loss, y, outputs, weight=None):
    def value(values):
        return loss(y, values[0], sample_weight=weight)

    (found,) = differentiate(value, [ops.convert_to_tensor(outputs)])
    return np.asarray(ops.convert_to_numpy(found))


def softmax(logits):
    shifted = np.exp(logits - logits.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)


def test_policy_gradient_is_the_advantage_times_the_score():
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((4, 3)).astype("float32")
    actions, advantages = np.array([0, 2, 1, 2]), np.array([1.0, -2.0, 0.5, 3])
    y = np.stack([actions, advantages], -1).astype("float32")
    weight = np.array([1.0, 1.0, 0.0, 1.0], "float32")

    found = gradient(PolicyGradientLoss(0.1), y, logits, weight)

    p = softmax(logits)
    entropy = -(p * np.log(p)).sum(-1, keepdims=True)
    wanted = -advantages[:, None] * (np.eye(3)[actions] - p)
    wanted += 0.1 * p * (np.log(p) + entropy)
    # The mean is over the three samples that count.
    wanted = wanted * weight[:, None] / 3
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_q_loss_moves_the_chosen_value_by_a_clipped_error():
    values = np.array([[0.0, 1.0], [5.0, 2.0]], "float32")
    y = np.array([[1.0, 1.5], [0.0, 1.0]], "float32")

    found = gradient(QLoss(delta=2.0), y, values)

    np.testing.assert_allclose(found, [[0, -0.5 / 2], [2 / 2, 0]], atol=1e-6)
    assert float(QLoss(2.0)(y, values)) == (0.125 + (2 + 2 * 2)) / 2


def test_models_with_these_losses_are_saved(tmp_path):
    for loss in (PolicyGradientLoss(0.2), QLoss(3.0)):
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
        model.compile("sgd", loss)
        model.save(tmp_path / "model.keras")

        found = keras.models.load_model(tmp_path / "model.keras").loss

        assert found.get_config() == loss.get_config()
