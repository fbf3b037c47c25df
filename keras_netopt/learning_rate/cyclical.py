"""Learning rates that rise and fall."""

from typing import Any

from keras import ops

from keras_netopt.checks import (
    check_integer,
    check_number,
    check_positive,
    check_probability,
)
from keras_netopt.learning_rate.serializable_schedule import (
    SerializableSchedule,
    as_float,
    cosine,
    share,
)
from keras_netopt.serialization import export_class


@export_class
class OneCycle(SerializableSchedule):
    """One rise to a large learning rate and one long fall to almost zero.

    The large rates in the middle let a network train in fewer epochs. Take
    `max_learning_rate` from `LearningRateFinder` and count `total_steps` as
    epochs times batches; behind them the last rate stays.

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
        warmup_fraction: Share of the steps that rise, in [0, 1]. Defaults to
            `0.3`.
        div_factor: The first rate is the largest divided by this, at least
            1. Defaults to `25.0`.
        final_div_factor: The last rate is the first divided by this, at
            least 1. Defaults to `1e4`.

    Raises:
        TypeError: If an argument is not a number.
        ValueError: If an argument is out of range.

    Reference:
        Smith and Topin, "Super-convergence: very fast training of neural
        networks using large learning rates", 2017,
        https://arxiv.org/abs/1708.07120. The cosine form and the defaults
        are those of fastai and PyTorch.
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
        self.div_factor = _at_least_one(div_factor, "div_factor")
        self.final_div_factor = _at_least_one(
            final_div_factor, "final_div_factor"
        )

    def __call__(self, step: Any) -> Any:
        """Returns the rate of a step, counted from 0."""
        step = as_float(step)
        top = self.max_learning_rate
        first = top / self.div_factor
        rise = self.warmup_fraction * self.total_steps
        up = cosine(first, top, share(step, 0.0, rise))
        falling = share(step, rise, self.total_steps - rise)
        down = cosine(top, first / self.final_div_factor, falling)
        return ops.where(step < rise, up, down)


@export_class
class Triangular(SerializableSchedule):
    """Swings between two learning rates in straight lines.

    Train for whole cycles, and take the two rates from
    `LearningRateFinder`: where the loss begins to fall and where it is
    lowest. Keras' `CosineDecayRestarts` jumps back up instead.

    Example:

    >>> import keras_netopt as netopt
    >>> rate = netopt.learning_rate.Triangular(0.25, 0.75, half_cycle=4)
    >>> [float(rate(step)) for step in (0, 2, 4, 8, 12)]
    [0.25, 0.5, 0.75, 0.25, 0.75]

    Args:
        min_learning_rate: The lowest rate, at least 0.
        max_learning_rate: The highest rate, above the lowest.
        half_cycle: Steps from the lowest to the highest rate, at least 1; 2
            to 10 epochs are usual.
        cycle_factor: What is left of the height at each further cycle, in
            [0, 1]; 0.5 is "triangular2" of the paper. Defaults to `1.0`.

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
        self.min_learning_rate = check_number(
            min_learning_rate, "min_learning_rate"
        )
        if self.min_learning_rate < 0.0:
            raise ValueError(
                "Argument `min_learning_rate` must be at least 0. "
                f"Received: min_learning_rate={min_learning_rate!r}"
            )
        self.max_learning_rate = check_number(
            max_learning_rate, "max_learning_rate"
        )
        if self.max_learning_rate <= self.min_learning_rate:
            raise ValueError(
                "Argument `max_learning_rate` must be above "
                "`min_learning_rate`. "
                f"Received: max_learning_rate={max_learning_rate!r}"
            )
        self.half_cycle = check_integer(half_cycle, "half_cycle", minimum=1)
        self.cycle_factor = check_probability(cycle_factor, "cycle_factor")

    def __call__(self, step: Any) -> Any:
        """Returns the rate of a step, counted from 0."""
        cycles = as_float(step) / (2.0 * self.half_cycle)
        number = ops.floor(cycles)
        height = 1.0 - ops.abs(2.0 * (cycles - number) - 1.0)
        height = height * ops.power(self.cycle_factor, number)
        span = self.max_learning_rate - self.min_learning_rate
        return self.min_learning_rate + span * height


def _at_least_one(value: Any, name: str) -> float:
    number = check_number(value, name)
    if number < 1.0:
        raise ValueError(
            f"Argument `{name}` must be at least 1. Received: {name}={value!r}"
        )
    return number
