"""Chooses samples that are spread over all data, in bounded memory and time."""

from collections.abc import Iterable

import numpy as np

Row = list[np.ndarray]

READ_SAMPLES = 65_536  # Of data that can only be iterated over.
READ_BYTES = 2**30
KEPT_BYTES = 2**28


def choose_rows(count: int, limit: int, rng: np.random.Generator) -> np.ndarray:
    """Returns `limit` indices below `count`, one from each equal part.

    The index within a part is random, because every n-th sample of data with
    a period may have the same class.

    Example:

    >>> choose_rows(4, 9, np.random.default_rng(0))
    array([0, 1, 2, 3])
    >>> choose_rows(1000, 4, np.random.default_rng(0)) // 250
    array([0, 1, 2, 3])
    """
    if count <= limit:
        return np.arange(count)
    edges: np.ndarray = np.arange(limit + 1) * count // limit
    return rng.integers(edges[:-1], edges[1:])


class StratifiedReservoir:
    """Keeps samples that are spread over a stream of unknown length.

    One random sample is kept from each part of `width` samples. When twice
    the limit is kept, one of each two neighbours goes, and the width doubles:
    the kept samples stay spread over all that was read.

    Args:
        limit: Number of samples that `rows` returns at most.
        rng: The random numbers.
    """

    def __init__(self, limit: int, rng: np.random.Generator) -> None:
        self._limit, self._rng = limit, rng
        self._kept: list[Row] = []
        self._width = 1
        self._next = 0
        self.seen = 0

    def add(self, batch: Row) -> None:
        """Reads a batch: one array per input, of equally many samples."""
        stop = self.seen + len(batch[0])
        while self._next < stop:
            k = self._next - self.seen
            self._kept.append([array[k : k + 1].copy() for array in batch])
            if len(self._kept) == 2 * self._limit:
                pairs = zip(self._kept[::2], self._kept[1::2], strict=True)
                self._kept = [p[self._rng.integers(2)] for p in pairs]
                self._width *= 2
            start = len(self._kept) * self._width
            self._next = start + int(self._rng.integers(self._width))
        self.seen = stop

    def rows(self) -> list[Row]:
        """Returns the samples, in their order, each with a batch axis of 1."""
        chosen = choose_rows(len(self._kept), self._limit, self._rng)
        return [self._kept[k] for k in chosen]


def spread_samples(
    batches: Iterable[Row], limit: int, rng: np.random.Generator
) -> tuple[list[Row], int | None]:
    """Returns samples from all batches, at most `limit` and 256 MiB of them.

    At most 65,536 samples or 1 GiB are read from several batches, the first
    one apart. Returns batches, and how many samples were read if the data
    have more, else `None`.
    """
    reservoir: StratifiedReservoir | None = None
    bytes_read = 0
    iterator = iter(batches)
    batch = next(iterator)
    limit = _limit_bytes(batch, limit)
    following = next(iterator, None)
    if following is None:
        rows = choose_rows(len(batch[0]), limit, rng)
        return [[array[rows] for array in batch]], None
    reservoir = StratifiedReservoir(limit, rng)
    while True:
        reservoir.add(batch)
        bytes_read += sum(array.nbytes for array in batch)
        if following is None:
            return reservoir.rows(), None
        if reservoir.seen >= READ_SAMPLES or bytes_read >= READ_BYTES:
            return reservoir.rows(), reservoir.seen
        batch, following = following, next(iterator, None)


def _limit_bytes(batch: Row, limit: int) -> int:
    size = sum(array.nbytes for array in batch) / max(1, len(batch[0]))
    return max(16, min(limit, int(KEPT_BYTES // max(1, size))))
