"""Advantages of the actions of trajectories, in NumPy."""

from typing import Any

import numpy as np

from keras_netopt.checks import check_probability


def estimate_advantages(
    rewards: Any,
    values: Any,
    next_values: Any,
    terminated: Any,
    truncated: Any,
    *,
    discount: float = 0.99,
    gae_lambda: float = 0.95,
) -> np.ndarray:
    """Computes generalized advantage estimates.

    A terminated episode has no future: the value of its last observation
    counts as 0. An episode that a time limit truncates would have gone on: the
    value of its last observation is used. No estimate reaches over the end of
    an episode, nor over the end of the arrays, where the value of the next
    observation stands for the rest.

    Example:

    >>> estimate_advantages(
    ...     rewards=[[1.0], [1.0]],
    ...     values=[[0.5], [0.5]],
    ...     next_values=[[0.5], [4.0]],
    ...     terminated=[[False], [True]],
    ...     truncated=[[False], [False]],
    ...     discount=0.5,
    ...     gae_lambda=1.0,
    ... ).ravel().tolist()
    [1.0, 0.5]

    Args:
        rewards: Array of shape `(steps, environments)`.
        values: Values of the observations, same shape.
        next_values: Values of the observations after the step, which at the
            end of an episode are the last ones of it. Same shape.
        terminated: Whether the environment ended the episode. Same shape.
        truncated: Whether a limit outside of the environment did. Same shape.
        discount: Factor of the reward of the next step, in [0, 1]. Defaults to
            `0.99`.
        gae_lambda: Factor of the next step's estimate, in [0, 1]. 0 uses the
            value of the next observation, 1 all rewards. Defaults to `0.95`.

    Returns:
        Array of shape `(steps, environments)`.

    Raises:
        ValueError: If shapes differ or a factor is out of range.

    Reference:
        Schulman et al. 2015, arXiv 1506.02438; Pardo et al. 2018, arXiv
        1712.00378 (time limits).
    """
    discount = check_probability(discount, "discount")
    gae_lambda = check_probability(gae_lambda, "gae_lambda")
    rewards = np.asarray(rewards, np.float64)
    if rewards.ndim != 2:
        raise ValueError(
            "Argument `rewards` must have the shape (steps, environments). "
            f"Received: rewards of shape {rewards.shape}"
        )
    shape = rewards.shape
    values = _as_array(values, "values", shape)
    next_values = _as_array(next_values, "next_values", shape)
    is_terminal = _as_array(terminated, "terminated", shape, bool)
    is_last = is_terminal | _as_array(truncated, "truncated", shape, bool)
    errors = rewards + discount * next_values * ~is_terminal - values
    advantages = np.zeros_like(errors)
    following = np.zeros_like(errors[0])
    for step in reversed(range(len(errors))):
        following = (
            errors[step] + discount * gae_lambda * ~is_last[step] * following
        )
        advantages[step] = following
    return advantages


def _as_array(
    value: Any, name: str, shape: tuple[int, ...], dtype: Any = np.float64
) -> np.ndarray:
    array = np.asarray(value, dtype)
    if array.shape != shape:
        raise ValueError(
            f"Argument `{name}` must have the shape of `rewards`, {shape}. "
            f"Received: {name} of shape {array.shape}"
        )
    return array
