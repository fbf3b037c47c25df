"""When repeated steps end: the arithmetic of ACT and PonderNet.

Everything is a value a sample: `h` is what the halting unit answers, `running`
is 1 until the sample has halted, `spent` is the probability of having halted.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

SMALLEST = 1e-8


@dataclass
class EveryStep:
    """What a layer notes in one call.

    Args:
        p: The halting probabilities, of shape `(batch, steps)`.
        chosen: 1 at the step at which each sample halts, of the same shape.
    """

    p: Any = None
    chosen: Any = None


def act_step(
    h: Any, running: Any, spent: Any, is_last: Any, limit: Any
) -> tuple[Any, Any, Any]:
    """Gives one step its weight as ACT does.

    Example:

    >>> from keras import ops
    >>> h, one = ops.convert_to_tensor([0.3, 0.6]), ops.ones(2)
    >>> spent = ops.convert_to_tensor([0.5, 0.5])
    >>> found = act_step(h, one, spent, False, 0.99)
    >>> [[round(float(v), 2) for v in row] for row in found]
    [[0.3, 0.5], [1.0, 0.0], [0.8, 1.0]]

    Args:
        h: Tensor of shape `(batch,)`.
        running: Likewise.
        spent: Likewise: the sum of the weights so far.
        is_last: Whether no step follows.
        limit: Sum at which a sample halts.

    Returns:
        The step's weight, and `running` and `spent` after it.
    """
    halts = ops.logical_or(spent + h >= limit, is_last)
    weight = running * ops.where(halts, 1.0 - spent, h)
    return weight, running * ops.where(halts, 0.0, 1.0), spent + weight


def ponder_step(
    h: Any, running: Any, spent: Any, is_last: Any, limit: Any
) -> tuple[Any, Any, Any]:
    """Picks the step at which the probability of having halted is enough.

    Example:

    >>> from keras import ops
    >>> h, one = ops.convert_to_tensor([0.2, 0.6]), ops.ones(2)
    >>> spent = ops.convert_to_tensor([0.25, 0.25])
    >>> found = ponder_step(h, one, spent, False, 0.5)
    >>> [[round(float(v), 2) for v in row] for row in found]
    [[0.0, 1.0], [1.0, 0.0], [0.4, 0.7]]

    Args:
        h: Tensor of shape `(batch,)`.
        running: Likewise.
        spent: Likewise.
        is_last: Whether no step follows.
        limit: The probability at which a sample halts; drawn evenly from
            [0, 1), it halts the sample at step n with probability p_n.

    Returns:
        1 where the sample halts here and 0 elsewhere, and `running` and
        `spent` after the step.
    """
    spent = spent + halting_probability(h, spent, is_last)
    halts = ops.cast(ops.logical_or(spent >= limit, is_last), spent.dtype)
    return running * halts, running * (1.0 - halts), spent


def halting_probability(h: Any, spent: Any, is_last: Any) -> Any:
    """Returns how probable it is that a sample halts at this very step."""
    return ops.where(is_last, 1.0, h) * (1.0 - spent)


def halting_probabilities(h: Any) -> Any:
    """Returns p_n = h_n (1 - h_1) ... (1 - h_{n-1}), the last h being 1.

    Example:

    >>> from keras import ops
    >>> p = halting_probabilities(ops.convert_to_tensor([[0.5, 0.2, 0.3]]))
    >>> [round(float(value), 4) for value in p[0]]
    [0.5, 0.1, 0.4]

    Args:
        h: Tensor of shape `(batch, steps)`.

    Returns:
        Tensor of the same shape; each row sums to 1.
    """
    count = h.shape[1]
    spent = ops.zeros_like(h[:, 0])
    found = []
    for n in range(count):
        found.append(halting_probability(h[:, n], spent, n == count - 1))
        spent = spent + found[-1]
    return ops.stack(found, axis=1)


def geometric_prior(rate: float, steps: int) -> np.ndarray:
    """Returns a geometric distribution cut at the last step, of sum 1.

    Example:

    >>> [round(float(value), 4) for value in geometric_prior(0.5, 3)]
    [0.5714, 0.2857, 0.1429]

    Args:
        rate: The probability of halting at each step, above 0 and below 1.
        steps: How many steps there are.

    Returns:
        float32 array of shape `(steps,)`.
    """
    weights = (1.0 - rate) ** np.arange(steps)
    return (weights / weights.sum()).astype("float32")


def divergence(p: Any, prior: Any) -> Any:
    """Returns KL(p || prior) in nats, a value a sample.

    Example:

    >>> from keras import ops
    >>> p = ops.convert_to_tensor([[0.5, 0.5], [1.0, 0.0]])
    >>> found = divergence(p, ops.convert_to_tensor([0.5, 0.5]))
    >>> [round(float(value), 4) for value in found]
    [0.0, 0.6931]

    Args:
        p: Tensor of shape `(batch, steps)`; clipped at 1e-8 from below.
        prior: Tensor of shape `(steps,)`.

    Returns:
        Tensor of shape `(batch,)`.
    """
    p = ops.maximum(p, SMALLEST)
    prior = ops.maximum(ops.cast(prior, p.dtype), SMALLEST)
    return ops.sum(p * (ops.log(p) - ops.log(prior)), axis=1)


def expected_steps(p: Any) -> Any:
    """Returns the mean number of steps of each sample.

    Example:

    >>> from keras import ops
    >>> p = ops.convert_to_tensor([[0.5, 0.25, 0.25]])
    >>> float(expected_steps(p)[0])
    1.75

    Args:
        p: Tensor of shape `(batch, steps)`, rows of sum 1.

    Returns:
        Tensor of shape `(batch,)`.
    """
    numbers = np.arange(1, p.shape[1] + 1, dtype="float32")
    return ops.sum(p * ops.cast(numbers, p.dtype), axis=1)


def halting_step(p: Any, limit: Any) -> Any:
    """Marks the first step at which the sum of p reaches a limit.

    Example:

    >>> from keras import ops
    >>> p = ops.convert_to_tensor([[0.4, 0.2, 0.4]])
    >>> [float(value) for value in halting_step(p, 0.5)[0]]
    [0.0, 1.0, 0.0]

    Args:
        p: Tensor of shape `(batch, steps)`, rows of sum 1.
        limit: A number, or a tensor of shape `(batch,)`.

    Returns:
        1 at that step and 0 elsewhere, of the shape of `p`.
    """
    running, spent = ops.ones_like(p[:, 0]), ops.zeros_like(p[:, 0])
    count = p.shape[1]
    found = []
    for n in range(count):
        spent = spent + p[:, n]
        halts = ops.logical_or(spent >= limit, n == count - 1)
        found.append(running * ops.cast(halts, p.dtype))
        running = running - found[-1]
    return ops.stack(found, axis=1)
