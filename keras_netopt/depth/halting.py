"""Halting arithmetic of ACT and PonderNet, per sample.

`h` is the output of the halting unit, `running` is 1 until the sample has
halted, `cumulative` is the probability of having halted so far.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

MIN_PROBABILITY = 1e-8


@dataclass
class HaltingRecord:
    """Halting values of one call of a layer.

    Args:
        p: Halting probabilities, shape `(batch, steps)`.
        halts: 1 at the step at which each sample halts, of the same shape.
    """

    p: Any = None
    halts: Any = None


def apply_act_step(
    h: Any, running: Any, cumulative: Any, is_last: Any, threshold: Any
) -> tuple[Any, Any, Any]:
    """Computes the weight of one ACT step, from tensors of shape `(batch,)`.

    A sample halts when the sum of its weights reaches `threshold`. Returns the
    weight of the step (the remainder at the last one), and `running` and
    `cumulative` after it.
    """
    halts = ops.logical_or(cumulative + h >= threshold, is_last)
    weight = running * ops.where(halts, 1.0 - cumulative, h)
    return weight, running * ops.where(halts, 0.0, 1.0), cumulative + weight


def apply_ponder_step(
    h: Any, running: Any, cumulative: Any, is_last: Any, threshold: Any
) -> tuple[Any, Any, Any]:
    """Halts at the step where the cumulative probability reaches a threshold.

    All tensors have the shape `(batch,)`. With a threshold sampled from the
    uniform distribution on [0, 1), a sample halts at step n with probability
    p_n. Returns 1 if the sample halts here, otherwise 0, and `running` and
    `cumulative` after the step.
    """
    cumulative = cumulative + halting_probability(h, cumulative, is_last)
    halts = ops.logical_or(cumulative >= threshold, is_last)
    halts = ops.cast(halts, cumulative.dtype)
    return running * halts, running * (1.0 - halts), cumulative


def halting_probability(h: Any, cumulative: Any, is_last: Any) -> Any:
    """Returns the probability of halting at this step."""
    return ops.where(is_last, 1.0, h) * (1.0 - cumulative)


def halting_probabilities(h: Any) -> Any:
    """Returns p_n = h_n (1 - h_1) ... (1 - h_{n-1}), with 1 as the last h.

    `h` and the result have the shape `(batch, steps)`; each row sums to 1.
    """
    count = h.shape[1]
    cumulative = ops.zeros_like(h[:, 0])
    p = []
    for n in range(count):
        p.append(halting_probability(h[:, n], cumulative, n == count - 1))
        cumulative = cumulative + p[-1]
    return ops.stack(p, axis=1)


def geometric_prior(rate: float, steps: int) -> np.ndarray:
    """Returns a geometric distribution, truncated and scaled to sum 1.

    `rate` is the probability of halting at each step, in (0, 1); the result is
    a float32 array of shape `(steps,)`.
    """
    weights = (1.0 - rate) ** np.arange(steps)
    return (weights / weights.sum()).astype("float32")


def kl_divergence(p: Any, prior: Any) -> Any:
    """Returns KL(p || prior) in nats, of shape `(batch,)`.

    `p` has the shape `(batch, steps)` and is clipped at 1e-8 from below,
    `prior` the shape `(steps,)`.
    """
    p = ops.maximum(p, MIN_PROBABILITY)
    prior = ops.maximum(ops.cast(prior, p.dtype), MIN_PROBABILITY)
    return ops.sum(p * (ops.log(p) - ops.log(prior)), axis=1)


def expected_steps(p: Any) -> Any:
    """Returns the expected number of steps, of shape `(batch,)`.

    `p` has the shape `(batch, steps)` and rows that sum to 1.
    """
    numbers = np.arange(1, p.shape[1] + 1, dtype="float32")
    return ops.sum(p * ops.cast(numbers, p.dtype), axis=1)


def halting_step_mask(p: Any, threshold: Any) -> Any:
    """Marks the first step at which the cumulative sum reaches a threshold.

    `p` has the shape `(batch, steps)` and rows that sum to 1; the threshold is
    a number or a tensor of shape `(batch,)`. Returns a tensor of the shape of
    `p`: 1 at that step, otherwise 0.
    """
    running, cumulative = ops.ones_like(p[:, 0]), ops.zeros_like(p[:, 0])
    count = p.shape[1]
    masks = []
    for n in range(count):
        cumulative = cumulative + p[:, n]
        halts = ops.logical_or(cumulative >= threshold, n == count - 1)
        masks.append(running * ops.cast(halts, p.dtype))
        running = running - masks[-1]
    return ops.stack(masks, axis=1)
