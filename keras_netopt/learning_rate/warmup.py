"""Learning rate schedules that begin with a linear warm-up."""

import numbers
from typing import Any

import keras
from keras import ops

from keras_netopt.checks import (
    check_at_least_zero,
    check_choice,
    check_integer,
    check_positive,
)
from keras_netopt.learning_rate.serializable_schedule import (
    SerializableSchedule,
    as_float,
    interpolate_cosine,
    interval_progress,
)
from keras_netopt.serialization import export_class

DECAYS = ("linear", "cosine", "sqrt")


@export_class
class Warmup(SerializableSchedule):
    """Adds a linear warm-up to any schedule or constant learning rate.

    The wrapped schedule starts at its step 0 after the warm-up: set its
    length to the total number of steps minus `warmup_steps`.

    Example:

    >>> import keras
    >>> import keras_netopt as netopt
    >>> decay = keras.optimizers.schedules.CosineDecay(0.5, decay_steps=900)
    >>> rate = netopt.learning_rate.Warmup(decay, warmup_steps=100)
    >>> [float(rate(step)) for step in (0, 50, 100, 1000)]
    [0.0, 0.25, 0.5, 0.0]

    Args:
        schedule: A Keras `LearningRateSchedule`, or a rate above 0.
        warmup_steps: Steps of the warm-up, at least 1.
        initial: The rate at step 0, at least 0. Defaults to `0.0`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range.

    Reference:
        Goyal et al., "Accurate, large minibatch SGD", 2017,
        https://arxiv.org/abs/1706.02677 (gradual warmup).
    """

    def __init__(
        self, schedule: Any, warmup_steps: int, *, initial: float = 0.0
    ) -> None:
        self.schedule = _as_schedule(schedule)
        self.warmup_steps = check_integer(
            warmup_steps, "warmup_steps", minimum=1
        )
        self.initial = check_at_least_zero(initial, "initial")

    def __call__(self, step: Any) -> Any:
        """Returns the learning rate of a step, counted from 0."""
        step = as_float(step)
        rate = self._rate(ops.maximum(step - self.warmup_steps, 0.0))
        progress = step / self.warmup_steps
        rising = self.initial + (rate - self.initial) * progress
        return ops.where(step < self.warmup_steps, rising, rate)

    def get_config(self) -> dict[str, Any]:
        """Returns every constructor argument, JSON-safe."""
        config = super().get_config()
        if not isinstance(self.schedule, float):
            config["schedule"] = keras.saving.serialize_keras_object(
                self.schedule
            )
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Warmup":
        """Creates the schedule from `get_config`'s result."""
        inner = config["schedule"]
        if isinstance(inner, dict):
            inner = keras.saving.deserialize_keras_object(inner)
        return cls(**{**config, "schedule": inner})

    def _rate(self, step: Any) -> Any:
        if isinstance(self.schedule, float):
            return self.schedule
        return ops.cast(self.schedule(step), "float32")


