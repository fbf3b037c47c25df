"""Which transitions are real, in each mode of reset."""

import gymnasium as gym
import numpy as np
import pytest
from environments_by_hand import Chain, ScriptedVectorEnv
from gymnasium.vector import AutoresetMode

from keras_netopt.rl.vector_runner import VectorRunner

pytestmark = pytest.mark.no_backend

EPISODES = ([1.0, 2.0], [3.0, 4.0, 5.0])
ENDS = ("terminated", "truncated")


def run(mode, steps=9):
    runner = VectorRunner(ScriptedVectorEnv(EPISODES, ENDS, mode), seed=0)
    found = [runner.step(np.zeros(2, int)) for _ in range(steps)]
    return runner, found


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_only_steps_of_episodes_count(mode):
    """A reward of 1000 in a step that resets would be seen."""
    runner, steps = run(mode)

    returns = {(e.episode_return, e.length) for e in runner.episodes}
    assert returns == {(3.0, 2), (12.0, 3)}
    valid = np.concatenate([step.rewards[step.valid] for step in steps])
    assert set(valid) == {1.0, 2.0, 3.0, 4.0, 5.0}
    assert runner.steps == len(valid)


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_an_episode_ends_with_its_own_last_observation(mode):
    """Not with the first one of the next episode."""
    _, steps = run(mode)

    ends = 0
    for step in steps:
        for place in np.flatnonzero(step.valid):
            _, episode, time = step.observations[place]
            after = step.next_observations[place]
            np.testing.assert_allclose(
                after, [place / 10, episode, time + 0.1], atol=1e-6
            )
            ends += step.terminated[place] or step.truncated[place]
    assert ends > 2


def test_a_reset_step_is_masked_with_the_action_it_ignores():
    _, steps = run(AutoresetMode.NEXT_STEP, steps=4)

    valid = np.stack([step.valid for step in steps])
    assert valid.tolist() == [
        [True, True],
        [True, True],
        [False, True],
        [True, False],
    ]
    assert not (steps[2].terminated | steps[2].truncated)[0]


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_environments_of_gymnasium_agree_in_all_modes(mode):
    """One policy, the same episodes: modes differ in bookkeeping only."""
    vector = gym.vector.SyncVectorEnv(
        [lambda: gym.wrappers.TimeLimit(Chain(), 4)] * 2, autoreset_mode=mode
    )
    runner = VectorRunner(vector, seed=0)
    found = []
    while len(found) < 6:
        state = runner.observations.argmax(-1)
        # Environment 0 goes right, environment 1 never ends by itself.
        step = runner.step(np.where([True, False], 1, 1 - (state > 0)))
        rows = zip(
            step.observations.argmax(-1),
            step.next_observations.argmax(-1),
            step.rewards,
            step.terminated,
            step.truncated,
            strict=True,
        )
        first = next(iter(rows))
        if step.valid[0]:
            found.append(tuple(float(one) for one in first))

    assert (
        found
        == [
            (0, 1, 0, 0, 0),
            (1, 2, 0, 0, 0),
            (2, 2, 1, 1, 0),
        ]
        * 2
    )
    assert {e.length for e in runner.episodes if e.place == 1} <= {4}
