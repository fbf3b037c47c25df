"""Architecture of a CartPole policy: fixed, grown, or chosen by a search.

Run as `python -m benchmarks.progressive.policy_architecture`, on JAX. Every
arm has the same number of environment steps, those of a search included. Rows
in the JSON are kept; `--fresh` measures all.
"""

import itertools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from benchmarks.missing_rows import measure_missing
from keras_netopt import rl, surgery

NAME = "progressive_policy_architecture"
STEPS, PER_EPOCH, TRIAL_STEPS = 8_192, 1_024, 1_024
SMALL, LARGE, HIDDEN = 8, 64, ("hidden1", "hidden2")
SETTINGS = {
    "environment": "CartPole-v1, 8 copies",
    "steps": STEPS,
    "policy": "two hidden layers of tanh, Adam 3e-3",
    "grown": f"from {SMALL} to {LARGE} units after a quarter of the steps",
    "search": f"random search, 4 policies for {TRIAL_STEPS:,} steps each; the "
    "best one goes on",
}
SPACE = tuple(itertools.product((8, 32, 64, 128), (1, 2)))


def main() -> None:
    """Measures every missing row."""
    measure_missing(NAME, SETTINGS, ARMS, train, STEPS)


def train(arm: str, seed: int, steps: int) -> dict[str, Any]:
    """Trains one policy."""
    keras.utils.set_random_seed(seed)
    agent, curve = ARMS[arm](seed, steps)
    return {
        "area": round(float(np.nanmean(curve)), 2),
        "last": round(float(np.nanmean(curve[-4:])), 2),
        "greedy": round(float(np.mean(agent.evaluate(10))), 1),
        "parameters": agent.model.count_params(),
        "curve": [round(float(one), 1) for one in curve],
    }


def build(width: int, depth: int = 2) -> keras.Model:
    """Returns a compiled policy."""
    body = [
        keras.layers.Dense(width, "tanh", name=name) for name in HIDDEN[:depth]
    ]
    model = keras.Sequential(
        [keras.Input((4,)), *body, keras.layers.Dense(2, name="head")]
    )
    model.compile(keras.optimizers.Adam(3e-3))
    return model


def learn(agent: rl.PolicyGradient, steps: int) -> list[float]:
    """Returns the mean return of each epoch."""
    history = agent.learn(steps, steps_per_epoch=PER_EPOCH, verbose=0)
    return list(history.history["episode_return"])


def fixed(width: int) -> Callable[[int, int], Any]:
    """Returns an arm with a policy of one width."""

    def arm(seed: int, steps: int) -> Any:
        agent = rl.PolicyGradient(build(width), "CartPole-v1", seed=seed)
        return agent, learn(agent, steps)

    return arm


def grown(seed: int, steps: int) -> Any:
    """Widens the policy between two calls of `learn`."""
    agent = rl.PolicyGradient(build(SMALL), "CartPole-v1", seed=seed)
    curve = learn(agent, steps // 4)
    for name in HIDDEN:
        surgery.widen(agent.model, name, to=LARGE, seed=seed)
    return agent, curve + learn(agent, steps - steps // 4)


def searched(seed: int, steps: int) -> Any:
    """Tries some policies shortly and goes on with the best."""
    rng = np.random.default_rng(seed)
    trial_steps = min(TRIAL_STEPS, steps // 8)
    trials = []
    for place in rng.permutation(len(SPACE))[:4]:
        agent = rl.PolicyGradient(
            build(*SPACE[place]), "CartPole-v1", seed=seed
        )
        trials.append((agent, learn(agent, trial_steps)))
    agent, _ = max(trials, key=lambda one: one[1][-1])
    curve = [value for _, one in trials for value in one]
    return agent, curve + learn(agent, steps - 4 * trial_steps)


ARMS: dict[str, Callable[[int, int], Any]] = {
    f"fixed, {SMALL} units": fixed(SMALL),
    f"fixed, {LARGE} units": fixed(LARGE),
    "grown": grown,
    "searched": searched,
}


if __name__ == "__main__":
    main()
