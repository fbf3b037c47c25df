"""Variants of the cart pole: related tasks for transfer."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from keras_netopt.rl.environments import import_gymnasium

# Changes of the physics: attributes of gymnasium's CartPoleEnv, by a factor.
PHYSICS = {
    "gravity": {"gravity": 2.0},
    "long_pole": {"length": 2.0},
    "weak_force": {"force_mag": 0.5},
}
SCALES = (0.25, 0.5, 2.0, 4.0)
NOISE = 0.05


def cart_pole_variants() -> dict[str, Callable[[], Any]]:
    """Returns functions that make variants of gymnasium's "CartPole-v1".

    | name | change |
    | --- | --- |
    | `standard` | none |
    | `gravity` | twice the gravity |
    | `long_pole` | a pole of twice the length |
    | `weak_force` | half the force |
    | `mirrored` | the two actions are exchanged |
    | `scaled` | observations times 0.25, 0.5, 2 and 4 |
    | `noisy` | observations plus Gaussian noise, standard deviation 0.05 |

    Example:

    >>> make = cart_pole_variants()["gravity"]
    >>> make().unwrapped.gravity
    19.6

    Returns:
        A dictionary from names to functions without arguments; each returns a
        new `gymnasium.Env` with the time limit of 500 steps.

    Raises:
        ImportError: If gymnasium is not installed.

    Reference:
        Barto et al. 1983, IEEE Trans. Syst. Man Cybern. 13 (cart pole).
    """
    import_gymnasium()
    functions: dict[str, Callable[[], Any]] = {"standard": _make}
    for name, factors in PHYSICS.items():
        functions[name] = partial(_make_physics, factors)
    functions["mirrored"] = _make_mirrored
    functions["scaled"] = _make_scaled
    functions["noisy"] = _make_noisy
    return functions


def _make() -> Any:
    return import_gymnasium().make("CartPole-v1", disable_env_checker=True)


def _make_physics(factors: dict[str, float]) -> Any:
    environment = _make()
    inner = environment.unwrapped
    for name, factor in factors.items():
        setattr(inner, name, getattr(inner, name) * factor)
    # gymnasium computes this product once, when it makes the environment.
    inner.polemass_length = inner.masspole * inner.length
    return environment


def _make_mirrored() -> Any:
    environment = _make()
    return import_gymnasium().wrappers.TransformAction(
        environment, lambda action: 1 - action, environment.action_space
    )


def _make_scaled() -> Any:
    scales = np.array(SCALES, np.float32)
    environment = _make()
    inner = environment.observation_space
    space = import_gymnasium().spaces.Box(
        inner.low * scales, inner.high * scales, dtype=np.float32
    )
    return _observe(environment, lambda one: one * scales, space)


def _make_noisy() -> Any:
    environment = _make()

    def add_noise(observation: np.ndarray) -> np.ndarray:
        # The generator that `reset(seed=...)` seeds.
        noise = environment.unwrapped.np_random.normal(0.0, NOISE, 4)
        return observation + noise.astype(np.float32)

    return _observe(environment, add_noise, environment.observation_space)


def _observe(environment: Any, change: Any, space: Any) -> Any:
    return import_gymnasium().wrappers.TransformObservation(
        environment, change, space
    )
