"""Data that are too large for memory, read one sample after the other."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_netopt.checks import check_integer
from keras_netopt.curriculum.dataset_adapters import (
    check_fixed,
    check_single,
    known_size,
    unpacked,
)
from keras_netopt.curriculum.sources import Fetched


class Stream:
    """A `tf.data.Dataset` that is read while training, not into memory.

    `Curriculum(Stream(data), ...)` scores all samples in one pass and plans
    each epoch so that a buffer can serve it: samples in play wait there, the
    others are passed over. Where a fifth of the data is in play, an epoch
    reads the data about five times; reading must be cheap against training.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import tensorflow as tf
    >>> import keras_netopt as netopt
    >>> data = tf.data.Dataset.from_tensor_slices((np.eye(8), np.arange(8)))
    >>> curriculum = netopt.callbacks.Curriculum(
    ...     netopt.curriculum.Stream(data, buffer=4),
    ...     difficulty=lambda x, y: y,
    ... )
    >>> curriculum.scores
    array([0., 1., 2., 3., 4., 5., 6., 7.])

    Args:
        data: A `tf.data.Dataset` of single samples `x`, `(x, y)` or
            `(x, y, sample_weight)`, the same ones in every pass: unbatched,
            unshuffled, without random augmentation.
        num_samples: How many samples to take. Defaults to `None`: all of a
            data set of known size.
        buffer: Samples that wait in memory, from which batches are drawn, at
            least 1. Defaults to `1000`.

    Raises:
        TypeError: If `data` is no `tf.data.Dataset`.
        ValueError: If the size is not known, or passes differ.
    """

    unit = "sample"
    y: Any = None
    sample_weight: Any = None

    def __init__(
        self, data: Any, num_samples: int | None = None, buffer: int = 1000
    ) -> None:
        if not hasattr(data, "as_numpy_iterator"):
            raise TypeError(
                "Argument `data` must be a tf.data.Dataset; other data go to "
                "`Curriculum` as they are. "
                f"Received: data of type {type(data).__name__}"
            )
        if num_samples is not None:
            check_integer(num_samples, "num_samples", minimum=1)
        self.buffer: int | None = check_integer(buffer, "buffer", minimum=1)
        self.samples = known_size(data, num_samples)
        check_single(data)
        check_fixed(data)
        self._data = data
        self._reading: Iterator[Any] = iter(())
        self._place = self.samples  # Of the sample that comes next.

    def __repr__(self) -> str:
        return f"Stream(samples={self.samples}, buffer={self.buffer})"

    def fetch(self, ids: np.ndarray) -> Fetched:
        """Returns some samples; cheap where the ids go on from the last.

        Args:
            ids: Numbers of samples.
        """
        found = []
        for number in ids.tolist():
            if number < self._place:
                self._reading, self._place = self._read(0), 0
            for _ in range(number - self._place):
                next(self._reading)
            found.append(next(self._reading))
            self._place = number + 1
        return _stacked(found)

    def serve(self, places: np.ndarray) -> Iterator[Fetched]:
        """Yields the batches of an epoch, reading the data in their order.

        Args:
            places: What `deal_stream` returned, of shape `(steps, batch)`.
        """
        steps, size = places.shape
        rows: list[dict[int, Any]] = [{} for _ in range(steps)]
        arrivals = np.argsort(places, axis=None, kind="stable")
        begin = int(places.reshape(-1)[arrivals[0]])
        reading, place = self._read(begin % self.samples), begin
        following = 0
        for arrival in arrivals.tolist():
            row, column = divmod(arrival, size)
            for _ in range(int(places[row, column]) - place):
                next(reading)
            place = int(places[row, column]) + 1
            rows[row][column] = next(reading)
            while following < steps and len(rows[following]) == size:
                ready, rows[following] = rows[following], {}
                following += 1
                yield _stacked([ready[i] for i in range(size)])

    def _read(self, begin: int) -> Iterator[Any]:
        """Reads from a sample on, and from the start again when at the end."""
        while True:
            place = begin
            part = self._data.take(self.samples).skip(begin)
            for item in part.as_numpy_iterator():
                place += 1
                yield unpacked(item)
            if place != self.samples:
                raise ValueError(
                    f"Argument `num_samples` must be at most the {place} "
                    "samples of the tf.data.Dataset. "
                    f"Received: num_samples={self.samples}"
                )
            begin = 0


def _stacked(items: list[Fetched]) -> Fetched:
    stacked: Fetched = keras.tree.map_structure(
        lambda *leaves: None if leaves[0] is None else np.stack(leaves), *items
    )
    return stacked