@export_class
class WarmupStableDecay(SerializableSchedule):
    """Warmup-stable-decay (WSD): linear warm-up, plateau, short decay.

    Training can be extended from a checkpoint at the end of the plateau:
    only the decay is repeated.

    Example:

    >>> import keras_netopt as netopt
    >>> rate = netopt.learning_rate.WarmupStableDecay(
    ...     0.5, total_steps=1000, warmup_steps=100, decay_steps=200
    ... )
    >>> [float(rate(step)) for step in (0, 50, 100, 800, 900, 1000)]
    [0.0, 0.25, 0.5, 0.5, 0.25, 0.0]

    Args:
        max_learning_rate: The rate of the plateau, above 0.
        total_steps: Optimizer steps of the whole training, at least 1.
        warmup_steps: Steps of the warm-up from 0, at least 0.
        decay_steps: Steps of the decay, at least 0, usually a tenth to a
            fifth of the training; with `warmup_steps` at most `total_steps`.
        final: The last rate, at least 0. Defaults to `0.0`.
        decay: Form of the decay: "linear", "cosine", or "sqrt" for
            1 - sqrt(progress). Defaults to `"linear"`.

    Raises:
        TypeError: If an argument is not a number.
        ValueError: If an argument is out of range.

    Reference:
        Hu et al., "MiniCPM", 2024, https://arxiv.org/abs/2404.06395 (WSD);
        Hägele et al., "Scaling laws and compute-optimal training beyond
        fixed training durations", 2024, https://arxiv.org/abs/2405.18392
        (the form of the decay).
    """

    def __init__(
        self,
        max_learning_rate: float,
        total_steps: int,
        *,
        warmup_steps: int,
        decay_steps: int,
        final: float = 0.0,
        decay: str = "linear",
    ) -> None:
        self.max_learning_rate = check_positive(
            max_learning_rate, "max_learning_rate"
        )
        self.total_steps = check_integer(total_steps, "total_steps", minimum=1)
        self.warmup_steps = check_integer(warmup_steps, "warmup_steps")
        self.decay_steps = check_integer(decay_steps, "decay_steps")
        if self.warmup_steps + self.decay_steps > self.total_steps:
            raise ValueError(
                "Arguments `warmup_steps` and `decay_steps` must sum to at "
                f"most `total_steps`. Received: warmup_steps={warmup_steps!r}, "
                f"decay_steps={decay_steps!r}, total_steps={total_steps!r}"
            )
        self.final = check_at_least_zero(final, "final")
        check_choice(decay, "decay", DECAYS)
        self.decay = decay

    def __call__(self, step: Any) -> Any:
        """Returns the learning rate of a step, counted from 0."""
        step = as_float(step)
        progress = interval_progress(step, 0.0, self.warmup_steps)
        rise = self.max_learning_rate * progress
        return ops.where(step < self.warmup_steps, rise, self._decay(step))

    def _decay(self, step: Any) -> Any:
        begin = self.total_steps - self.decay_steps
        first, last = self.max_learning_rate, self.final
        # Without a decay the plateau never ends.
        length = self.decay_steps or float("inf")
        progress = interval_progress(step, begin, length)
        if self.decay == "cosine":
            return interpolate_cosine(first, last, progress)
        if self.decay == "sqrt":
            progress = ops.sqrt(progress)
        return first + (last - first) * progress


@export_class
class InverseSquareRoot(SerializableSchedule):
    """Linear warm-up, then decay with the inverse square root of the step.

    The schedule of the original transformer, for trainings without a fixed
    length.

    Example:

    >>> import keras_netopt as netopt
    >>> rate = netopt.learning_rate.InverseSquareRoot(0.5, warmup_steps=100)
    >>> [float(rate(step)) for step in (0, 50, 100, 400)]
    [0.0, 0.25, 0.5, 0.25]

    Args:
        max_learning_rate: The largest rate, above 0.
        warmup_steps: Steps of the warm-up from 0, at least 1; after four
            times as many steps the rate is half of `max_learning_rate`.

    Raises:
        TypeError: If an argument is not a number.
        ValueError: If an argument is out of range.

    Reference:
        Vaswani et al., "Attention is all you need", 2017,
        https://arxiv.org/abs/1706.03762 (section 5.3; the largest rate there
        is (d_model * warmup_steps) ** -0.5).
    """

    def __init__(self, max_learning_rate: float, warmup_steps: int) -> None:
        self.max_learning_rate = check_positive(
            max_learning_rate, "max_learning_rate"
        )
        self.warmup_steps = check_integer(
            warmup_steps, "warmup_steps", minimum=1
        )

    def __call__(self, step: Any) -> Any:
        """Returns the learning rate of a step, counted from 0."""
        progress = as_float(step) / self.warmup_steps
        decay = ops.rsqrt(ops.maximum(progress, 1.0))
        return self.max_learning_rate * ops.minimum(progress, decay)


def _as_schedule(value: Any) -> Any:
    if isinstance(value, keras.optimizers.schedules.LearningRateSchedule):
        return value
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        return check_positive(value, "schedule")
    raise TypeError(
        "Argument `schedule` must be a LearningRateSchedule or a number above "
        f"0. Received: schedule={value!r}"
    )
