"""Training data too large for memory, read in order during training."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_netopt.checks import check_integer
from keras_netopt.curriculum.dataset_adapters import (
    check_num_samples,
    check_tf_dataset,
    stack_samples,
    unpack_arrays,
)
from keras_netopt.curriculum.sample_source import Samples


class StreamingDataset:
    """A `tf.data.Dataset` that is read during training, not into memory.

    `Curriculum(StreamingDataset(data), ...)` scores all samples in one pass.
    Each epoch is planned so that active samples pass through a shuffle
    buffer; other samples are skipped. If a fifth of the samples is active, an
    epoch reads the data about five times, so reading must be cheap compared
    with training.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import tensorflow as tf
    >>> import keras_netopt as netopt
    >>> data = tf.data.Dataset.from_tensor_slices((np.eye(8), np.arange(8)))
    >>> curriculum = netopt.callbacks.Curriculum(
    ...     netopt.curriculum.StreamingDataset(data, buffer_size=4),
    ...     difficulty=lambda x, y: y,
    ... )
    >>> curriculum.scores
    array([0., 1., 2., 3., 4., 5., 6., 7.])

    Args:
        data: A `tf.data.Dataset` of single samples `x`, `(x, y)` or
            `(x, y, sample_weight)`, equal in every pass: unbatched,
            unshuffled, without random augmentation.
        num_samples: Number of samples to use. Defaults to `None`: all of a
            data set of known size.
        buffer_size: Samples in the shuffle buffer from which batches are
            drawn, at least 1. Defaults to `1000`.

    Raises:
        TypeError: If `data` is not a `tf.data.Dataset`.
        ValueError: If the size is unknown, or two passes differ.
    """

    unit = "sample"
    y: Any = None
    sample_weight: Any = None

    def __init__(
        self,
        data: Any,
        num_samples: int | None = None,
        buffer_size: int = 1000,
    ) -> None:
        if not hasattr(data, "as_numpy_iterator"):
            raise TypeError(
                "Argument `data` must be a tf.data.Dataset; pass other data "
                "to `Curriculum` directly. "
                f"Received: data of type {type(data).__name__}"
            )
        if num_samples is not None:
            check_integer(num_samples, "num_samples", minimum=1)
        self.buffer_size: int | None = check_integer(
            buffer_size, "buffer_size", minimum=1
        )
        self.samples = check_tf_dataset(data, num_samples)
        self._data = data
        self._iterator: Iterator[Any] = iter(())
        self._position = self.samples  # Of the next sample of the iterator.

    def __repr__(self) -> str:
        return (
            f"StreamingDataset(samples={self.samples}, "
            f"buffer_size={self.buffer_size})"
        )

    def fetch(self, ids: np.ndarray) -> Samples:
        """Returns the samples with these ids; fast if the ids increase.

        Args:
            ids: Sample ids.
        """
        found = []
        for number in ids.tolist():
            if number < self._position:
                self._iterator, self._position = self._read(0), 0
            for _ in range(number - self._position):
                next(self._iterator)
            found.append(next(self._iterator))
            self._position = number + 1
        return stack_samples(found)

    def iter_batches(self, positions: np.ndarray) -> Iterator[Samples]:
        """Yields the batches of an epoch while reading the data in order.

        Args:
            positions: Result of `plan_stream_batches`, `(steps, batch)`.
        """
        steps, size = positions.shape
        sizes = (positions >= 0).sum(axis=1).tolist()
        rows: list[dict[int, Any]] = [{} for _ in range(steps)]
        read_order = np.argsort(positions, axis=None, kind="stable")
        read_order = read_order[positions.size - sum(sizes) :]
        begin = int(positions.reshape(-1)[read_order[0]])
        iterator, position = self._read(begin % self.samples), begin
        next_row = 0
        for flat in read_order.tolist():
            row, column = divmod(flat, size)
            for _ in range(int(positions[row, column]) - position):
                next(iterator)
            position = int(positions[row, column]) + 1
            rows[row][column] = next(iterator)
            while next_row < steps and len(rows[next_row]) == sizes[next_row]:
                full, rows[next_row] = rows[next_row], {}
                next_row += 1
                yield stack_samples([full[i] for i in sorted(full)])

    def _read(self, begin: int) -> Iterator[Any]:
        """Reads the data from a sample on, repeatedly."""
        while True:
            position = begin
            part = self._data.take(self.samples).skip(begin)
            for item in part.as_numpy_iterator():
                position += 1
                yield unpack_arrays(item)
            check_num_samples(self.samples, position)
            begin = 0
