"""Selects a fixed number of tokens of a sequence, and adds to them."""

from typing import Any

from keras import ops


def select_top_k(scores: Any, k: int) -> tuple[Any, Any]:
    """Selects the k tokens with the highest scores, of shape `(batch, steps)`.

    Returns a float32 mask of that shape, 1 for selected tokens, and their
    int32 indices of shape `(batch, k)` in ascending order.
    """
    _, indices = ops.top_k(ops.stop_gradient(scores), k)
    indices = ops.sort(ops.cast(indices, "int32"), axis=1)
    hits = ops.one_hot(indices, scores.shape[1], dtype="float32")
    return ops.sum(hits, axis=1), indices


def select_first_k(eligible: Any, k: int) -> tuple[Any, Any]:
    """Selects the first k eligible tokens: a causal selection.

    `eligible` is a boolean tensor of shape `(batch, steps)`. Returns a mask
    and indices as `select_top_k` does; with fewer than k eligible tokens,
    indices of others fill the end.
    """
    steps = eligible.shape[1]
    eligible = ops.cast(eligible, "float32")
    mask = eligible * ops.cast(ops.cumsum(eligible, axis=1) <= k, "float32")
    order = 2.0 * steps * mask - ops.arange(steps, dtype="float32")
    _, indices = ops.top_k(order, k)
    return mask, ops.cast(indices, "int32")


def gather_tokens(tokens: Any, indices: Any) -> Any:
    """Gathers tokens, `(batch, steps, features)`, by index, `(batch, k)`.

    Takes rows of one flat table: TensorFlow's gradient of `take_along_axis`
    needs more than twice the time.
    """
    steps, features = tokens.shape[1:]
    offsets = ops.arange(ops.shape(tokens)[0], dtype="int32") * steps
    rows = ops.reshape(indices + offsets[:, None], (-1,))
    table = ops.reshape(tokens, (-1, features))
    found = ops.take(table, rows, axis=0)
    return ops.reshape(found, (-1, indices.shape[1], features))


def add_to_selected_tokens(tokens: Any, updates: Any, mask: Any) -> Any:
    """Adds to the selected tokens; the others are unchanged bit for bit.

    `tokens` has the shape `(batch, steps, features)`, `updates` the shape
    `(batch, k, features)`, in sequence order; the float `mask` of shape
    `(batch, steps)` is 1 for selected tokens. Gathers by the inverse
    permutation: a one-hot scatter needs `k * steps * features` multiplications
    per sample.
    """
    rank = ops.maximum(ops.cumsum(mask, axis=1) - 1.0, 0.0)
    spread = gather_tokens(updates, ops.cast(rank, "int32"))
    return tokens + spread * ops.cast(mask, tokens.dtype)[..., None]
