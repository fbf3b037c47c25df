"""The plan of an epoch: which samples come in which batch, and their weight.

A plan is a pure function of the seed, the epoch, the scores and the settings.
Nothing is drawn while batches are read, so neither threads nor a restart can
move it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from keras_netopt.curriculum.class_coverage import guarded_order
from keras_netopt.curriculum.ordering import Ordering, Shuffle
from keras_netopt.curriculum.stream_deal import deal_stream


@dataclass(frozen=True, eq=False)
class EpochPlan:
    """What one epoch serves.

    Example:

    >>> import numpy as np
    >>> plan = make_plan(np.arange(8.0), np.ones(2), batch_size=4)
    >>> plan.ids.shape, np.sort(plan.ids, axis=None).tolist()
    ((2, 4), [0, 1, 2, 3, 4, 5, 6, 7])

    Args:
        epoch: Number of the epoch, from 0.
        ids: Sample ids of each batch, int64 of shape `(steps, batch)`.
        weights: Weight of each of them, float32 of that shape; 1 on average.
        fractions: What the pacing gave at each step, float64 `(steps,)`.
        order: All ids in the order in which they come into play.
        windows: Stretch of `order` in play at each step, int64 `(steps, 2)`.
        lengths: Sequence length of each batch, or `None` for whole samples.
        places: For a stream, the place of each sample in its endless reading,
            else `None`.
    """

    epoch: int
    ids: np.ndarray
    weights: np.ndarray
    fractions: np.ndarray
    order: np.ndarray
    windows: np.ndarray
    lengths: np.ndarray | None = None
    places: np.ndarray | None = None

    def active(self, step: int = 0) -> np.ndarray:
        """Returns the ids of the samples in play at a step of the epoch.

        Args:
            step: Number of the batch, from 0; negative from the end.
        """
        low, high = self.windows[step]
        return self.order[low:high]

    def counts(self) -> np.ndarray:
        """Returns how often the epoch serves each sample."""
        return np.bincount(self.ids.reshape(-1), minlength=len(self.order))


def epoch_generator(seed: int, epoch: int) -> np.random.Generator:
    """Returns the random numbers of an epoch, made anew and never saved.

    Example:

    >>> int(epoch_generator(0, 3).integers(100))
    12

    Args:
        seed: An integer of at least 0.
        epoch: Number of the epoch, from 0.
    """
    return np.random.Generator(np.random.Philox(key=[seed, epoch]))


def make_plan(
    scores: np.ndarray,
    fractions: np.ndarray,
    *,
    batch_size: int,
    ordering: Ordering | None = None,
    labels: np.ndarray | None = None,
    seed: int = 0,
    epoch: int = 0,
    min_share: float = 0.5,
    min_per_class: int = 1,
    by: str = "rank",
    lengths: np.ndarray | None = None,
    buffer: int | None = None,
) -> EpochPlan:
    """Plans an epoch.

    Example:

    >>> import numpy as np
    >>> from keras_netopt.curriculum.ordering import EasyFirst
    >>> scores = np.array([0.4, 0.1, 0.3, 0.2])
    >>> plan = make_plan(
    ...     scores, np.array([0.5, 0.5]), batch_size=2, ordering=EasyFirst()
    ... )
    >>> sorted(plan.active().tolist()), np.unique(plan.ids).tolist()
    ([1, 3], [1, 3])

    Args:
        scores: Difficulty of each sample, float64 of shape `(samples,)`.
        fractions: Share of the data in play at each step, in (0, 1].
        batch_size: Samples of a batch.
        ordering: Which samples come into play first. Defaults to `None`: all
            samples from the start.
        labels: Class number of each sample for the class guard, or `None`.
        seed: An integer of at least 0. Defaults to `0`.
        epoch: Number of the epoch, from 0. Defaults to `0`.
        min_share: Part of its share that each class keeps. Defaults to
            `0.5`.
        min_per_class: Samples that each class keeps at least. Defaults to
            `1`.
        by: Whether a fraction means a share of the samples ("rank") or of
            the range of the scores ("value"). Defaults to `"rank"`.
        lengths: Sequence length of each batch. Defaults to `None`.
        buffer: Samples that may wait where the data are a stream. Defaults to
            `None`: samples can be had in any order.

    Returns:
        The plan; the same arguments give the same one in every process.
    """
    scores = np.asarray(scores, "float64")
    ordering = ordering or Shuffle()
    rng = epoch_generator(seed, epoch)
    share = 1.0 if ordering.stratified and min_share > 0 else min_share
    order = guarded_order(
        ordering.order(scores, seed),
        None if isinstance(ordering, Shuffle) else labels,
        share=share,
        min_per_class=min_per_class,
    )
    worth = ordering.weights(scores, float(fractions[0]), epoch)
    if worth is None:
        count = counter(scores, by)
        windows = np.array(
            [
                ordering.window(max(count(f), batch_size), len(scores))
                for f in fractions
            ]
        )
    else:
        in_play = max(int((worth > 0.0).sum()), batch_size)
        windows = np.tile([0, in_play], (len(fractions), 1))
    places = None
    if buffer is None:
        ids = _deal(rng, order, windows, batch_size)
    else:
        places = deal_stream(rng, order, windows, batch_size, buffer)
        ids = places % len(order)
    return EpochPlan(
        epoch=epoch,
        ids=ids,
        weights=_weights(worth, order[: windows[0, 1]], ids),
        fractions=np.asarray(fractions, "float64"),
        order=order,
        windows=windows,
        lengths=lengths,
        places=places,
    )


def counter(scores: np.ndarray, by: str) -> Callable[[float], int]:
    """Returns the function that turns a fraction into a number of samples.

    Example:

    >>> import numpy as np
    >>> scores = np.array([0.0, 1.0, 2.0, 10.0])
    >>> counter(scores, "rank")(0.5), counter(scores, "value")(0.5)
    (2, 3)
    """
    samples = len(scores)
    if by == "rank":
        return lambda f: min(int(np.ceil(round(f * samples, 6))), samples)
    ranked = np.sort(scores)
    low, width = ranked[0], ranked[-1] - ranked[0]
    return lambda f: int(np.searchsorted(ranked, low + f * width, "right"))


def _deal(
    rng: np.random.Generator,
    order: np.ndarray,
    windows: np.ndarray,
    batch_size: int,
) -> np.ndarray:
    """Deals the samples in play in passes, each pass in a new order.

    Of the samples that come into play during a pass, as large a part joins it
    as the pass has still to deal; the others wait for the next one. So every
    batch is like a draw from all samples in play: if all of them joined, the
    last batches of a pass would hold hardly anything but the hardest.
    """
    ids: np.ndarray = np.empty((len(windows), batch_size), "int64")
    last = (-1, -1)
    pending = order[:0]
    for row, (low, high) in enumerate(windows.tolist()):
        if last[0] == low and last[1] <= high:
            pending = _mixed_in(rng, pending, order[last[1] : high], last[1])
        else:
            pending = rng.permutation(order[low:high])
        last = (low, high)
        filled = 0
        while filled < batch_size:
            if not len(pending):
                pending = rng.permutation(order[low:high])
            taken = pending[: batch_size - filled]
            ids[row, filled : filled + len(taken)] = taken
            pending = pending[len(taken) :]
            filled += len(taken)
    return ids


def _mixed_in(
    rng: np.random.Generator, pending: np.ndarray, new: np.ndarray, before: int
) -> np.ndarray:
    if not len(new):
        return pending
    new = new[rng.random(len(new)) * before < len(pending)]
    places = rng.integers(0, len(pending) + 1, len(new))
    return np.insert(pending, places, rng.permutation(new))


def _weights(
    worth: np.ndarray | None, active: np.ndarray, ids: np.ndarray
) -> np.ndarray:
    """Weights of the samples served, 1 on average over the epoch."""
    if worth is None:
        return np.ones(ids.shape, "float32")
    worth = worth.copy()
    # What only the class guard keeps in play counts like an average sample.
    kept = active[worth[active] == 0.0]
    worth[kept] = worth[worth > 0.0].mean()
    served = worth[ids]
    return (served * (served.size / served.sum())).astype("float32")
