"""The plan as the batches of a torch `DataLoader`."""

from collections.abc import Iterator

from keras_netopt.curriculum.data import CurriculumData
from keras_netopt.curriculum.ordering import Ordering
from keras_netopt.curriculum.self_paced import SelfPaced


class PlanSampler:
    """Gives the sample numbers of each batch of the running epoch.

    Made by `callbacks.Curriculum.batch_sampler`. torch asks for them more
    often than once an epoch; the answer depends on the plan alone.

    Example:

    >>> import numpy as np
    >>> from keras_netopt.curriculum.ordering import Shuffle
    >>> from keras_netopt.curriculum.sources import ArraySource
    >>> data = CurriculumData(ArraySource(np.zeros(4)))
    >>> sampler = PlanSampler(data, 2, Shuffle())
    >>> len(sampler), list(sampler)
    (2, [[0, 1], [2, 3]])

    Args:
        data: The data and the plan in force.
        batch_size: Samples of a batch.
        ordering: The ordering; its weights must all be 1.

    Raises:
        ValueError: If the ordering has weights, or the data are a stream.
    """

    def __init__(
        self, data: CurriculumData, batch_size: int, ordering: Ordering
    ) -> None:
        if isinstance(ordering, SelfPaced) and ordering.kind != "hard":
            raise ValueError(
                "Argument `ordering` must have no weights for a DataLoader, "
                "which cannot carry them: use `curriculum.dataset()`. "
                f"Received: ordering={ordering!r}"
            )
        if data.source.buffer is not None:
            raise ValueError(
                "Argument `x` must give samples by number for a DataLoader: "
                "use `curriculum.dataset()` with a `Stream`. "
                f"Received: x={data.source!r}"
            )
        data.configure(batch_size, None)
        data.adapter, data.sampler = None, self
        self._data = data
        self.batch_size = batch_size

    def __len__(self) -> int:
        return int(self._data.steps or 0)

    def __iter__(self) -> Iterator[list[int]]:
        self._data.served += 1
        for ids in self._data.plan_ids():
            yield ids.tolist()
