"""Cyclical learning rates."""

from typing import Any

from keras import ops

from keras_netopt.checks import (
    check_above,
    check_at_least,
    check_integer,
    check_positive,
    check_probability,
)
from keras_netopt.learning_rate.serializable_schedule import (
    SerializableSchedule,
    as_float,
    interpolate_cosine,
    interval_progress,
)
from keras_netopt.serialization import export_class


@export_class
class OneCycle(SerializableSchedule):
    """One-cycle policy: one rise to a large rate, one decay to almost zero.

    Use it to train in fewer epochs, with `max_learning_rate` from
    `LearningRateFinder` and `total_steps` = epochs times batches per epoch.
    After `total_steps` the rate stays at its last value.

    Example:

    >>> import keras
    >>> import keras_netopt as netopt
    >>> rate = netopt.learning_rate.OneCycle(0.5, total_steps=1000)
    >>> [f"{float(rate(step)):.2g}" for step in (0, 300, 1000)]
    ['0.02', '0.5', '2e-06']
    >>> optimizer = keras.optimizers.SGD(rate, momentum=0.9)

    Args:
        max_learning_rate: The largest rate, above 0.
        total_steps: Optimizer steps of the whole training, at least 1.
        warmup_fraction: Fraction of the steps in which the rate rises, in
            [0, 1]. Defaults to `0.3`.
        div_factor: Ratio of the largest to the first rate, at least 1.
            Defaults to `25.0`.
        final_div_factor: Ratio of the first to the last rate, at least 1.
            Defaults to `1e4`.

    Raises:
        TypeError: If an argument is not a number.
        ValueError: If an argument is out of range.

    Reference:
        Smith and Topin, "Super-convergence: very fast training of neural
        networks using large learning rates", 2017,
        https://arxiv.org/abs/1708.07120. Cosine form and defaults as in
        fastai and PyTorch.
    """

    def __init__(
        self,
        max_learning_rate: float,
        total_steps: int,
        *,
        warmup_fraction: float = 0.3,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
    ) -> None:
        self.max_learning_rate = check_positive(
            max_learning_rate, "max_learning_rate"
        )
        self.total_steps = check_integer(total_steps, "total_steps", minimum=1)
        self.warmup_fraction = check_probability(
            warmup_fraction, "warmup_fraction"
        )
        self.div_factor = check_at_least(div_factor, "div_factor", 1.0)
        self.final_div_factor = check_at_least(
            final_div_factor, "final_div_factor", 1.0
        )

    def __call__(self, step: Any) -> Any:
        """Returns the learning rate of a step, counted from 0."""
        step = as_float(step)
        top = self.max_learning_rate
        first = top / self.div_factor
        rise = self.warmup_fraction * self.total_steps
        up = interpolate_cosine(first, top, interval_progress(step, 0.0, rise))
        falling = interval_progress(step, rise, self.total_steps - rise)
        down = interpolate_cosine(top, first / self.final_div_factor, falling)
        return ops.where(step < rise, up, down)


@export_class
class Triangular(SerializableSchedule):
    """Triangular policy: cycles linearly between two learning rates.

    Train for whole cycles, with the two rates from `LearningRateFinder`:
    where the loss begins to fall, and where it is lowest. Keras'
    `CosineDecayRestarts` has sudden restarts instead of a rise.

    Example:

    >>> import keras_netopt as netopt
    >>> rate = netopt.learning_rate.Triangular(0.25, 0.75, half_cycle=4)
    >>> [float(rate(step)) for step in (0, 2, 4, 8, 12)]
    [0.25, 0.5, 0.75, 0.25, 0.75]

    Args:
        min_learning_rate: The lowest rate, at least 0.
        max_learning_rate: The highest rate, above the lowest.
        half_cycle: Steps from the lowest to the highest rate, at least 1;
            usually 2 to 10 epochs.
        cycle_factor: Factor of the amplitude at each further cycle, in
            [0, 1]; 0.5 is the paper's "triangular2". Defaults to `1.0`.

    Raises:
        TypeError: If an argument is not a number.
        ValueError: If an argument is out of range.

    Reference:
        Smith, "Cyclical learning rates for training neural networks", 2015,
        https://arxiv.org/abs/1506.01186 (base_lr, max_learning_rate, stepsize).
    """

    def __init__(
        self,
        min_learning_rate: float,
        max_learning_rate: float,
        half_cycle: int,
        *,
        cycle_factor: float = 1.0,
    ) -> None:
        self.min_learning_rate = check_at_least(
            min_learning_rate, "min_learning_rate", 0.0
        )
        self.max_learning_rate = check_above(
            max_learning_rate,
            "max_learning_rate",
            self.min_learning_rate,
            "`min_learning_rate`",
        )
        self.half_cycle = check_integer(half_cycle, "half_cycle", minimum=1)
        self.cycle_factor = check_probability(cycle_factor, "cycle_factor")

    def __call__(self, step: Any) -> Any:
        """Returns the learning rate of a step, counted from 0."""
        cycles = as_float(step) / (2.0 * self.half_cycle)
        number = ops.floor(cycles)
        height = 1.0 - ops.abs(2.0 * (cycles - number) - 1.0)
        height = height * ops.power(self.cycle_factor, number)
        span = self.max_learning_rate - self.min_learning_rate
        return self.min_learning_rate + span * height
