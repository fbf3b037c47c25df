"""What agents share: acting, evaluating, and the loop of training."""

import math
from abc import ABC, abstractmethod
from typing import Any

import keras
import numpy as np

from keras_netopt.checks import (
    check_bool,
    check_integer,
    check_probability,
    check_seed,
)
from keras_netopt.rl.agent_model import (
    check_agent_model,
    predict,
)
from keras_netopt.rl.environments import (
    check_same_shapes,
    encode_observations,
    exists,
    make_vector,
)
from keras_netopt.rl.vector_runner import Episode, VectorRunner


class Agent(ABC):
    """A Keras model that learns in environments.

    A subclass compiles the model once all arguments are checked, collects
    transitions and trains in `_train_round`.

    Args:
        model: From observations to one number per action.
        environment: See the subclasses.
        num_envs: Copies of the environment; `None` for `default_envs`.
        discount: Factor of the reward of the next step, in [0, 1].
        seed: Seed of the environments and the actions.
        default_envs: Number of copies by default.
    """

    _loss_names: tuple[str, ...] = ("loss",)

    def __init__(
        self,
        model: keras.Model,
        environment: Any,
        *,
        num_envs: int | None,
        discount: float,
        seed: int | None,
        default_envs: int,
    ) -> None:
        self.discount = check_probability(discount, "discount")
        self.seed = check_seed(seed)
        self._source = environment
        self._default_envs = default_envs
        vector = make_vector(environment, num_envs, default_envs)
        self.actions = int(vector.single_action_space.n)
        self._space = vector.single_observation_space
        check_agent_model(model, self._space, self.actions)
        self.model = model
        self._random = np.random.default_rng(self.seed)
        self._runner = VectorRunner(vector, self.seed)
        # Of the last epoch in which an episode ended.
        self._means = dict.fromkeys(
            ("episode_return", "episode_length"), math.nan
        )

    @property
    def environment_steps(self) -> int:
        """Steps that the environments have taken in training."""
        return self._runner.steps

    @property
    def episodes(self) -> list[Episode]:
        """All episodes that ended in training, in order.

        Each has `end` (environment steps at its end), `episode_return`,
        `length` and `place` (index of its environment).
        """
        return list(self._runner.episodes)

    def learn(
        self,
        total_steps: int,
        *,
        steps_per_epoch: int = 1000,
        callbacks: Any = None,
        verbose: Any = "auto",
    ) -> keras.callbacks.History:
        """Trains the model in the environments.

        Another call goes on where the last one stopped. Callbacks see epochs
        of about `steps_per_epoch` environment steps, and batches of one
        collection and its update. The logs of an epoch hold
        "episode_return" and "episode_length" (means over the episodes that
        ended in it; if none did, those of the last epoch in which one did,
        also of an earlier call, else NaN), "episodes" (their number),
        "environment_steps" (since the agent was made) and the losses (NaN if
        there was no update).

        Args:
            total_steps: Number of environment steps, at least 1; rounded up to
                whole epochs. The steps in which a vector environment resets
                itself count here, but not in "environment_steps".
            steps_per_epoch: Environment steps of one epoch, rounded to whole
                updates. Defaults to `1000`.
            callbacks: Keras callbacks, as in `fit`, which see the model.
                `mode="max"` with `monitor="episode_return"`. Defaults to
                `None`.
            verbose: 0, 1, 2 or "auto", as in `fit`. Defaults to `"auto"`.

        Returns:
            The `keras.callbacks.History` of this call.

        Raises:
            ValueError: If `callbacks` hold `keras.callbacks.BackupAndRestore`.
        """
        check_integer(total_steps, "total_steps", minimum=1)
        check_integer(steps_per_epoch, "steps_per_epoch", minimum=1)
        check_verbosity(verbose)
        per_round = self._steps_per_round
        total = math.ceil(total_steps / per_round)
        rounds = min(total, max(1, round(steps_per_epoch / per_round)))
        epochs = math.ceil(total / rounds)
        model = self.model
        container = keras.callbacks.CallbackList(
            callbacks,
            add_history=True,
            add_progbar=verbose != 0,
            model=model,
            verbose=1 if verbose == "auto" else verbose,
            epochs=epochs,
            steps=rounds,
        )
        check_callbacks(container.callbacks)
        model.stop_training = False
        model.make_train_function()
        container.on_train_begin()
        logs: dict[str, float] = {}
        for epoch in range(epochs):
            container.on_epoch_begin(epoch)
            logs = self._train_epoch(container, rounds)
            container.on_epoch_end(epoch, logs)
            if model.stop_training:
                break
        container.on_train_end(logs)
        return model.history

    def _train_epoch(self, container: Any, rounds: int) -> dict[str, float]:
        first = len(self._runner.episodes)
        sums: dict[str, list[float]] = {}
        for number in range(rounds):
            container.on_train_batch_begin(number)
            found = self._train_round()
            for name, value in found.items():
                sums.setdefault(name, []).append(value)
            container.on_train_batch_end(number, found)
            if self.model.stop_training:
                break
        ended = self._runner.episodes[first:]
        if ended:
            returns = [one.episode_return for one in ended]
            lengths = [one.length for one in ended]
            self._means = {
                "episode_return": float(np.mean(returns)),
                "episode_length": float(np.mean(lengths)),
            }
        logs = dict.fromkeys(self._loss_names, math.nan)
        logs |= {name: float(np.mean(each)) for name, each in sums.items()}
        logs |= self._means
        logs["episodes"] = len(ended)
        logs["environment_steps"] = self.environment_steps
        return logs

    @property
    @abstractmethod
    def _steps_per_round(self) -> int:
        """Environment steps of one round."""

    @abstractmethod
    def _train_round(self) -> dict[str, float]:
        """Collects transitions, updates the model and returns losses."""

    @abstractmethod
    def _choose(self, outputs: np.ndarray) -> np.ndarray:
        """Chooses actions in training from the outputs of the model."""

    def act(self, observations: Any, *, greedy: bool = True) -> np.ndarray:
        """Chooses an action for each observation.

        Args:
            observations: Observations of the environment, shape `(batch,
                ...)`.
            greedy: Whether to take the action of the largest output. If
                `False`, actions are chosen as in training. Defaults to
                `True`.

        Returns:
            Actions, integers of shape `(batch,)`.
        """
        check_bool(greedy, "greedy")
        encoded = encode_observations(self._space, observations)
        outputs = predict(self.model, encoded)
        chosen = outputs.argmax(-1) if greedy else self._choose(outputs)
        return chosen + int(self._runner.vector.single_action_space.start)

    def evaluate(
        self,
        episodes: int = 10,
        *,
        environment: Any = None,
        max_steps: int = 10_000,
        seed: int | None = 0,
    ) -> float:
        """Computes the mean return of greedy episodes.

        The same number of episodes runs in every environment, so that short
        ones do not count more often. If the agent was made with an existing
        environment and none is given, that one is used: training goes on
        with new episodes there, whose seed the agent draws.

        Args:
            episodes: Number of episodes, at least 1; rounded up to the same
                number per environment. Defaults to `10`.
            environment: As the argument of the agent, with as many actions and
                observations of the same shape. Defaults to `None`: the
                agent's.
            max_steps: Steps that an episode may take, at least 1. Defaults to
                `10_000`.
            seed: Seed of the environments. Defaults to `0`.

        Returns:
            Mean sum of rewards, without discount.

        Raises:
            ValueError: If an episode does not end, or the model does not fit
                the environment.
        """
        check_integer(episodes, "episodes", minimum=1)
        check_integer(max_steps, "max_steps", minimum=1)
        check_seed(seed)
        source = self._source if environment is None else environment
        vector = make_vector(source, None, self._default_envs)
        try:
            check_same_shapes(vector, self._runner.vector)
            runner = VectorRunner(vector, seed)
            return self._run_greedy(runner, episodes, max_steps)
        finally:
            if not exists(source):
                vector.close()
            elif source is self._source:
                # Without a seed it would repeat the episodes after `seed`.
                self._runner.reset(int(self._random.integers(2**31)))

    def _run_greedy(
        self, runner: VectorRunner, episodes: int, max_steps: int
    ) -> float:
        each = math.ceil(episodes / runner.number)
        done: np.ndarray = np.zeros(runner.number, int)
        lengths: np.ndarray = np.zeros(runner.number, int)
        seen, total = 0, 0.0
        while done.min() < each:
            outputs = predict(self.model, runner.observations)
            runner.step(outputs.argmax(-1))
            lengths += 1
            for one in runner.episodes[seen:]:
                lengths[one.place] = 0
                if done[one.place] < each:
                    done[one.place] += 1
                    total += one.episode_return
            seen = len(runner.episodes)
            if lengths.max() > max_steps:
                raise ValueError(
                    "Argument `max_steps` must cover the longest episode, but "
                    f"one has not ended. Received: max_steps={max_steps!r}. "
                    "Limit the episodes with gymnasium.wrappers.TimeLimit"
                )
        return total / (each * runner.number)

    def close(self) -> None:
        """Closes the environments."""
        self._runner.vector.close()


def check_verbosity(verbose: Any) -> None:
    """Refuses what is no verbosity of `fit`."""
    if isinstance(verbose, bool) or verbose not in (0, 1, 2, "auto"):
        raise ValueError(
            'Argument `verbose` must be 0, 1, 2 or "auto". Received: '
            f"verbose={verbose!r}"
        )


def check_callbacks(callbacks: list[keras.callbacks.Callback]) -> None:
    """Refuses callbacks that cannot work with environments."""
    for one in callbacks:
        if isinstance(one, keras.callbacks.BackupAndRestore):
            raise ValueError(
                "Argument `callbacks` must not hold BackupAndRestore: the "
                "state of environments cannot be saved. Received: "
                f"callbacks=[{type(one).__name__}]. Save the model with "
                "keras.callbacks.ModelCheckpoint and make a new agent"
            )
