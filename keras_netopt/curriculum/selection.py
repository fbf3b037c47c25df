"""Which samples of a batch are worth a backward pass.

Everything here is `keras.ops` on tensors and runs inside the compiled step.
"""

from typing import Any

from keras import ops

from keras_netopt.checks import (
    check_choice,
    check_number,
)

METHODS = ("percentile", "top", "rho")


def count_kept(batch: Any, keep: float) -> Any:
    """Returns how many samples of a batch are kept, at least one.

    Example:

    >>> count_kept(64, 0.5), count_kept(100, 0.29), count_kept(3, 0.1)
    (32, 29, 1)

    Args:
        batch: Samples of the batch, an int, or a tensor where TensorFlow does
            not know it yet.
        keep: The share to keep, in (0, 1).

    Returns:
        An int, or a tensor where `batch` is one.
    """
    if isinstance(batch, int):
        return max(1, int(keep * batch + 1e-6))
    share = ops.cast(batch, "float32") * keep + 1e-4
    return ops.maximum(1, ops.cast(ops.floor(share), "int32"))


def select_samples(
    losses: Any,
    keep: float,
    *,
    method: str = "percentile",
    noise: Any = None,
    irreducible: Any = None,
    weight: Any = None,
) -> Any:
    """Chooses the samples of a batch that are worth a backward pass.

    "top" takes the largest losses. "percentile" draws without replacement, a
    sample in place r of B, counted from the smallest loss, with a probability
    that grows as ((r + 1/2) / B) to the power 1 / keep - 1. "rho" takes those
    whose loss is farthest above what it could be.

    Example:

    >>> from keras import ops
    >>> losses = ops.convert_to_tensor([0.3, 2.0, 0.1, 1.0])
    >>> ops.convert_to_numpy(select_samples(losses, 0.5, method="top")).tolist()
    [1, 3]

    Args:
        losses: Loss of each sample, a tensor of shape `(batch,)`.
        keep: The share to keep, in (0, 1).
        method: "percentile", "top" or "rho". Defaults to `"percentile"`.
        noise: For "percentile", uniform random numbers in (0, 1) of shape
            `(batch,)`. Defaults to `None`.
        irreducible: For "rho", the loss of each sample that cannot be
            trained away, `(batch,)`. Defaults to `None`.
        weight: Sample weights, `(batch,)` or more axes; samples of weight 0
            come last. Defaults to `None`.

    Returns:
        The places of the samples kept, an int tensor `(kept,)`.

    Raises:
        TypeError: If `keep` is not a number.
        ValueError: If an argument is out of range, or the one that `method`
            needs is missing.

    Reference:
        Jiang et al., *Accelerating Deep Learning by Focusing on the Biggest
        Losers*, 2019, https://arxiv.org/abs/1910.00762; Mindermann et al.,
        *Prioritized Training on Points that are learnable, Worth Learning,
        and Not Yet Learnt*, 2022, https://arxiv.org/abs/2206.07137.
    """
    _check(losses, keep, method, noise, irreducible)
    count = count_kept(ops.shape(losses)[0], keep)
    scores = ops.cast(losses, "float32")
    if method == "rho":
        scores = scores - ops.cast(irreducible, "float32")
    if weight is not None:
        scores = ops.where(_is_weighted(weight), scores, -3e38)
    if method == "percentile":
        return _drawn(scores, keep, noise, count)
    return ops.top_k(scores, count)[1]


def _drawn(scores: Any, keep: float, noise: Any, count: Any) -> Any:
    """Draws without replacement: the largest of log p plus Gumbel noise."""
    order = ops.argsort(scores)
    batch = ops.shape(scores)[0]
    place = ops.cast(ops.arange(batch), "float32")
    share = (place + 0.5) / ops.cast(batch, "float32")
    gumbel = -ops.log(-ops.log(ops.clip(noise, 1e-7, 1.0 - 1e-7)))
    logarithm = (1.0 / keep - 1.0) * ops.log(share)
    return ops.take(order, ops.top_k(logarithm + gumbel, count)[1], axis=0)


def check_keep(keep: Any) -> None:
    """Refuses what is no share between nothing and all.

    Args:
        keep: What the caller passed.

    Raises:
        TypeError: If it is not a number.
        ValueError: If it is not in (0, 1).
    """
    if not 0.0 < check_number(keep, "keep") < 1.0:
        raise ValueError(
            "Argument `keep` must be a float in (0, 1). "
            f"Received: keep={keep!r}"
        )


def _check(
    losses: Any, keep: Any, method: Any, noise: Any, irreducible: Any
) -> None:
    check_keep(keep)
    check_choice(method, "method", METHODS)
    if len(losses.shape) != 1:
        raise ValueError(
            "Argument `losses` must have the shape (batch,). "
            f"Received: losses of shape {tuple(losses.shape)}"
        )
    needed = {
        "percentile": ("noise", noise),
        "rho": ("irreducible", irreducible),
    }
    name, value = needed.get(method, ("", 0))
    if value is None:
        raise ValueError(
            f'Argument `{name}` must be given with method="{method}". '
            f"Received: {name}=None"
        )


def _is_weighted(weight: Any) -> Any:
    axes = tuple(range(1, len(weight.shape)))
    return ops.any(weight > 0, axis=axes) if axes else weight > 0
