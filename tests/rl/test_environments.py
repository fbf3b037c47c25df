"""What an agent accepts, and how it refuses the rest."""

import sys

import gymnasium as gym
import keras
import numpy as np
import pytest
from environments_by_hand import Chain, ScriptedVectorEnv

from keras_netopt import rl
from keras_netopt.rl.environments import encode_observations, make_vector

pytestmark = pytest.mark.no_backend


def model(inputs=4, outputs=2, **arguments):
    return keras.Sequential(
        [keras.Input((inputs,)), keras.layers.Dense(outputs, **arguments)]
    )


def test_an_id_a_function_and_an_environment_become_vectors():
    for environment, number in (
        ("CartPole-v1", 3),
        (lambda: gym.make("CartPole-v1"), 3),
        (gym.make("CartPole-v1"), 1),
        (gym.make_vec("CartPole-v1", num_envs=2), 2),
    ):
        copies = 3 if number == 3 else None
        vector = make_vector(environment, copies, 8)
        assert vector.num_envs == number
        vector.close()


def test_vectors_written_in_numpy_give_the_transitions_of_single_ones():
    """CartPole's own vector class, which resets in the next step."""
    from keras_netopt.rl.vector_runner import VectorRunner

    vector = gym.make_vec(
        "CartPole-v1", num_envs=2, vectorization_mode="vector_entry_point"
    )
    runner = VectorRunner(vector, 0)
    for _ in range(60):
        runner.step(np.array([0, 1]))

    assert len(runner.episodes) > 4
    for one in runner.episodes:
        assert one.episode_return == one.length <= 12
    vector.close()


class Boxed(Chain):
    action_space = gym.spaces.Box(-1, 1, (1,))


class Nested(Chain):
    observation_space = gym.spaces.Dict({"a": gym.spaces.Discrete(2)})


@pytest.mark.parametrize("agent", [rl.PolicyGradient, rl.DQN])
@pytest.mark.parametrize(
    ("error", "text", "network", "environment"),
    [
        (ValueError, "Discrete action space", model(3), Boxed),
        (ValueError, "FlattenObservation", model(3), Nested),
        (TypeError, "an id of gymnasium", model(3), 7),
        (TypeError, "must be a keras.Model", "cnn", Chain),
        (ValueError, r"observations of shape \('batch', 3\)", model(5), Chain),
        (ValueError, r"one output of shape \('batch', 2\)", model(3, 1), Chain),
        (
            ValueError,
            "remove the softmax",
            model(3, activation="softmax"),
            Chain,
        ),
        (ValueError, "trainable weights", model(3, trainable=False), Chain),
    ],
)
def test_what_does_not_fit_is_refused(agent, error, text, network, environment):
    with pytest.raises(error, match=text) as caught:
        agent(network, environment)
    assert "Received: " in str(caught.value)


REFUSED = {
    "value_model": (rl.PolicyGradient, {"value_model": model(3, 4)}),
    "one transition": (
        rl.PolicyGradient, {"num_envs": 1, "rollout_steps": 1}
    ),
    "optimizer": (rl.PolicyGradient, {"optimizer": "no such optimizer"}),
    "learning_starts": (rl.DQN, {"learning_starts": 100_000}),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_argument_leaves_the_model_as_it_was(name):
    agent, arguments = REFUSED[name]
    network = model(3)
    network.compile(optimizer := keras.optimizers.SGD(), "mse")

    with pytest.raises(ValueError, match=name.replace("one ", "")):
        agent(network, Chain, **arguments)

    assert (network.loss, network.optimizer) == ("mse", optimizer)


@pytest.mark.parametrize("agent", [rl.PolicyGradient, rl.DQN])
def test_the_optimizer_of_another_model_is_refused(agent):
    """JAX would train with the slots of the other model."""
    optimizer = keras.optimizers.Adam()
    optimizer.build(model(3).trainable_variables)

    with pytest.raises(ValueError, match="built for another model"):
        agent(model(3), Chain, optimizer=optimizer)


def test_a_vector_must_tell_when_it_resets():
    vector = ScriptedVectorEnv(([1.0],), ["terminated"])
    vector.metadata = {}

    with pytest.raises(ValueError, match="autoreset_mode"):
        rl.DQN(model(3), vector)


def test_copies_of_an_existing_environment_are_refused():
    with pytest.raises(ValueError, match="`num_envs` must be None"):
        rl.DQN(model(3), Chain(), num_envs=2)


def test_outputs_that_are_not_finite_are_named():
    agent = rl.PolicyGradient(network := model(), "CartPole-v1")
    network.set_weights([w + np.nan for w in network.get_weights()])

    with pytest.raises(ValueError, match="not finite"):
        agent.learn(8, verbose=0)


def test_discrete_observations_become_one_hot_vectors():
    space = gym.spaces.Discrete(3, start=4)

    found = encode_observations(space, np.array([4, 6]))

    assert found.tolist() == [[1, 0, 0], [0, 0, 1]]


def test_without_gymnasium_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "gymnasium", None)

    for call in (
        lambda: rl.PolicyGradient(model(), "CartPole-v1"),
        rl.cart_pole_variants,
    ):
        with pytest.raises(ImportError, match=r"keras-netopt\[rl\]"):
            call()
