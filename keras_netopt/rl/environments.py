"""Environments of gymnasium: one kind for all, and checks of their spaces."""

from typing import Any

import numpy as np

from keras_netopt.checks import check_integer

MOST_COPIES = 10_000


def import_gymnasium() -> Any:
    """Imports gymnasium, or says how to install it."""
    try:
        import gymnasium
    except ImportError as error:
        raise ImportError(
            "Reinforcement learning needs the package gymnasium. Install it "
            'with `pip install "keras-netopt[rl]"`'
        ) from error
    return gymnasium


def make_vector(environment: Any, num_envs: int | None, default: int) -> Any:
    """Returns a vector environment of discrete actions.

    Args:
        environment: An id, a function that makes an environment, an
            environment, or a vector environment, which is returned.
        num_envs: Number of copies of the first two; `None` chooses `default`.
        default: That number.
    """
    gym = import_gymnasium()
    is_vector = isinstance(environment, gym.vector.VectorEnv)
    if exists(environment):
        number = getattr(environment, "num_envs", 1)
        if num_envs not in (None, number):
            raise ValueError(
                "Argument `num_envs` must be None for an environment that "
                "exists: pass an id or a function that makes one for "
                f"copies. Received: num_envs={num_envs!r}"
            )
        factories = [lambda: environment]
    else:
        copies = default if num_envs is None else num_envs
        check_integer(copies, "num_envs", minimum=1)
        if copies > MOST_COPIES:
            raise ValueError(
                f"Argument `num_envs` must be at most {MOST_COPIES:,}. "
                f"Received: num_envs={num_envs!r}"
            )
        if isinstance(environment, str):
            factories = [lambda: gym.make(environment)] * copies
        elif callable(environment):
            factories = [environment] * copies
        else:
            raise TypeError(
                "Argument `environment` must be an id of gymnasium, a "
                "function that makes an environment, a gymnasium.Env or a "
                f"gymnasium.vector.VectorEnv. Received: environment="
                f"{environment!r}"
            )
    # In this mode each step of the vector environment is one of every copy.
    vector = environment if is_vector else _copy(gym, environment, factories)
    _check_spaces(gym, vector)
    return vector


def _copy(gym: Any, environment: Any, factories: list[Any]) -> Any:
    """Returns a vector environment of new environments."""
    try:
        return gym.vector.SyncVectorEnv(
            factories, autoreset_mode=gym.vector.AutoresetMode.SAME_STEP
        )
    except Exception as error:
        raise ValueError(
            "Argument `environment` must make an environment of gymnasium: "
            f"the call failed with {type(error).__name__}: {error}. "
            f"Received: environment={environment!r}"
        ) from error


def exists(environment: Any) -> bool:
    """Whether an argument is an environment, not a way to make one."""
    gym = import_gymnasium()
    return isinstance(environment, gym.Env | gym.vector.VectorEnv)


def _check_spaces(gym: Any, vector: Any) -> None:
    actions = vector.single_action_space
    if not isinstance(actions, gym.spaces.Discrete):
        raise ValueError(
            "Argument `environment` must have a Discrete action space: the "
            "model has one output per action. Received: environment with the "
            f"action space {actions}. Make its actions discrete with a "
            "gymnasium.ActionWrapper"
        )
    observations = vector.single_observation_space
    if not isinstance(observations, gym.spaces.Box | gym.spaces.Discrete):
        raise ValueError(
            "Argument `environment` must have Box or Discrete observations. "
            "Received: environment with the observation space "
            f"{observations}. Use gymnasium.wrappers.FlattenObservation"
        )


def check_same_shapes(vector: Any, expected: Any) -> None:
    """Refuses an environment that the model of another one does not fit."""
    found, wanted = (
        (
            int(one.single_action_space.n),
            encode_observations(space, space.sample()).shape,
        )
        for one in (vector, expected)
        for space in (one.single_observation_space,)
    )
    if found != wanted:
        raise ValueError(
            f"Argument `environment` must have {wanted[0]} actions and "
            f"observations of shape {wanted[1]}, as that of the agent. "
            f"Received: environment with {found[0]} actions and observations "
            f"of shape {found[1]}. Adapt it with a wrapper of gymnasium"
        )


def reset_mode(vector: Any) -> str:
    """Returns when ended episodes are reset: the name of an AutoresetMode."""
    modes = import_gymnasium().vector.AutoresetMode
    found = getattr(vector, "metadata", {}).get("autoreset_mode")
    try:
        return str(modes(found).name)
    except ValueError:
        raise ValueError(
            "Argument `environment` must tell when it resets ended episodes, "
            "in metadata['autoreset_mode']: a gymnasium.vector.AutoresetMode. "
            f"Received: environment.metadata={vector.metadata!r}"
        ) from None


def encode_observations(space: Any, observations: Any) -> np.ndarray:
    """Returns observations as the model gets them.

    Values of a Discrete space become one-hot vectors, others float32.
    """
    if not hasattr(space, "n"):
        return np.array(observations, np.float32)
    places = np.asarray(observations, np.int64) - int(space.start)
    return np.eye(int(space.n), dtype=np.float32)[places]
