"""One batch out of `calibration_data`."""

from typing import Any, NamedTuple

from keras_netopt.training.batches import iterate_batches

SAMPLES = 128


class CalibrationBatch(NamedTuple):
    """Inputs, targets and sample weights of one batch."""

    x: Any
    y: Any = None
    sample_weight: Any = None


def first_batch(calibration_data: Any) -> CalibrationBatch | None:
    """Returns up to 128 samples of arrays, or the first batch of an iterable.

    `calibration_data` is a tuple `(x,)`, `(x, y)` or `(x, y, sample_weight)`
    of arrays, an array or dictionary of inputs, an iterable of batches, a
    `CalibrationBatch` (returned unchanged) or `None`. Raises TypeError for
    another type, ValueError if there is no sample.

    Example:

    >>> import numpy as np
    >>> first_batch((np.zeros((500, 3)), np.zeros(500))).x.shape
    (128, 3)
    """
    if calibration_data is None or isinstance(
        calibration_data, CalibrationBatch
    ):
        return calibration_data
    found = iterate_batches(
        calibration_data, batch_size=SAMPLES, samples=SAMPLES
    )
    return CalibrationBatch(*next(iter(found)))
