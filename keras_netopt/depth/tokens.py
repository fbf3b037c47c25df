"""Takes a fixed number of tokens out of a sequence and puts them back."""

from typing import Any

from keras import ops


def chosen(scores: Any, count: int) -> tuple[Any, Any]:
    """Chooses the tokens with the highest scores.

    Example:

    >>> from keras import ops
    >>> hit, places = chosen(ops.convert_to_tensor([[0.1, 3.0, 2.0]]), 2)
    >>> ops.convert_to_numpy(hit).tolist()
    [[0.0, 1.0, 1.0]]
    >>> ops.convert_to_numpy(places).tolist()
    [[1, 2]]

    Args:
        scores: Tensor of shape `(batch, steps)`.
        count: How many, from 1 to `steps`.

    Returns:
        A float32 tensor of shape `(batch, steps)`, 1 where a token is chosen,
        and an int32 tensor `(batch, count)` of places in ascending order.
    """
    _, places = ops.top_k(ops.stop_gradient(scores), count)
    places = ops.sort(ops.cast(places, "int32"), axis=1)
    marks = ops.one_hot(places, scores.shape[1], dtype="float32")
    return ops.sum(marks, axis=1), places


def first_of(wanted: Any, count: int) -> tuple[Any, Any]:
    """Chooses the first tokens that are wanted: no look ahead.

    Example:

    >>> from keras import ops
    >>> wanted = ops.convert_to_tensor([[True, False, True, True]])
    >>> hit, places = first_of(wanted, 2)
    >>> ops.convert_to_numpy(hit).tolist()
    [[1.0, 0.0, 1.0, 0.0]]
    >>> ops.convert_to_numpy(places).tolist()
    [[0, 2]]

    Args:
        wanted: Boolean tensor of shape `(batch, steps)`.
        count: How many at most, from 1 to `steps`.

    Returns:
        As `chosen`. Where fewer are wanted, places of others fill the end.
    """
    steps = wanted.shape[1]
    wanted = ops.cast(wanted, "float32")
    hit = wanted * ops.cast(ops.cumsum(wanted, axis=1) <= count, "float32")
    order = 2.0 * steps * hit - ops.arange(steps, dtype="float32")
    _, places = ops.top_k(order, count)
    return hit, ops.cast(places, "int32")


def gather(tokens: Any, places: Any) -> Any:
    """Takes tokens out.

    Rows of one long table are taken: TensorFlow's gradient of
    `take_along_axis` needs more than twice the time.

    Args:
        tokens: Tensor of shape `(batch, steps, features)`.
        places: Int tensor of shape `(batch, count)`.

    Returns:
        Tensor of shape `(batch, count, features)`.
    """
    steps, features = tokens.shape[1:]
    begins = ops.arange(ops.shape(tokens)[0], dtype="int32") * steps
    rows = ops.reshape(places + begins[:, None], (-1,))
    table = ops.reshape(tokens, (-1, features))
    found = ops.take(table, rows, axis=0)
    return ops.reshape(found, (-1, places.shape[1], features))


def put_back(tokens: Any, added: Any, hit: Any) -> Any:
    """Adds to the chosen tokens; the others stay exactly as they are.

    A gather by the inverse permutation: a one-hot scatter would multiply
    `count * steps * features` numbers a sample.

    Args:
        tokens: Tensor of shape `(batch, steps, features)`.
        added: Tensor of shape `(batch, count, features)`, in order.
        hit: Float tensor of shape `(batch, steps)`, 1 where a token is chosen.

    Returns:
        Tensor of shape `(batch, steps, features)`.
    """
    rank = ops.maximum(ops.cumsum(hit, axis=1) - 1.0, 0.0)
    spread = gather(added, ops.cast(rank, "int32"))
    return tokens + spread * ops.cast(hit, tokens.dtype)[..., None]
