"""Contract settings of agents, their losses and their environments."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from contract.function_setting import Call, FunctionSetting
from environments_by_hand import Chain

from keras_netopt import rl


def _agent(kind: str, **arguments: Any) -> Callable[..., Call]:
    """One round of an agent with a model of its own."""

    def changed(**other: Any) -> Call:
        def call(_, folder):
            keras.utils.set_random_seed(0)
            model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
            model.compile("sgd", run_eagerly=True)
            chosen = {"model": model, "environment": Chain, **arguments}
            agent = getattr(rl, kind)(**{**chosen, **other})
            agent.learn(1, verbose=0)
            return agent.environment_steps

        return call

    return changed


_policy = _agent("PolicyGradient", rollout_steps=1, value_updates=1)
_dqn = _agent("DQN", learning_starts=1)

# Wrong values of arguments that both agents have.
BOTH_BAD = {
    "model": "model",
    "environment": 3,
    "num_envs": 0,
    "discount": 1.5,
    "optimizer": "no such optimizer",
    "seed": -1,
}
POLICY_BAD = {
    "rollout_steps": 0,
    "gae_lambda": 2.0,
    "entropy_coefficient": -1.0,
    "normalize_advantages": "yes",
    "value_model": "model",
    "value_updates": 0,
}
DQN_BAD = {
    "buffer_size": 0,
    "batch_size": 0,
    "learning_starts": 100_000,
    "train_every": 0,
    "target_update": 0,
    "double": 1,
    "epsilon_initial": 2.0,
    "epsilon_final": -1.0,
    "epsilon_steps": 0,
    "delta": 0.0,
}


def _loss(kind: str, **arguments: Any) -> Call:
    def call(_, folder):
        y = np.array([[0.0, 2.0], [1.0, -1.0]], "float32")
        outputs = np.array([[1.0, 2.0], [0.0, 3.0]], "float32")
        return float(getattr(rl, kind)(**arguments)(y, outputs))

    return call


def _advantages(**changed: Any) -> Call:
    def call(_, folder):
        arguments = {
            "rewards": [[1.0], [2.0]],
            "values": [[0.5], [0.0]],
            "next_values": [[0.0], [3.0]],
            "terminated": [[False], [False]],
            "truncated": [[False], [True]],
            **changed,
        }
        return rl.estimate_advantages(**arguments).tolist()

    return call


FUNCTIONS = (
    FunctionSetting(
        component="rl.PolicyGradient",
        call=_policy(),
        is_pruned=False,
        bad={n: _policy(**{n: v}) for n, v in (BOTH_BAD | POLICY_BAD).items()},
    ),
    FunctionSetting(
        component="rl.DQN",
        call=_dqn(),
        is_pruned=False,
        bad={n: _dqn(**{n: v}) for n, v in (BOTH_BAD | DQN_BAD).items()},
    ),
    FunctionSetting(
        component="rl.PolicyGradientLoss",
        call=_loss("PolicyGradientLoss"),
        is_pruned=False,
        bad={
            "entropy_coefficient": _loss(
                "PolicyGradientLoss", entropy_coefficient=-1
            )
        },
        free=("reduction", "name", "dtype"),
    ),
    FunctionSetting(
        component="rl.QLoss",
        call=_loss("QLoss"),
        is_pruned=False,
        bad={"delta": _loss("QLoss", delta=0)},
        free=("reduction", "name", "dtype"),
    ),
    FunctionSetting(
        component="rl.estimate_advantages",
        call=_advantages(),
        is_pruned=False,
        bad={
            **{
                name: _advantages(**{name: [[0.0], [0.0], [0.0]]})
                for name in ("values", "next_values", "terminated", "truncated")
            },
            "rewards": _advantages(rewards=[1.0, 2.0]),
            "discount": _advantages(discount=1.5),
            "gae_lambda": _advantages(gae_lambda=-0.5),
        },
    ),
    FunctionSetting(
        component="rl.cart_pole_variants",
        call=lambda _, folder: list(rl.cart_pole_variants()),
        is_pruned=False,
    ),
)
