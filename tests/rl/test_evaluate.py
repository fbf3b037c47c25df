"""Evaluation: what it computes, what it leaves as it was."""

import gymnasium as gym
import keras
import numpy as np
import pytest
from environments_by_hand import Chain, ScriptedVectorEnv

from keras_netopt import rl

EPISODES = ([1.0, -2.0], [3.0, 0.5, 1.0])
ENDS = ("terminated", "truncated")


def policy():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile("sgd")
    return model


def make_agent(model=None, environment=None):
    return rl.PolicyGradient(
        model or policy(), environment or short_chain, rollout_steps=4
    )


def short_chain():
    return gym.wrappers.TimeLimit(Chain(), 5)


def test_evaluation_does_not_prefer_short_episodes():
    """Counting the first episodes to end would give -1."""
    environment = ScriptedVectorEnv(EPISODES, ENDS)
    agent = make_agent()

    assert agent.evaluate(4, environment=environment) == (4.5 - 1.0) / 2


def test_evaluation_changes_nothing_in_training():
    agents = [make_agent(), make_agent()]
    agents[1].model.set_weights(agents[0].model.get_weights())
    for agent in agents:
        agent.learn(32, verbose=0)
    agents[1].evaluate(3)
    for agent in agents:
        agent.learn(32, verbose=0)

    first, second = (agent.model.get_weights() for agent in agents)
    assert all(
        np.array_equal(*pair) for pair in zip(first, second, strict=True)
    )


def test_an_episode_without_end_is_refused():
    agent = make_agent(model := policy())
    always_left = [0 * w for w in model.get_weights()]
    always_left[-1][0] = 1.0
    model.set_weights(always_left)

    assert agent.evaluate(2, max_steps=20) == 0.0
    with pytest.raises(ValueError, match="has not ended"):
        agent.evaluate(2, max_steps=20, environment=Chain)


class Recorded(Chain):
    """Keeps the seeds of its resets and a random number after each."""

    def __init__(self):
        self.seeds, self.drawn, self.is_closed = [], [], False

    def reset(self, *, seed=None, options=None):
        found = super().reset(seed=seed, options=options)
        self.seeds.append(seed)
        self.drawn.append(self.np_random.random())
        return found

    def close(self):
        self.is_closed = True


def test_evaluation_does_not_rewind_the_randomness_of_training():
    """Every evaluation seeds the environment in the same way."""
    environment = Recorded()
    agent = make_agent(environment=gym.wrappers.TimeLimit(environment, 5))
    afterwards = []
    for _ in range(2):
        agent.evaluate(1)
        afterwards.append((environment.seeds[-1], environment.drawn[-1]))

    (first, one), (second, other) = afterwards
    assert first is not None
    assert second is not None
    assert first != second
    assert one != other
    assert not environment.is_closed


def left_for_ever(model):
    weights = [0 * w for w in model.get_weights()]
    weights[-1][0] = 1.0
    model.set_weights(weights)


def test_training_goes_on_after_a_failed_evaluation():
    agent = make_agent(model := policy(), environment := Recorded())
    left_for_ever(model)
    with pytest.raises(ValueError, match="has not ended"):
        agent.evaluate(1, max_steps=3)
    assert environment.state == 0
    resets = len(environment.seeds)

    agent.learn(4, verbose=0)

    assert agent.environment_steps == 4
    assert len(environment.seeds) >= resets == 3


def test_a_failed_evaluation_closes_what_it_made():
    made = []

    def make():
        made.append(Recorded())
        return made[-1]

    agent = make_agent(model := policy())
    left_for_ever(model)
    with pytest.raises(ValueError, match="has not ended"):
        agent.evaluate(1, max_steps=3, environment=make)

    assert made
    assert all(one.is_closed for one in made)


class Wide(Chain):
    observation_space = gym.spaces.Discrete(4)


class Many(Chain):
    action_space = gym.spaces.Discrete(5)


@pytest.mark.parametrize("kind", [Wide, Many])
def test_an_environment_that_does_not_fit_is_refused(kind):
    with pytest.raises(ValueError, match="as that of the agent") as caught:
        make_agent().evaluate(1, environment=kind)
    assert "Received: environment with" in str(caught.value)
