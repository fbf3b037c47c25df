"""Plans the batches of data that can only be read in order."""

import numpy as np

CHUNK = 65_536


def plan_stream_batches(
    rng: np.random.Generator,
    order: np.ndarray,
    windows: np.ndarray,
    batch_size: int,
    buffer_size: int,
    *,
    last_batch_size: int | None = None,
) -> np.ndarray:
    """Plans batches drawn from a shuffle buffer of active samples.

    The data are read repeatedly. Active samples enter the buffer, and each
    batch is drawn from the buffer. An epoch whose active set is not all of
    the data begins at a random sample, so that the position of a sample in
    the data does not change how often it is drawn.

    `windows` holds the active slice of `order` at each step and has the shape
    `(steps, 2)`. The buffer holds at least a batch.

    Returns:
        The position of each sample of each batch in the repeated data, int64
        of shape `(steps, batch_size)`: the id plus the number of samples
        times the number of earlier passes. A smaller last batch ends with -1.
    """
    samples, steps = len(order), len(windows)
    rank: np.ndarray = np.empty(samples, "int64")
    rank[order] = np.arange(samples)
    is_whole = bool((windows == [0, samples]).all())
    reader = _StreamReader(rank, 0 if is_whole else int(rng.integers(samples)))
    positions: np.ndarray = np.full((steps, batch_size), -1, "int64")
    left = (steps - 1) * batch_size + (last_batch_size or batch_size)
    buffer: np.ndarray = np.empty(0, "int64")
    for row, (low, high) in enumerate(windows.tolist()):
        buffer = buffer[_is_between(rank[buffer % samples], low, high)]
        # The last batches empty the buffer: every sample read is used.
        wanted = min(max(buffer_size, batch_size), left)
        new = reader.next_active(low, high, wanted - len(buffer))
        buffer = np.concatenate([buffer, new])
        shuffled = rng.permutation(len(buffer))
        size = min(batch_size, left)
        positions[row, :size] = buffer[shuffled[:size]]
        buffer = buffer[np.sort(shuffled[size:])]
        left -= size
    return positions


class _StreamReader:
    """Finds active samples in repeated passes over the data."""

    def __init__(self, rank: np.ndarray, start: int) -> None:
        self._rank, self._position = rank, start

    def next_active(self, low: int, high: int, count: int) -> np.ndarray:
        """Returns the positions of the next active samples."""
        found: list[np.ndarray] = [np.empty(0, "int64")]
        while count > 0:
            begin = self._position % len(self._rank)
            part = self._rank[begin : begin + CHUNK]
            hits = np.flatnonzero(_is_between(part, low, high))[:count]
            found.append(self._position + hits)
            count -= len(hits)
            self._position += len(part) if count else int(hits[-1]) + 1
        return np.concatenate(found)


def _is_between(rank: np.ndarray, low: int, high: int) -> np.ndarray:
    inside: np.ndarray = (rank >= low) & (rank < high)
    return inside
