"""Double deep Q-learning."""

from typing import Any

import keras
import numpy as np

from keras_netopt.checks import (
    check_bool,
    check_integer,
    check_positive,
    check_probability,
)
from keras_netopt.rl.agent import Agent
from keras_netopt.rl.agent_model import compile_for_agent, predict
from keras_netopt.rl.q_loss import QLoss
from keras_netopt.rl.replay_buffer import ReplayBuffer
from keras_netopt.rl.target_network import TargetNetwork


class DQN(Agent):
    """Trains action values by double deep Q-learning.

    Actions are random with a probability epsilon, else those of the largest
    value. Transitions go into a replay buffer. Each update draws a batch of
    them and moves the value of the action towards `reward + discount * value
    of the next observation`. The model chooses the next action and a target
    network, a copy of earlier weights, gives its value. Only a terminated
    episode has no next value; one that a time limit truncates has. Steps in
    which a vector environment resets itself are not stored.

    The model is any Keras model from a batch of observations to the values of
    all actions. A compiled model keeps its optimizer; its loss is replaced.

    Example:

    >>> import keras
    >>> import keras_netopt as netopt
    >>> values = keras.Sequential(
    ...     [keras.Input((4,)), keras.layers.Dense(16, "relu"),
    ...      keras.layers.Dense(2)]
    ... )
    >>> agent = netopt.rl.DQN(values, "CartPole-v1", learning_starts=100)
    >>> history = agent.learn(200, verbose=0)
    >>> history.history["environment_steps"]
    [200.0]

    Args:
        model: A `keras.Model` from observations to the values of all actions.
        environment: As in `rl.PolicyGradient`.
        num_envs: Number of copies for an id or a function. Defaults to
            `None`: 4.
        discount: Factor of the value of the next step, in [0, 1]. Defaults to
            `0.99`.
        buffer_size: Number of transitions kept, at least 1. Defaults to
            `50_000`.
        batch_size: Transitions per update, at least 1. Defaults to `64`.
        learning_starts: Transitions collected before the first update, at
            least 1. Defaults to `1000`.
        train_every: Environment steps per update, at least 1. Defaults to
            `4`.
        target_update: Updates after which the target network gets the
            weights of the model, at least 1. Defaults to `250`.
        double: Whether the model chooses the next action (double Q-learning).
            If `False`, the target network chooses. Defaults to `True`.
        epsilon_initial: Probability of a random action at first, in [0, 1].
            Defaults to `1.0`.
        epsilon_final: The same after `epsilon_steps`. Defaults to `0.05`.
        epsilon_steps: Environment steps in which it falls linearly, at least
            1. Defaults to `10_000`.
        delta: Error up to which Huber's loss is quadratic, above 0. Defaults
            to `1.0`.
        optimizer: Optimizer of the model. Defaults to `None`: that of a
            compiled model, else Adam with a learning rate of 0.001.
        seed: Seed of environments, actions and batches; with the same initial
            weights a run repeats exactly. Defaults to `0`.

    Raises:
        ImportError: If gymnasium is not installed.
        ValueError: If the environment has other actions or observations, the
            model does not fit it, or the optimizer belongs to another model.

    Reference:
        Mnih et al. 2015, Nature 518; van Hasselt et al. 2015, arXiv
        1509.06461.
    """

    def __init__(
        self,
        model: keras.Model,
        environment: Any,
        *,
        num_envs: int | None = None,
        discount: float = 0.99,
        buffer_size: int = 50_000,
        batch_size: int = 64,
        learning_starts: int = 1000,
        train_every: int = 4,
        target_update: int = 250,
        double: bool = True,
        epsilon_initial: float = 1.0,
        epsilon_final: float = 0.05,
        epsilon_steps: int = 10_000,
        delta: float = 1.0,
        optimizer: Any = None,
        seed: int | None = 0,
    ) -> None:
        size = check_integer(buffer_size, "buffer_size", minimum=1)
        self.batch_size = check_integer(batch_size, "batch_size", minimum=1)
        self.learning_starts = check_integer(
            learning_starts, "learning_starts", minimum=1
        )
        self.train_every = check_integer(train_every, "train_every", minimum=1)
        self.target_update = check_integer(
            target_update, "target_update", minimum=1
        )
        self.double = check_bool(double, "double")
        self.epsilon_initial = check_probability(
            epsilon_initial, "epsilon_initial"
        )
        self.epsilon_final = check_probability(epsilon_final, "epsilon_final")
        self.epsilon_steps = check_integer(
            epsilon_steps, "epsilon_steps", minimum=1
        )
        loss = QLoss(check_positive(delta, "delta"))
        if self.learning_starts > size:
            raise ValueError(
                "Argument `learning_starts` must be at most `buffer_size`. "
                f"Received: learning_starts={learning_starts!r}, "
                f"buffer_size={buffer_size!r}"
            )
        super().__init__(
            model,
            environment,
            num_envs=num_envs,
            discount=discount,
            seed=seed,
            default_envs=4,
        )
        compile_for_agent(model, loss, optimizer)
        self.replay_buffer = ReplayBuffer(
            size, self._runner.observations.shape[1:]
        )
        self.target_network = TargetNetwork(model)
        self._updates = 0
        # Environment steps that no update has used yet.
        self._credit = 0

    @property
    def epsilon(self) -> float:
        """Probability of a random action now."""
        share = min(1.0, self.environment_steps / self.epsilon_steps)
        change = self.epsilon_final - self.epsilon_initial
        return self.epsilon_initial + share * change

    @property
    def _steps_per_round(self) -> int:
        number = self._runner.number
        return max(1, self.train_every // number) * number

    def _choose(self, outputs: np.ndarray) -> np.ndarray:
        count = len(outputs)
        is_random = self._random.random(count) < self.epsilon
        actions = self._random.integers(self.actions, size=count)
        return np.where(is_random, actions, outputs.argmax(-1))

    def _train_round(self) -> dict[str, float]:
        before = self.environment_steps
        for _ in range(self._steps_per_round // self._runner.number):
            outputs = predict(self.model, self._runner.observations)
            self.replay_buffer.add(self._runner.step(self._choose(outputs)))
        logs = {"epsilon": self.epsilon}
        if self.replay_buffer.size >= self.learning_starts:
            self._credit += self.environment_steps - before
            updates, self._credit = divmod(self._credit, self.train_every)
            losses = [self._update() for _ in range(updates)]
            if losses:
                logs["loss"] = float(np.mean(losses))
        return logs

    def _update(self) -> float:
        replay = self.replay_buffer
        rows = replay.sample(self.batch_size, self._random)
        following = replay.next_observations[rows]
        target = self.target_network.predict(following)
        chooser = predict(self.model, following) if self.double else target
        best = chooser.argmax(-1)[:, None]
        future = np.take_along_axis(target, best, axis=-1)[:, 0]
        goal = (
            replay.rewards[rows]
            + self.discount * future * ~(replay.terminated[rows])
        )
        y = np.stack([replay.actions[rows], goal], axis=-1).astype("float32")
        loss = self.model.train_on_batch(replay.observations[rows], y)
        self._updates += 1
        if self._updates % self.target_update == 0:
            self.target_network.copy_weights()
        return float(loss)
