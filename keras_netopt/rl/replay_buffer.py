"""The last transitions of an agent, in arrays."""

import numpy as np

from keras_netopt.rl.vector_runner import Transitions


class ReplayBuffer:
    """Keeps the last transitions and samples them uniformly.

    Args:
        capacity: Number of transitions kept.
        shape: Shape of one observation.
    """

    def __init__(self, capacity: int, shape: tuple[int, ...]) -> None:
        try:
            self._allocate(capacity, shape)
        except (MemoryError, OverflowError, ValueError) as error:
            raise ValueError(
                "Argument `buffer_size` must be a number of transitions that "
                f"fit into memory: {error}. Received: buffer_size={capacity}"
            ) from error

    def _allocate(self, capacity: int, shape: tuple[int, ...]) -> None:
        self.capacity = capacity
        self.size = 0
        self._place = 0
        self.observations: np.ndarray = np.zeros((capacity, *shape), np.float32)
        self.next_observations: np.ndarray = np.zeros(
            (capacity, *shape), np.float32
        )
        self.actions: np.ndarray = np.zeros(capacity, np.int64)
        self.rewards: np.ndarray = np.zeros(capacity, np.float32)
        self.terminated: np.ndarray = np.zeros(capacity, bool)

    def add(self, step: Transitions) -> None:
        """Adds the real transitions of one step, over the oldest ones."""
        rows = np.flatnonzero(step.valid)
        places: np.ndarray = (
            self._place + np.arange(len(rows))
        ) % self.capacity
        self.observations[places] = step.observations[rows]
        self.next_observations[places] = step.next_observations[rows]
        self.actions[places] = step.actions[rows]
        self.rewards[places] = step.rewards[rows]
        self.terminated[places] = step.terminated[rows]
        self._place = int(self._place + len(rows)) % self.capacity
        self.size = min(self.size + len(rows), self.capacity)

    def sample(self, count: int, random: np.random.Generator) -> np.ndarray:
        """Returns indices of transitions, each drawn independently."""
        return random.integers(self.size, size=count)
