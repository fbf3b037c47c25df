"""Deals samples that can only be read one after the other."""

import numpy as np

CHUNK = 65_536


def deal_stream(
    rng: np.random.Generator,
    order: np.ndarray,
    windows: np.ndarray,
    batch_size: int,
    buffer: int,
) -> np.ndarray:
    """Plans batches out of a buffer that the samples in play pass through.

    The data are read again and again from the start. What is in play waits in
    the buffer, and each batch is drawn from what waits. An epoch in which not
    all samples are in play begins at a random place, so that none of them
    comes more often over the epochs because it stands early in the data.

    Example:

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> windows = np.tile([0, 4], (2, 1))
    >>> places = deal_stream(rng, np.arange(4), windows, 2, 3)
    >>> np.sort(places % 4, axis=None).tolist()
    [0, 1, 2, 3]

    Args:
        rng: Random numbers of the epoch.
        order: All ids in the order in which they come into play.
        windows: Stretch of `order` in play at each step, of shape
            `(steps, 2)`.
        batch_size: Samples of a batch.
        buffer: Samples that may wait, a batch at least.

    Returns:
        For each sample of each batch its place in the endless reading, int64
        of shape `(steps, batch_size)`: the id plus the number of samples
        times the passes before.
    """
    samples, steps = len(order), len(windows)
    rank: np.ndarray = np.empty(samples, "int64")
    rank[order] = np.arange(samples)
    is_whole = bool((windows == [0, samples]).all())
    reader = _StreamReader(rank, 0 if is_whole else int(rng.integers(samples)))
    places: np.ndarray = np.empty((steps, batch_size), "int64")
    waiting: np.ndarray = np.empty(0, "int64")
    for row, (low, high) in enumerate(windows.tolist()):
        waiting = waiting[_inside(rank[waiting % samples], low, high)]
        # The last batches empty the buffer: what is read is served.
        wanted = min(max(buffer, batch_size), (steps - row) * batch_size)
        new = reader.next_in_play(low, high, wanted - len(waiting))
        waiting = np.concatenate([waiting, new])
        drawn = rng.permutation(len(waiting))
        places[row] = waiting[drawn[:batch_size]]
        waiting = waiting[np.sort(drawn[batch_size:])]
    return places


class _StreamReader:
    """Goes through the data again and again."""

    def __init__(self, rank: np.ndarray, start: int) -> None:
        self._rank, self._place = rank, start

    def next_in_play(self, low: int, high: int, count: int) -> np.ndarray:
        """Returns the places of the next samples in play."""
        found: list[np.ndarray] = [np.empty(0, "int64")]
        while count > 0:
            begin = self._place % len(self._rank)
            part = self._rank[begin : begin + CHUNK]
            hits = np.flatnonzero(_inside(part, low, high))[:count]
            found.append(self._place + hits)
            count -= len(hits)
            self._place += len(part) if count else int(hits[-1]) + 1
        return np.concatenate(found)


def _inside(rank: np.ndarray, low: int, high: int) -> np.ndarray:
    inside: np.ndarray = (rank >= low) & (rank < high)
    return inside
