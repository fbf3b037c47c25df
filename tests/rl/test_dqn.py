"""Q-learning against the known values of a chain."""

import gymnasium as gym
import keras
import numpy as np
import pytest
from environments_by_hand import Chain, ScriptedVectorEnv, chain_values

from keras_netopt import rl
from keras_netopt.rl.replay_buffer import ReplayBuffer
from keras_netopt.rl.vector_runner import Transitions


def table():
    """A model whose kernel is the table of values."""
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(2, use_bias=False, kernel_initializer="zeros"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.05))
    return model


@pytest.mark.parametrize(
    ("mode", "double"), [("NEXT_STEP", True), ("SAME_STEP", False)]
)
def test_it_finds_the_values_of_a_chain(mode, double):
    """The limit of 4 steps must not lower a value, nor a reset raise one."""
    vector = gym.vector.SyncVectorEnv(
        [lambda: gym.wrappers.TimeLimit(Chain(), 4)] * 4,
        autoreset_mode=mode_of(mode),
    )
    agent = rl.DQN(
        model := table(),
        vector,
        discount=0.8,
        double=double,
        epsilon_final=1.0,
        learning_starts=200,
        target_update=20,
    )

    agent.learn(1600, verbose=0)

    found = keras.ops.convert_to_numpy(model.weights[0])
    np.testing.assert_allclose(found, chain_values(0.8), atol=0.03)
    assert agent.evaluate(4, environment=Chain) == 1.0


def mode_of(name):
    return gym.vector.AutoresetMode[name]


def test_the_target_is_that_of_a_hand_computation():
    """Double: the model chooses, the target network gives the value."""
    episodes = ([1.0, 2.0, 3.0],)
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    model.compile(keras.optimizers.SGD(0.1))
    agent = rl.DQN(
        model,
        ScriptedVectorEnv(episodes, ["terminated"]),
        learning_starts=3,
        train_every=1,
        batch_size=32,
        discount=0.5,
        delta=100.0,
    )
    agent.learn(2, verbose=0)  # No update yet.
    old = [np.array([[0.0, 9]] * 3), np.array([0.0, 1])]
    new = [np.array([[9.0, 0]] * 3), np.array([1.0, 0])]
    model.set_weights(old)
    agent.target_network.copy_weights()
    model.set_weights(new)
    sampled, train = [], model.train_on_batch

    def record(x, y):
        sampled.append((x, y))
        return train(x, y)

    model.train_on_batch = record
    agent.learn(1, verbose=0)

    ((x, y),) = sampled
    time = np.round(x[:, 2] * 10).astype(int)
    after = x + np.array([0, 0, 0.1])
    # The old values at the action that the new weights choose: action 0.
    future = np.where(time == 2, 0.0, (after @ old[0] + old[1])[:, 0])
    rewards = np.array(episodes[0])[time]
    np.testing.assert_allclose(y[:, 1], rewards + 0.5 * future, atol=1e-5)
    assert set(time) == {0, 1, 2}


def test_an_update_follows_each_of_train_every_steps():
    for number, every in ((4, 7), (4, 10), (3, 4), (6, 4), (4, 5), (1, 4)):
        agent = rl.DQN(
            model := table(),
            Chain,
            num_envs=number,
            train_every=every,
            learning_starts=1,
            batch_size=2,
        )
        updates = []
        model.train_on_batch = lambda *_, to=updates: to.append(0) or 0.0

        agent.learn(420, steps_per_epoch=60, verbose=0)

        steps = agent.environment_steps
        assert len(updates) == steps // every, (number, every)


def test_the_replay_buffer_drops_the_oldest_and_what_is_no_transition():
    buffer = ReplayBuffer(5, (1,))
    for number in range(4):
        rows = np.array([[number], [10.0 + number]])
        flags = np.array([False, True])
        valid = np.array([True, number != 3])
        buffer.add(
            Transitions(
                rows, np.arange(2), rows[:, 0], rows + 1, flags, flags, valid
            )
        )

    assert buffer.size == 5
    assert sorted(buffer.rewards) == [1.0, 2.0, 3.0, 11.0, 12.0]
    assert np.array_equal(buffer.terminated, buffer.rewards > 9)
    assert np.array_equal(buffer.observations + 1, buffer.next_observations)
    drawn = buffer.sample(200, np.random.default_rng(0))
    assert set(drawn) == set(range(5))


def test_epsilon_falls_to_its_last_value():
    agent = rl.DQN(
        table(),
        Chain,
        epsilon_initial=0.9,
        epsilon_final=0.1,
        epsilon_steps=16,
        learning_starts=100,
    )
    agent.learn(8, steps_per_epoch=8, verbose=0)
    half = agent.epsilon
    agent.learn(12, verbose=0)

    assert (round(half, 6), round(agent.epsilon, 6)) == (0.5, 0.1)
