"""Environments whose transitions are known in advance."""

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode

POISON = 1000.0


class ScriptedVectorEnv(gym.vector.VectorEnv):
    """Repeats scripted episodes, whatever the actions are.

    An observation is `(number of the environment, episode, step)`, scaled
    down; `taken` lists the actions of each environment. The step in which
    NEXT_STEP resets an environment gives a reward of `POISON`, which must
    never count.

    Args:
        episodes: Per environment the rewards of one episode.
        ends: Per environment "terminated" or "truncated".
        mode: When episodes are reset.
    """

    def __init__(self, episodes, ends, mode=AutoresetMode.NEXT_STEP, actions=2):
        self.num_envs = len(episodes)
        self.metadata = {"autoreset_mode": mode}
        self.single_action_space = gym.spaces.Discrete(actions)
        self.single_observation_space = gym.spaces.Box(-1, 1, (3,))
        self.action_space = gym.vector.utils.batch_space(
            self.single_action_space, self.num_envs
        )
        self.observation_space = gym.vector.utils.batch_space(
            self.single_observation_space, self.num_envs
        )
        self.episodes, self.ends, self.mode = episodes, ends, mode

    def reset(self, *, seed=None, options=None):
        if options and "reset_mask" in options:
            self._start(options["reset_mask"])
        else:
            self.count = np.zeros(self.num_envs, int)
            self.time = np.zeros(self.num_envs, int)
            self.taken = [[] for _ in self.episodes]
            self.ended = np.zeros(self.num_envs, bool)
        return self._observe(), {}

    def _start(self, places):
        self.count[places] += 1
        self.time[places] = 0
        self.ended[places] = False

    def _observe(self):
        places = np.arange(self.num_envs)
        found = np.stack([places, self.count, self.time], axis=-1)
        return found.astype("float32") / 10

    def step(self, actions):
        rewards = np.zeros(self.num_envs)
        ended = np.zeros(self.num_envs, bool)
        for place, episode in enumerate(self.episodes):
            if self.ended[place]:
                assert self.mode == AutoresetMode.NEXT_STEP
                self._start([place])
                rewards[place] = POISON
                continue
            self.taken[place].append(int(actions[place]))
            rewards[place] = episode[self.time[place]]
            self.time[place] += 1
            ended[place] = self.time[place] == len(episode)
        terminated = ended & (np.array(self.ends) == "terminated")
        truncated = ended & (np.array(self.ends) == "truncated")
        infos = {}
        if self.mode == AutoresetMode.SAME_STEP:
            if ended.any():
                final = np.full(self.num_envs, None, object)
                for place in np.flatnonzero(ended):
                    final[place] = self._observe()[place]
                infos = {"final_obs": final, "_final_obs": ended}
            self._start(ended)
        else:
            self.ended = ended.copy()
        return self._observe(), rewards, terminated, truncated, infos


class Chain(gym.Env):
    """Three states in a row; leaving the last one to the right ends it.

    Action 1 goes right, action 0 goes left. The last step to the right gives
    1, every other one 0.
    """

    observation_space = gym.spaces.Discrete(3)
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.state = 0
        return self.state, {}

    def step(self, action):
        if action == 1 and self.state == 2:
            return 2, 1.0, True, False, {}
        self.state = int(np.clip(self.state + 2 * action - 1, 0, 2))
        return self.state, 0.0, False, False, {}


def chain_values(discount):
    """The optimal values of `Chain`, shape (states, actions)."""
    values = np.zeros((3, 2))
    for _ in range(200):
        best = discount * values.max(-1)
        values = np.array(
            [[best[0], best[1]], [best[0], best[2]], [best[1], 1]]
        )
    return values
