"""The plan of an epoch: sample ids and weights of each batch.

A plan is a pure function of the seed, the epoch, the scores and the settings.
No random numbers are used while batches are read, so the order depends neither
on threads nor on a restart.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from keras_netopt.curriculum.class_coverage import enforce_class_coverage
from keras_netopt.curriculum.ordering import Ordering, Shuffle
from keras_netopt.curriculum.stream_batches import plan_stream_batches


@dataclass(frozen=True, eq=False)
class EpochPlan:
    """Sample ids and weights of each batch of one epoch.

    Example:

    >>> import numpy as np
    >>> plan = make_plan(np.arange(8.0), np.ones(2), batch_size=4)
    >>> plan.ids.shape, np.sort(plan.ids, axis=None).tolist()
    ((2, 4), [0, 1, 2, 3, 4, 5, 6, 7])

    Args:
        epoch: Number of the epoch, from 0.
        ids: Sample ids of each batch, int64 of shape `(steps, batch)`; a
            last batch that is smaller ends with -1.
        weights: Sample weights, float32 of shape `(steps, batch)`, with a
            mean of 1.
        fractions: Value of the pacing function at each step, float64 of shape
            `(steps,)`.
        order: All ids in the order in which they become active.
        windows: Active slice of `order` at each step, int64 of shape
            `(steps, 2)`.
        sequence_lengths: Sequence length of each batch, or `None` for whole
            sequences.
        stream_positions: For a `StreamingDataset`, the position of each
            sample in the repeated data, -1 where `ids` is -1, else `None`.
    """

    epoch: int
    ids: np.ndarray
    weights: np.ndarray
    fractions: np.ndarray
    order: np.ndarray
    windows: np.ndarray
    sequence_lengths: np.ndarray | None = None
    stream_positions: np.ndarray | None = None

    def active_ids(self, step: int = 0) -> np.ndarray:
        """Returns the ids of the active samples at a step of the epoch.

        Args:
            step: Number of the batch, from 0; negative counts from the end.
        """
        low, high = self.windows[step]
        return self.order[low:high]

    def planned_ids(self) -> np.ndarray:
        """Returns the ids of all batches as one array."""
        return self.ids[self.ids >= 0]

    def sample_counts(self) -> np.ndarray:
        """Returns how often the epoch trains on each sample."""
        return np.bincount(self.planned_ids(), minlength=len(self.order))


def epoch_generator(seed: int, epoch: int) -> np.random.Generator:
    """Returns the random generator of an epoch, a function of its arguments."""
    return np.random.Generator(np.random.Philox(key=[seed, epoch]))


def make_plan(
    scores: np.ndarray,
    fractions: np.ndarray,
    *,
    batch_size: int,
    last_batch_size: int | None = None,
    ordering: Ordering | None = None,
    labels: np.ndarray | None = None,
    seed: int = 0,
    epoch: int = 0,
    min_class_share: float = 0.5,
    min_class_samples: int = 1,
    difficulty_type: str = "percentile",
    sequence_lengths: np.ndarray | None = None,
    buffer_size: int | None = None,
) -> EpochPlan:
    """Plans an epoch.

    Example:

    >>> import numpy as np
    >>> from keras_netopt.curriculum.ordering import EasyFirst
    >>> scores = np.array([0.4, 0.1, 0.3, 0.2])
    >>> plan = make_plan(
    ...     scores, np.array([0.5, 0.5]), batch_size=2, ordering=EasyFirst()
    ... )
    >>> sorted(plan.active_ids().tolist()), np.unique(plan.ids).tolist()
    ([1, 3], [1, 3])

    Args:
        scores: Difficulty of each sample, float64 of shape `(samples,)`.
        fractions: Fraction of active samples at each step, in (0, 1], of
            shape `(steps,)`.
        batch_size: Samples per batch.
        last_batch_size: Samples of the last batch. Defaults to `None`: as
            many as in the others.
        ordering: The ordering. Defaults to `None`: all samples are active
            from the first step.
        labels: Class number of each sample for class coverage, or `None`.
        seed: An integer of at least 0. Defaults to `0`.
        epoch: Number of the epoch, from 0. Defaults to `0`.
        min_class_share: Smallest share of a class among the active samples,
            relative to its share of all data, in [0, 1]. Defaults to `0.5`.
        min_class_samples: Smallest number of active samples of each class.
            Defaults to `1`.
        difficulty_type: "percentile": a fraction is a share of the samples;
            "value": a share of the range of the scores. Defaults to
            `"percentile"`.
        sequence_lengths: Sequence length of each batch. Defaults to `None`.
        buffer_size: Size of the shuffle buffer of a `StreamingDataset`.
            Defaults to `None`: the data have random access.

    Returns:
        The plan; equal arguments give equal plans in every process.
    """
    scores = np.asarray(scores, "float64")
    ordering = ordering or Shuffle()
    rng = epoch_generator(seed, epoch)
    stratified = ordering.stratified and min_class_share > 0
    order = enforce_class_coverage(
        ordering.order(scores, seed),
        None if isinstance(ordering, Shuffle) else labels,
        min_share=1.0 if stratified else min_class_share,
        min_samples=min_class_samples,
    )
    weights = ordering.weights(scores, float(fractions[0]), epoch)
    if weights is None:
        count = active_counter(scores, difficulty_type)
        windows = np.array(
            [
                ordering.window(max(count(f), batch_size), len(scores))
                for f in fractions
            ]
        )
    else:
        active = max(int((weights > 0.0).sum()), batch_size)
        windows = np.tile([0, active], (len(fractions), 1))
    positions = None
    if buffer_size is None:
        ids = _assign_batches(rng, order, windows, batch_size)
        if last_batch_size is not None:
            ids[-1, last_batch_size:] = -1
    else:
        positions = plan_stream_batches(
            rng,
            order,
            windows,
            batch_size,
            buffer_size,
            last_batch_size=last_batch_size,
        )
        ids = np.where(positions < 0, -1, positions % len(order))
    return EpochPlan(
        epoch=epoch,
        ids=ids,
        weights=_batch_weights(weights, order[: windows[0, 1]], ids),
        fractions=np.asarray(fractions, "float64"),
        order=order,
        windows=windows,
        sequence_lengths=sequence_lengths,
        stream_positions=positions,
    )


def active_counter(
    scores: np.ndarray, difficulty_type: str
) -> Callable[[float], int]:
    """Returns a function from the active fraction to the number of samples.

    Example:

    >>> import numpy as np
    >>> scores = np.array([0.0, 1.0, 2.0, 10.0])
    >>> active_counter(scores, "percentile")(0.5)
    2
    >>> active_counter(scores, "value")(0.5)
    3
    """
    samples = len(scores)
    if difficulty_type == "percentile":
        return lambda f: min(int(np.ceil(round(f * samples, 6))), samples)
    ascending = np.sort(scores)
    low, width = ascending[0], ascending[-1] - ascending[0]
    return lambda f: int(np.searchsorted(ascending, low + f * width, "right"))


def _assign_batches(
    rng: np.random.Generator,
    order: np.ndarray,
    windows: np.ndarray,
    batch_size: int,
) -> np.ndarray:
    """Fills batches from shuffled passes over the active samples.

    Samples that become active during a pass join it with a probability equal
    to the share of the pass that is not yet assigned; the others wait for the
    next pass. So every batch is like a random sample of the active set. If
    all of them joined, the last batches of a pass would hold mostly the
    hardest samples.
    """
    ids: np.ndarray = np.empty((len(windows), batch_size), "int64")
    last = (-1, -1)
    pending = order[:0]
    for row, (low, high) in enumerate(windows.tolist()):
        if last[0] == low and last[1] <= high:
            pending = _insert_at_random(
                rng, pending, order[last[1] : high], last[1]
            )
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


def _insert_at_random(
    rng: np.random.Generator, pending: np.ndarray, new: np.ndarray, before: int
) -> np.ndarray:
    if not len(new):
        return pending
    new = new[rng.random(len(new)) * before < len(pending)]
    places = rng.integers(0, len(pending) + 1, len(new))
    return np.insert(pending, places, rng.permutation(new))


def _batch_weights(
    weights: np.ndarray | None, active: np.ndarray, ids: np.ndarray
) -> np.ndarray:
    """Returns the weights of the planned samples, with a mean of 1."""
    if weights is None:
        return np.ones(ids.shape, "float32")
    weights = weights.copy()
    # Samples that are active for class coverage alone have the mean weight.
    kept = active[weights[active] == 0.0]
    weights[kept] = weights[weights > 0.0].mean()
    planned = np.where(ids < 0, 0.0, weights[ids])
    count = np.count_nonzero(ids >= 0)
    return (planned * (count / planned.sum())).astype("float32")
