"""A torch batch sampler that follows the epoch plan."""

from collections.abc import Iterator

from keras_netopt.curriculum.curriculum_data import CurriculumData
from keras_netopt.curriculum.ordering import Ordering
from keras_netopt.curriculum.self_paced import SelfPaced


class PlanBatchSampler:
    """Yields the sample ids of each batch of the current epoch.

    Created by `callbacks.Curriculum.batch_sampler`. torch iterates over it
    more than once per epoch; the ids depend on the plan alone.

    Example:

    >>> import numpy as np
    >>> from keras_netopt.curriculum.ordering import Shuffle
    >>> from keras_netopt.curriculum.sample_source import ArraySource
    >>> data = CurriculumData(ArraySource(np.zeros(4)))
    >>> sampler = PlanBatchSampler(data, 2, Shuffle())
    >>> len(sampler), list(sampler)
    (2, [[0, 1], [2, 3]])

    Args:
        data: The data and the current plan.
        batch_size: Samples of a batch.
        ordering: The ordering; all its weights must be 1.
        drop_remainder: Whether the last batch is left out where it is smaller.
            Defaults to `True`.

    Raises:
        ValueError: If the ordering has sample weights, or the data are a
            `StreamingDataset`.
    """

    def __init__(
        self,
        data: CurriculumData,
        batch_size: int,
        ordering: Ordering,
        *,
        drop_remainder: bool = True,
    ) -> None:
        if isinstance(ordering, SelfPaced) and ordering.weighting != "hard":
            raise ValueError(
                "Argument `ordering` must not weight samples for a DataLoader, "
                "whose batches have no weights: use `curriculum.dataset()`. "
                f"Received: ordering={ordering!r}"
            )
        if data.source.buffer_size is not None:
            raise ValueError(
                "Argument `x` must have random access for a DataLoader: use "
                "`curriculum.dataset()` with a `StreamingDataset`. "
                f"Received: x={data.source!r}"
            )
        data.configure(batch_size, None, drop_remainder)
        data.adapter, data.sampler = None, self
        self._data = data
        self.batch_size = batch_size

    def __len__(self) -> int:
        return int(self._data.steps or 0)

    def __iter__(self) -> Iterator[list[int]]:
        self._data.batches_read += 1
        for ids in self._data.plan_ids():
            yield ids[ids >= 0].tolist()
