"""Passes planned batches to Keras' trainers, on every backend.

Keras uses a `DataAdapter` given as `x` without changes: `shuffle=True` and
Keras' threads have no effect, and the signature that TensorFlow needs is given
explicitly instead of derived from two batches.
Private names of Keras 3.15.1: `DataAdapter` (accepted by `fit` in
keras/src/trainers/data_adapters/__init__.py, line 34),
`data_adapter_utils.get_torch_dataloader` (line 282).
"""

import collections
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras.src.trainers.data_adapters.data_adapter import DataAdapter
from keras.src.trainers.data_adapters.data_adapter_utils import (
    get_torch_dataloader,
)

AHEAD = 4  # Batches that threads read in advance.
PREFETCH = 2

Row = Callable[[], Any]


@dataclass(frozen=True)
class GatheredBatches:
    """The sample ids of all batches, from which TensorFlow gathers batches.

    Calling a Python function per batch takes longer than the batch itself.

    Args:
        arrays: All samples, in the structure of a batch without weights.
        table: Called at the start of every epoch; returns the ids of each
            batch, `(steps, batch)`, and their weights, `(steps, batch, ...)`,
            if there are any. A batch that is smaller ends with ids of -1.
        has_weights: Whether there are any.
        is_whole: Whether no batch is smaller than the others.
        weight_shape: Shape of the weights of one sample, `None` if it differs
            between epochs. Defaults to `()`.
    """

    arrays: Any
    table: Callable[[], tuple[np.ndarray, ...]]
    has_weights: bool
    is_whole: bool
    weight_shape: tuple[int, ...] | None = ()


class PlannedAdapter(DataAdapter):
    """Passes batches that functions read, in order, to `model.fit`.

    Args:
        rows: Called at the start of every epoch; returns one function per
            batch that reads the batch.
        signature: Returns a `keras.InputSpec` with shape and dtype for each
            array of a batch, in its structure; called under TensorFlow only.
        steps: Batches per epoch, the same in every epoch.
        workers: Threads that read batches in advance; with 0 and 1 the
            training thread reads.
        gathered: The same batches as sample ids, if all samples are arrays;
            TensorFlow then uses neither `rows` nor threads. Defaults to
            `None`.
    """

    # Read by Keras.
    batch_size = None
    has_partial_batch = None
    partial_batch_size = None

    def __init__(
        self,
        rows: Callable[[], list[Row]],
        signature: Callable[[], Any],
        *,
        steps: int,
        workers: int = 1,
        gathered: GatheredBatches | None = None,
    ) -> None:
        self._rows = rows
        self._gathered_batches = gathered
        self._signature = signature
        self._steps = steps
        self._workers = workers

    def __iter__(self) -> Iterator[Any]:
        rows = self._rows()
        if self._workers <= 1:
            return (read() for read in rows)
        return self._read_ahead(rows)

    def __deepcopy__(self, memo: dict[int, Any]) -> "PlannedAdapter":
        """Returns the same object: tuners copy arguments, data are shared."""
        return self

    def get_numpy_iterator(self) -> Iterator[Any]:
        """Called by Keras."""
        return iter(self)

    get_jax_iterator = get_numpy_iterator

    def get_torch_dataloader(self) -> Any:
        """Called by Keras."""
        return get_torch_dataloader(self)

    def get_tf_dataset(self) -> Any:
        """Called by Keras."""
        import tensorflow as tf

        if self._gathered_batches is not None:
            return _gathered(self._gathered_batches).prefetch(PREFETCH)
        spec = keras.tree.map_structure(
            lambda one: tf.TensorSpec(one.shape, one.dtype), self._signature()
        )
        return tf.data.Dataset.from_generator(
            self.__iter__, output_signature=spec
        ).prefetch(PREFETCH)

    @property
    def num_batches(self) -> int:
        """Read by Keras."""
        return self._steps

    def _read_ahead(self, rows: list[Row]) -> Iterator[Any]:
        """Yields batches in order; ends the threads when iteration stops."""
        with ThreadPoolExecutor(self._workers) as pool:
            ready: collections.deque[Future[Any]] = collections.deque()
            try:
                for read in rows:
                    ready.append(pool.submit(read))
                    if len(ready) > AHEAD:
                        yield ready.popleft().result()
                while ready:
                    yield ready.popleft().result()
            finally:
                for late in ready:
                    late.cancel()


def _gathered(gathered: GatheredBatches) -> Any:
    """Returns a dataset that calls Python once per epoch."""
    import tensorflow as tf

    with tf.device("cpu"):
        arrays = keras.tree.map_structure(tf.constant, gathered.arrays)
    shapes: list[tuple[int, ...] | None] = [()]
    dtypes = [tf.int64]
    if gathered.has_weights:
        shapes.append(gathered.weight_shape)
        dtypes.append(tf.float32)

    def whole_pass(_: Any) -> Any:
        found = tf.numpy_function(gathered.table, [], dtypes)
        for tensor, shape in zip(found, shapes, strict=True):
            if shape is not None:
                tensor.set_shape((None, None, *shape))
        return tuple(found)

    def batch(*table: Any) -> Any:
        if not gathered.is_whole:
            size = tf.math.count_nonzero(table[0] >= 0)
            table = tuple(part[:size] for part in table)
        ids, *weight = table
        return *keras.tree.map_structure(
            lambda array: tf.gather(array, ids), arrays
        ), *weight

    return (
        tf.data.Dataset.from_tensors(0)
        .map(whole_pass)
        .flat_map(lambda *one: tf.data.Dataset.from_tensor_slices(one))
        .map(batch)
    )
