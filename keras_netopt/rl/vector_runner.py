"""Steps a vector environment and tells which transitions are real."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_netopt.rl.environments import encode_observations, reset_mode


@dataclass(frozen=True)
class Transitions:
    """One step of every environment; each array has one row per environment.

    Args:
        observations: What the model saw.
        actions: What it chose: indices of its outputs.
        rewards: What it got.
        next_observations: What followed; at the end of an episode the last
            observation of that episode.
        terminated: Whether the environment ended the episode.
        truncated: Whether a limit outside of it did.
        valid: Whether this is a transition at all: where it is `False`, the
            environment was reset and did not see the action.
    """

    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    next_observations: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    valid: np.ndarray


@dataclass(frozen=True)
class Episode:
    """A finished episode.

    Args:
        end: Environment steps taken until then, in all environments.
        episode_return: Sum of its rewards, without discount.
        length: Its number of steps.
        place: Index of its environment.
    """

    end: int
    episode_return: float
    length: int
    place: int


class VectorRunner:
    """Steps a vector environment in any of gymnasium's modes of reset.

    Args:
        vector: A `gymnasium.vector.VectorEnv`.
        seed: Seed of its first reset; `None` for a random one.
    """

    def __init__(self, vector: Any, seed: int | None) -> None:
        self.vector = vector
        self.number = int(vector.num_envs)
        self.episodes: list[Episode] = []
        self.steps = 0
        self._mode = reset_mode(vector)
        self._space = vector.single_observation_space
        self._first_action = int(vector.single_action_space.start)
        self.reset(seed)

    def reset(self, seed: int | None = None) -> None:
        """Starts a new episode in every environment."""
        observations, _ = self.vector.reset(seed=seed)
        self.observations = encode_observations(self._space, observations)
        self._ended: np.ndarray = np.zeros(self.number, bool)
        self._returns = np.zeros(self.number)
        self._lengths: np.ndarray = np.zeros(self.number, int)

    def step(self, actions: np.ndarray) -> Transitions:
        """Takes one action in every environment."""
        before = self.observations
        is_reset = self._ended & (self._mode == "NEXT_STEP")
        found, rewards, terminated, truncated, infos = self.vector.step(
            actions + self._first_action
        )
        # Some environments return the same arrays at every step.
        terminated = np.array(terminated, bool)
        truncated = np.array(truncated, bool)
        rewards = np.array(rewards, np.float64)
        following = encode_observations(self._space, found)
        ended = terminated | truncated
        self.observations = self._start_episodes(following, ended)
        self._ended = ended
        last = following
        if self._mode == "SAME_STEP" and ended.any():
            last = following.copy()
            for place in np.flatnonzero(ended):
                final = infos["final_obs"][place]
                last[place] = encode_observations(self._space, final)
        valid = ~is_reset
        self._count(rewards, ended, valid)
        return Transitions(
            before, actions, rewards, last, terminated, truncated, valid
        )

    def _start_episodes(
        self, following: np.ndarray, ended: np.ndarray
    ) -> np.ndarray:
        """Resets ended environments if they do not do so themselves."""
        if self._mode != "DISABLED" or not ended.any():
            return following
        found, _ = self.vector.reset(options={"reset_mask": ended.copy()})
        first = encode_observations(self._space, found)
        return np.where(_like(ended, first), first, following)

    def _count(
        self, rewards: np.ndarray, ended: np.ndarray, valid: np.ndarray
    ) -> None:
        self.steps += int(valid.sum())
        self._returns += rewards * valid
        self._lengths += valid
        for place in np.flatnonzero(ended & valid):
            self.episodes.append(
                Episode(
                    end=self.steps,
                    episode_return=float(self._returns[place]),
                    length=int(self._lengths[place]),
                    place=int(place),
                )
            )
            self._returns[place] = 0.0
            self._lengths[place] = 0


def _like(flags: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return flags.reshape(-1, *[1] * (rows.ndim - 1))
