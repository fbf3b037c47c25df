"""One batch out of whatever users pass as `data`."""

from typing import Any, NamedTuple

from keras_netopt.training.batches import iterate_batches

SAMPLES = 128


class Sample(NamedTuple):
    """One batch.

    Args:
        x: Inputs.
        y: Targets, or `None`.
        sample_weight: Weights of the samples, or `None`.
    """

    x: Any
    y: Any = None
    sample_weight: Any = None


def first_batch(data: Any) -> Sample | None:
    """Returns up to 128 samples of arrays, or the first batch of an iterable.

    Example:

    >>> import numpy as np
    >>> first_batch((np.zeros((500, 3)), np.zeros(500))).x.shape
    (128, 3)

    Args:
        data: A tuple `(x,)`, `(x, y)` or `(x, y, sample_weight)` of arrays,
            an array or dictionary of inputs, an iterable of batches, or
            `None`. A `Sample` is returned as it is.

    Returns:
        The batch, or `None` without data.

    Raises:
        TypeError: If `data` is of another kind.
        ValueError: If it holds no sample.
    """
    if data is None or isinstance(data, Sample):
        return data
    found = iterate_batches(data, batch_size=SAMPLES, samples=SAMPLES)
    return Sample(*next(iter(found)))
