"""What the replicas of a `tf.distribute` strategy know together.

A strategy of TensorFlow runs the step once per replica, each with its part of
the batch: what a step measures there is a statistic of that part. On JAX the
step of a distributed model sees the whole batch. Outside the step of a
strategy with several replicas these functions return their arguments.

Private names of Keras 3.15: `current_call_ctx`, `Layer._losses`,
`Layer._loss_ids`.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras
from keras import ops
from keras.src.backend.common import global_state

from keras_netopt.graph.layers import walk_layers
from keras_netopt.training.backend import clear_losses


def count_replicas() -> int:
    """Returns how many replicas run this step together."""
    context = _context()
    return 1 if context is None else int(context.num_replicas_in_sync)


def replica_index() -> Any:
    """Returns the number of this replica: an int32 tensor, or 0 if alone."""
    context = _context()
    if context is None:
        return 0
    return ops.cast(context.replica_id_in_sync_group, "int32")


def sum_over_replicas(tensors: Sequence[Any]) -> list[Any]:
    """Adds up each tensor over the replicas; it has a gradient."""
    context = _context()
    if context is None or not tensors:
        return list(tensors)
    import tensorflow as tf

    with _explain_branches(), _keep_losses():
        found = context.all_reduce(tf.distribute.ReduceOp.SUM, list(tensors))
    return list(found)


def mean_of_batch(values: Any) -> Any:
    """Returns the mean over the whole batch, a scalar; it has a gradient."""
    if count_replicas() == 1:
        return ops.mean(values)
    size = ops.cast(ops.size(values), values.dtype)
    total, count = sum_over_replicas([ops.sum(values), size])
    return ops.divide(total, count)


def join_replicas(data: Any) -> Any:
    """Concatenates the parts of a batch: each replica gets the whole batch.

    `data` is a tensor, or a structure of tensors, with samples along the first
    axis.
    """
    context = _context()
    if context is None:
        return data

    def join(part: Any) -> Any:
        return None if part is None else context.all_gather(part, axis=0)

    with _explain_branches(), _keep_losses():
        return keras.tree.map_structure(join, data)


def first_place(count: Any) -> Any:
    """Returns how many samples of the batch earlier replicas have.

    `count` is the number of samples that this replica has.
    """
    if count_replicas() == 1:
        return 0
    sizes = join_replicas(ops.reshape(ops.cast(count, "int32"), (1,)))
    return ops.sum(sizes[: replica_index()])


def own_part(indices: Any) -> Any:
    """Returns the share of this replica: every n-th of a list of indices."""
    count = count_replicas()
    return indices if count == 1 else indices[replica_index() :: count]


@contextlib.contextmanager
def _keep_losses() -> Iterator[None]:
    """Keeps the losses that layers of the running call have added.

    A replica that waits lets the next one run, which shares the layers: it
    clears their losses and adds its own.
    """
    call = global_state.get_global_attribute("current_call_ctx")
    layers = [] if call is None else list(walk_layers(call.entry_layer))
    held = [(one, [*one._losses], {*one._loss_ids}) for one in layers]
    yield
    if call is not None:
        clear_losses(call.entry_layer)
    for layer, losses, numbers in held:
        layer._losses.extend(losses)
        layer._loss_ids.update(numbers)


@contextlib.contextmanager
def _explain_branches() -> Iterator[None]:
    """Names the cause where replicas cannot talk: inside a branch or loop."""
    try:
        yield
    except RuntimeError as error:
        if "merge_call" not in str(error):
            raise
        raise ValueError(
            "A layer inside a conditional block or a loop needs a sum over "
            "the replicas, which this strategy makes at the top of the step "
            "only. Take the layer out of the block, or train on one device. "
            f"Received: {count_replicas()} replicas"
        ) from error


def _context() -> Any:
    """Returns the context of a replica that is not alone, else `None`."""
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return None
    return context
