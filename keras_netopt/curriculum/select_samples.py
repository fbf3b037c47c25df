"""Selection of samples in a batch for the backward pass.

Written in `keras.ops`, so it runs inside the compiled training step.
"""

from typing import Any

from keras import ops

from keras_netopt.checks import check_choice, check_number
from keras_netopt.training.replicas import count_replicas

SELECTION_METHODS = ("percentile", "top", "rho")


def count_kept(batch: Any, keep_fraction: float) -> Any:
    """Returns the number of samples of a batch to keep, at least 1 a replica.

    It is rounded down to a multiple of the number of replicas: Keras takes
    the mean of their losses, in which equal shares have equal weights. It is
    a tensor if `batch` is one because TensorFlow does not know the size while
    tracing.
    """
    replicas = count_replicas()
    if isinstance(batch, int):
        count = int(keep_fraction * batch + 1e-6) // replicas * replicas
        return min(max(replicas, count), batch)
    share = ops.cast(batch, "float32") * keep_fraction + 1e-4
    count = ops.cast(ops.floor(share / replicas), "int32") * replicas
    return ops.minimum(ops.maximum(replicas, count), batch)


def select_samples(
    losses: Any,
    keep_fraction: float = 0.5,
    *,
    method: str = "percentile",
    noise: Any = None,
    irreducible_loss: Any = None,
    sample_weight: Any = None,
) -> Any:
    """Selects the samples of a batch for the backward pass.

    "top" selects the largest losses. "percentile" samples without
    replacement; the probability of the sample with rank r of B, counted from
    the smallest loss, is proportional to ((r + 1/2) / B) to the power
    1 / `keep_fraction` - 1. "rho" selects the largest differences between the
    loss and the irreducible loss (RHO-LOSS). In a step of several replicas
    the number of selected samples is rounded down to a multiple of theirs, at
    least one each.

    Example:

    >>> from keras import ops
    >>> losses = ops.convert_to_tensor([0.3, 2.0, 0.1, 1.0])
    >>> ops.convert_to_numpy(select_samples(losses, 0.5, method="top")).tolist()
    [1, 3]

    Args:
        losses: Loss of each sample, a tensor of shape `(batch,)`.
        keep_fraction: Share of the batch to keep, in (0, 1). Defaults to
            `0.5`.
        method: "percentile", "top" or "rho". Defaults to `"percentile"`.
        noise: For "percentile", uniform random numbers in (0, 1) of shape
            `(batch,)`. Defaults to `None`.
        irreducible_loss: For "rho", the loss of each sample under a model
            trained on held-out data, of shape `(batch,)`. Defaults to `None`.
        sample_weight: Sample weights of shape `(batch, ...)`; samples of
            weight 0 are selected last. Defaults to `None`.

    Returns:
        Indices of the selected samples, an int tensor of shape `(kept,)`.

    Raises:
        TypeError: If `keep_fraction` is not a number.
        ValueError: If an argument is out of range, or an argument that
            `method` needs is missing.

    Reference:
        Jiang et al., *Accelerating Deep Learning by Focusing on the Biggest
        Losers*, 2019, https://arxiv.org/abs/1910.00762; Mindermann et al.,
        *Prioritized Training on Points that are learnable, Worth Learning,
        and Not Yet Learnt*, 2022, https://arxiv.org/abs/2206.07137.
    """
    _check_arguments(losses, keep_fraction, method, noise, irreducible_loss)
    count = count_kept(ops.shape(losses)[0], keep_fraction)
    scores = ops.cast(losses, "float32")
    if method == "rho":
        scores = scores - ops.cast(irreducible_loss, "float32")
    if sample_weight is not None:
        scores = ops.where(_is_weighted(sample_weight), scores, -3e38)
    if method == "percentile":
        return _sample_by_rank(scores, keep_fraction, noise, count)
    return ops.top_k(scores, count)[1]


def _sample_by_rank(
    scores: Any, keep_fraction: float, noise: Any, count: Any
) -> Any:
    """Samples without replacement: the largest of log p plus Gumbel noise."""
    order = ops.argsort(scores)
    batch = ops.shape(scores)[0]
    rank = ops.cast(ops.arange(batch), "float32")
    share = (rank + 0.5) / ops.cast(batch, "float32")
    gumbel = -ops.log(-ops.log(ops.clip(noise, 1e-7, 1.0 - 1e-7)))
    log_probability = (1.0 / keep_fraction - 1.0) * ops.log(share)
    return ops.take(
        order, ops.top_k(log_probability + gumbel, count)[1], axis=0
    )


def check_keep_fraction(keep_fraction: Any) -> None:
    """Raises TypeError or ValueError unless a share is in (0, 1)."""
    if not 0.0 < check_number(keep_fraction, "keep_fraction") < 1.0:
        raise ValueError(
            "Argument `keep_fraction` must be a float in (0, 1). "
            f"Received: keep_fraction={keep_fraction!r}"
        )


def _check_arguments(
    losses: Any,
    keep_fraction: Any,
    method: Any,
    noise: Any,
    irreducible_loss: Any,
) -> None:
    check_keep_fraction(keep_fraction)
    check_choice(method, "method", SELECTION_METHODS)
    if len(losses.shape) != 1:
        raise ValueError(
            "Argument `losses` must have the shape (batch,). "
            f"Received: losses of shape {tuple(losses.shape)}"
        )
    needed = {
        "percentile": ("noise", noise),
        "rho": ("irreducible_loss", irreducible_loss),
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
