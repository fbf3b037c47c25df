"""Policy gradient with a value baseline: REINFORCE and actor-critic."""

from typing import Any

import keras
import numpy as np
from keras import layers

from keras_netopt.checks import (
    check_at_least_zero,
    check_bool,
    check_integer,
    check_probability,
)
from keras_netopt.rl.advantages import estimate_advantages
from keras_netopt.rl.agent import Agent
from keras_netopt.rl.agent_model import (
    check_agent_model,
    compile_for_agent,
    predict,
)
from keras_netopt.rl.policy_gradient_loss import PolicyGradientLoss
from keras_netopt.rl.vector_runner import Transitions


class PolicyGradient(Agent):
    """Trains a policy by policy gradients with a value baseline.

    In each update all environments take `rollout_steps` steps with actions
    that are sampled from the policy. A second model, the baseline, estimates
    the value of each observation; the policy takes one step along the
    gradient of `advantage * log(probability of the action)`. With
    `gae_lambda=1.0` this is REINFORCE with a baseline, with smaller values
    advantage actor-critic. Episodes that a time limit truncates count as
    unfinished, and steps in which a vector environment resets itself are
    masked.

    The model is any Keras model from a batch of observations to logits, also
    one that was pruned or grown, or a task of a progressive network. A
    compiled model keeps its optimizer; its loss is replaced.

    Example:

    >>> import keras
    >>> import keras_netopt as netopt
    >>> policy = keras.Sequential(
    ...     [keras.Input((4,)), keras.layers.Dense(16, "tanh"),
    ...      keras.layers.Dense(2)]
    ... )
    >>> agent = netopt.rl.PolicyGradient(policy, "CartPole-v1")
    >>> history = agent.learn(512, verbose=0)
    >>> history.history["environment_steps"]
    [512.0]

    Args:
        model: A `keras.Model` from observations to logits, one per action.
        environment: An id of gymnasium, a function that makes an environment,
            an environment, or a `gymnasium.vector.VectorEnv`. The actions are
            discrete, the observations a Box or Discrete (one-hot vectors for
            the model).
        num_envs: Number of copies for an id or a function. Defaults to
            `None`: 8.
        rollout_steps: Steps of each environment per update, at least 1.
            Defaults to `32`.
        discount: Factor of the reward of the next step, in [0, 1]. Defaults to
            `0.99`.
        gae_lambda: Share of later rewards in the advantages, in [0, 1]: 0 uses
            the baseline's value of the next observation, 1 all rewards of the
            rollout. Defaults to `0.95`.
        entropy_coefficient: Factor of the entropy of the policy, which is
            added to the objective, at least 0. Defaults to `0.01`.
        normalize_advantages: Whether the advantages of each update get mean 0
            and standard deviation 1. Defaults to `True`.
        value_model: A `keras.Model` from observations to one number. A
            compiled one keeps its optimizer. Defaults to `None`: two layers
            of 64 units, with Adam.
        value_updates: Steps of the baseline per update, at least 1. Defaults
            to `4`.
        optimizer: Optimizer of the model. Defaults to `None`: that of a
            compiled model, else Adam with a learning rate of 0.001.
        seed: Seed of environments, actions and the default baseline; with the
            same initial weights a run repeats exactly. Defaults to `0`.

    Raises:
        ImportError: If gymnasium is not installed.
        ValueError: If the environment has other actions or observations, the
            model does not fit it, the optimizer belongs to another model, or
            one transition per update is to be normalized.

    Reference:
        Williams 1992, Machine Learning 8 (REINFORCE); Mnih et al. 2016, arXiv
        1602.01783; Schulman et al. 2015, arXiv 1506.02438.
    """

    _loss_names = ("loss", "value_loss")

    def __init__(
        self,
        model: keras.Model,
        environment: Any,
        *,
        num_envs: int | None = None,
        rollout_steps: int = 32,
        discount: float = 0.99,
        gae_lambda: float = 0.95,
        entropy_coefficient: float = 0.01,
        normalize_advantages: bool = True,
        value_model: keras.Model | None = None,
        value_updates: int = 4,
        optimizer: Any = None,
        seed: int | None = 0,
    ) -> None:
        self.rollout_steps = check_integer(
            rollout_steps, "rollout_steps", minimum=1
        )
        self.gae_lambda = check_probability(gae_lambda, "gae_lambda")
        self.entropy_coefficient = check_at_least_zero(
            entropy_coefficient, "entropy_coefficient"
        )
        self.normalize_advantages = check_bool(
            normalize_advantages, "normalize_advantages"
        )
        self.value_updates = check_integer(
            value_updates, "value_updates", minimum=1
        )
        super().__init__(
            model,
            environment,
            num_envs=num_envs,
            discount=discount,
            seed=seed,
            default_envs=8,
        )
        if self.normalize_advantages and self._steps_per_round < 2:
            raise ValueError(
                "Argument `normalize_advantages` must be False for updates of "
                "one transition, whose normalized advantage is 0. Received: "
                f"normalize_advantages=True, rollout_steps={rollout_steps!r} "
                "with one environment. Raise `rollout_steps` or `num_envs`"
            )
        if value_model is None:
            shape = self._runner.observations.shape[1:]
            value_model = _build_baseline(shape, self.seed)
        else:
            check_agent_model(value_model, self._space, 1, "value_model")
        compile_for_agent(
            model, PolicyGradientLoss(self.entropy_coefficient), optimizer
        )
        loss = keras.losses.MeanSquaredError(
            reduction="mean_with_sample_weight"
        )
        compile_for_agent(value_model, loss, name="value_model")
        self.value_model = value_model

    @property
    def _steps_per_round(self) -> int:
        return self.rollout_steps * self._runner.number

    def _choose(self, outputs: np.ndarray) -> np.ndarray:
        # The largest of logits plus Gumbel noise is a sample of the softmax.
        noise = self._random.gumbel(size=outputs.shape)
        chosen: np.ndarray = (outputs + noise).argmax(-1)
        return chosen

    def _train_round(self) -> dict[str, float]:
        rollout, entropy = self._collect()
        if not rollout.valid.any():
            return {"entropy": entropy}
        values = self._values(rollout.observations)
        advantages = estimate_advantages(
            rollout.rewards,
            values,
            self._values(rollout.next_observations),
            rollout.terminated,
            rollout.truncated,
            discount=self.discount,
            gae_lambda=self.gae_lambda,
        )
        x = _as_batch(rollout.observations)
        weights: np.ndarray = rollout.valid.reshape(-1).astype("float32")
        returns = (advantages + values).reshape(-1, 1).astype("float32")
        if self.normalize_advantages:
            advantages = _normalize(advantages, rollout.valid)
        targets = np.stack([rollout.actions, advantages], axis=-1)
        loss = self.model.train_on_batch(
            x, targets.reshape(-1, 2).astype("float32"), weights
        )
        for _ in range(self.value_updates):
            value_loss = self.value_model.train_on_batch(x, returns, weights)
        return {
            "loss": float(loss),
            "value_loss": float(value_loss),
            "entropy": entropy,
        }

    def _collect(self) -> tuple[Transitions, float]:
        """Returns a rollout, arrays of shape (steps, environments, ...)."""
        steps: list[Transitions] = []
        entropies = []
        for _ in range(self.rollout_steps):
            outputs = predict(self.model, self._runner.observations)
            entropies.append(_mean_entropy(outputs))
            steps.append(self._runner.step(self._choose(outputs)))
        rollout = Transitions(
            *(
                np.stack([getattr(step, name) for step in steps])
                for name in Transitions.__dataclass_fields__
            )
        )
        return rollout, float(np.mean(entropies))

    def _values(self, observations: np.ndarray) -> np.ndarray:
        values = predict(self.value_model, _as_batch(observations))
        return values.reshape(observations.shape[:2])


def _as_batch(observations: np.ndarray) -> np.ndarray:
    return observations.reshape(-1, *observations.shape[2:])


def _normalize(advantages: np.ndarray, valid: np.ndarray) -> np.ndarray:
    chosen = advantages[valid]
    return (advantages - chosen.mean()) / (chosen.std() + 1e-8)


def _mean_entropy(logits: np.ndarray) -> float:
    shifted = logits - logits.max(-1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return float(-(np.exp(log_p) * log_p).sum(-1).mean())


def _build_baseline(shape: tuple[int, ...], seed: int | None) -> keras.Model:
    def dense(units: int, number: int, **arguments: Any) -> Any:
        chosen = None if seed is None else (3 * seed + number) % 2**32
        initializer = keras.initializers.GlorotUniform(chosen)
        return layers.Dense(units, kernel_initializer=initializer, **arguments)

    return keras.Sequential(
        [
            keras.Input(shape),
            layers.Flatten(),
            dense(64, 0, activation="tanh"),
            dense(64, 1, activation="tanh"),
            dense(1, 2),
        ],
        name="value_model",
    )
