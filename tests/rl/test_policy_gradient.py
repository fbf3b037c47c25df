"""One update against a computation by hand, and learning."""

import gymnasium as gym
import keras
import numpy as np
import pytest
from environments_by_hand import ScriptedVectorEnv
from gymnasium.vector import AutoresetMode

from keras_netopt import rl

EPISODES = ([1.0, -2.0], [3.0, 0.5, 1.0])
ENDS = ("terminated", "truncated")


def linear(units, name="policy"):
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(
                units,
                use_bias=False,
                kernel_initializer=keras.initializers.RandomNormal(seed=3),
            ),
        ],
        name=name,
    )
    model.compile(keras.optimizers.SGD(0.5))
    return model


def kernel(model):
    return keras.ops.convert_to_numpy(model.weights[0]).astype("float64")


def transitions(mode, number):
    """(observation, reward, next, terminated, truncated) of real steps."""
    found = []
    for place, rewards in enumerate(EPISODES):
        episode = time = slot = 0
        rows = []
        while slot < number:
            last = time == len(rewards) - 1
            end = last and ENDS[place]
            rows.append(
                (
                    np.array([place, episode, time]) / 10,
                    rewards[time],
                    np.array([place, episode, time + 1]) / 10,
                    end == "terminated",
                    end == "truncated",
                )
            )
            slot, time = slot + 1, time + 1
            if last:
                episode, time = episode + 1, 0
                slot += mode == AutoresetMode.NEXT_STEP
        found.append(rows)
    return found


@pytest.mark.parametrize("mode", ["NEXT_STEP", "SAME_STEP"])
def test_one_update_is_that_of_a_hand_computation(mode):
    """It fails if a step that resets counts, or a limit ends an episode."""
    mode = AutoresetMode[mode]
    policy, baseline = linear(2), linear(1, "baseline")
    w, u = kernel(policy), kernel(baseline)
    agent = rl.PolicyGradient(
        policy,
        environment := ScriptedVectorEnv(EPISODES, ENDS, mode),
        rollout_steps=7,
        discount=0.9,
        gae_lambda=0.8,
        entropy_coefficient=0.0,
        value_model=baseline,
        value_updates=1,
    )
    agent.learn(14, verbose=0)

    rows, goals, advantages, taken = [], [], [], []
    for place, steps in enumerate(transitions(mode, 7)):
        following = 0.0
        for row in reversed(range(len(steps))):
            x, reward, after, terminated, truncated = steps[row]
            future = 0.0 if terminated else (after @ u)[0]
            error = reward + 0.9 * future - (x @ u)[0]
            if terminated or truncated:
                following = 0.0
            following = error + 0.9 * 0.8 * following
            rows.append(x)
            goals.append(following + (x @ u)[0])
            advantages.append(following)
        taken += environment.taken[place][::-1]
    rows, advantages = np.array(rows), np.array(advantages)
    scaled = (advantages - advantages.mean()) / advantages.std()
    logits = rows @ w
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    score = scaled[:, None] * (np.eye(2)[taken] - p)
    value_error = (rows @ u)[:, 0] - np.array(goals)

    assert len(taken) == len(rows) == agent.environment_steps
    np.testing.assert_allclose(
        kernel(policy), w + 0.5 * rows.T @ score / len(rows), atol=1e-5
    )
    np.testing.assert_allclose(
        kernel(baseline)[:, 0],
        u[:, 0] - 0.5 * rows.T @ (2 * value_error) / len(rows),
        atol=1e-5,
    )


def test_a_rollout_that_only_resets_changes_no_weight():
    agent = rl.PolicyGradient(
        policy := linear(2),
        ScriptedVectorEnv(([1.0], [2.0]), ENDS),
        rollout_steps=1,
    )
    weights = []
    for _ in range(4):
        logs = agent.learn(1, verbose=0).history
        weights.append(kernel(policy))

    # The second and the fourth step reset both environments.
    assert np.array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[1], weights[2])
    assert np.isfinite(weights[3]).all()
    assert logs["environment_steps"] == [4]


def test_one_transition_per_update_cannot_be_normalized():
    """Its advantage would be 0 and nothing would be learned."""
    arguments = {"num_envs": 1, "rollout_steps": 1}

    with pytest.raises(ValueError, match="normalized advantage is 0"):
        rl.PolicyGradient(linear(3), Bandit, **arguments)
    rl.PolicyGradient(
        linear(3), Bandit, normalize_advantages=False, **arguments
    )


class Bandit(gym.Env):
    """Action 2 gives 1, others give 0."""

    observation_space = gym.spaces.Box(0, 1, (3,))
    action_space = gym.spaces.Discrete(3, start=5)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.ones(3, "float32"), {}

    def step(self, action):
        assert 5 <= action < 8
        return np.ones(3, "float32"), float(action == 7), True, False, {}


def test_it_learns_which_action_pays():
    agent = rl.PolicyGradient(linear(3), Bandit, rollout_steps=4)

    history = agent.learn(600, steps_per_epoch=200, verbose=0).history

    assert history["episode_return"][-1] > 0.9
    assert history["entropy"][-1] < history["entropy"][0]
    assert agent.evaluate(8) == 1.0
    assert agent.act(np.ones((2, 3))).tolist() == [7, 7]


def test_a_run_repeats_exactly():
    def run(seed):
        agent = rl.PolicyGradient(linear(3), Bandit, seed=seed, rollout_steps=4)
        agent.learn(64, verbose=0)
        return kernel(agent.model)

    first = run(1)

    assert np.array_equal(first, run(1))
    assert not np.array_equal(first, run(2))


def test_actions_are_sampled_from_the_softmax():
    agent = rl.PolicyGradient(linear(3), Bandit)
    agent.model.set_weights([np.log([[0.7, 0.2, 0.1]] * 3) / 3])

    actions = agent.act(np.ones((4000, 3)), greedy=False)

    shares = np.bincount(actions - 5, minlength=3) / 4000
    np.testing.assert_allclose(shares, [0.7, 0.2, 0.1], atol=0.03)
