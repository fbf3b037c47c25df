"""Selects a fixed number of tokens of a sequence, and adds to them."""

from typing import Any

from keras import ops


def select_top_k(scores: Any, k: int) -> tuple[Any, Any]:
    """Selects the k tokens with the highest scores.

    Example:

    >>> from keras import ops
    >>> scores = ops.convert_to_tensor([[0.1, 3.0, 2.0]])
    >>> mask, indices = select_top_k(scores, 2)
    >>> ops.convert_to_numpy(mask).tolist()
    [[0.0, 1.0, 1.0]]
    >>> ops.convert_to_numpy(indices).tolist()
    [[1, 2]]

    Args:
        scores: Tensor of shape `(batch, steps)`.
        k: Number of tokens, from 1 to `steps`.

    Returns:
        A float32 mask of shape `(batch, steps)`, 1 for selected tokens, and
        their int32 indices of shape `(batch, k)` in ascending order.
    """
    _, indices = ops.top_k(ops.stop_gradient(scores), k)
    indices = ops.sort(ops.cast(indices, "int32"), axis=1)
    hits = ops.one_hot(indices, scores.shape[1], dtype="float32")
    return ops.sum(hits, axis=1), indices


def select_first_k(eligible: Any, k: int) -> tuple[Any, Any]:
    """Selects the first k eligible tokens: a causal selection.

    Example:

    >>> from keras import ops
    >>> eligible = ops.convert_to_tensor([[True, False, True, True]])
    >>> mask, indices = select_first_k(eligible, 2)
    >>> ops.convert_to_numpy(mask).tolist()
    [[1.0, 0.0, 1.0, 0.0]]
    >>> ops.convert_to_numpy(indices).tolist()
    [[0, 2]]

    Args:
        eligible: Boolean tensor of shape `(batch, steps)`.
        k: Largest number of tokens, from 1 to `steps`.

    Returns:
        As `select_top_k`. With fewer than k eligible tokens, indices of
        others fill the end.
    """
    steps = eligible.shape[1]
    eligible = ops.cast(eligible, "float32")
    mask = eligible * ops.cast(ops.cumsum(eligible, axis=1) <= k, "float32")
    order = 2.0 * steps * mask - ops.arange(steps, dtype="float32")
    _, indices = ops.top_k(order, k)
    return mask, ops.cast(indices, "int32")


def gather_tokens(tokens: Any, indices: Any) -> Any:
    """Gathers tokens by index.

    Takes rows of one flat table: TensorFlow's gradient of `take_along_axis`
    needs more than twice the time.

    Args:
        tokens: Tensor of shape `(batch, steps, features)`.
        indices: Integer tensor of shape `(batch, k)`.

    Returns:
        Tensor of shape `(batch, k, features)`.
    """
    steps, features = tokens.shape[1:]
    offsets = ops.arange(ops.shape(tokens)[0], dtype="int32") * steps
    rows = ops.reshape(indices + offsets[:, None], (-1,))
    table = ops.reshape(tokens, (-1, features))
    found = ops.take(table, rows, axis=0)
    return ops.reshape(found, (-1, indices.shape[1], features))


def add_to_selected_tokens(tokens: Any, updates: Any, mask: Any) -> Any:
    """Adds to the selected tokens; the others are unchanged bit for bit.

    Gathers by the inverse permutation: a one-hot scatter needs `k * steps *
    features` multiplications per sample.

    Args:
        tokens: Tensor of shape `(batch, steps, features)`.
        updates: Tensor of shape `(batch, k, features)`, in sequence order.
        mask: Float tensor of shape `(batch, steps)`, 1 for selected tokens.

    Returns:
        Tensor of shape `(batch, steps, features)`.
    """
    rank = ops.maximum(ops.cumsum(mask, axis=1) - 1.0, 0.0)
    spread = gather_tokens(updates, ops.cast(rank, "int32"))
    return tokens + spread * ops.cast(mask, tokens.dtype)[..., None]
