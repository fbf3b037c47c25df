"""Stopping rule of growth: AutoGrow's closing of stages."""

import math
from dataclasses import dataclass, fields
from typing import Any, Self

from keras_netopt.checks import check_at_least_zero
from keras_netopt.metric_direction import check_direction
from keras_netopt.points import Point, RunLength, check_point, plain_point
from keras_netopt.serialization import export_class
from keras_netopt.surgery.growing.monitored_metric import (
    is_improvement,
    monitored_values,
)
from keras_netopt.surgery.growing.trigger import (
    TrainingHistory,
    point_in_epochs,
)


@export_class
@dataclass(frozen=True)
class StopWithoutImprovement:
    """Closes a stage for good when its growth no longer improves a metric.

    Each action of `Growing` is a stage; the stages grow in turn. When growth
    is due and the metric has improved by less than `min_delta` in the last
    `window`, the stage that grew last is closed. After all stages are closed,
    the rest of the fit is fine-tuning.

    Example:

    >>> from keras_netopt.points import RunLength
    >>> run = RunLength(steps_per_epoch=10, epochs=20)
    >>> flat = [{"epoch": i + 1, "val_accuracy": 0.9} for i in range(8)]
    >>> rule = StopWithoutImprovement(window="6ep")
    >>> [rule.should_stop(TrainingHistory(flat[:n], [], run)) for n in (6, 7)]
    [False, True]

    Args:
        min_delta: Smallest change that counts as an improvement, at least 0.
            Defaults to `0.0005`, 0.05 % of accuracy.
        window: Length of time, much longer than the time between two growths:
            a float in (0, 1] (fraction of the fit), an int (steps), "30ep" or
            "500step"; at least one epoch. Defaults to `0.33`.
        monitor: Name in the logs. Defaults to `"val_accuracy"`.
        mode: "min", "max" or "auto". Defaults to `"auto"`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range.

    Reference:
        Wen et al., *AutoGrow*, 2020, https://arxiv.org/abs/1906.02909 (its
        tau is `min_delta`, its J is `window`).
    """

    min_delta: float = 0.0005
    window: Point = 0.33
    monitor: str = "val_accuracy"
    mode: str = "auto"

    def __post_init__(self) -> None:
        check_at_least_zero(self.min_delta, "min_delta")
        check_point(self.window, "window")
        object.__setattr__(self, "window", plain_point(self.window))
        check_direction(self.monitor, self.mode)

    @property
    def monitors(self) -> tuple[str, ...]:
        """The name in the logs."""
        return (self.monitor,)

    def epochs(self, run: RunLength) -> int:
        """Returns the window in epochs of a run, rounded up.

        Args:
            run: Length of the fit.

        Returns:
            Number of epochs, at least 1.

        Raises:
            ValueError: If the number is unknown in a fit of unknown length.
        """
        epochs = point_in_epochs(self.window, run, "window")
        return max(1, math.ceil(epochs - 1e-9))

    def should_stop(self, history: TrainingHistory) -> bool:
        """Returns whether the window has passed without an improvement.

        Args:
            history: The epochs so far.

        Returns:
            Whether to close the stage that grew last; `False` before the
            epochs of the window and one more.
        """
        start = history.epoch - self.epochs(history.run)
        best, before, measured = None, None, False
        for epoch, value in monitored_values(history.logs, self.monitor):
            if is_improvement(value, best, self.monitor, self.mode):
                best = value
            if epoch <= start:
                before, measured = best, True
        if not measured or best is None:
            return False
        return not is_improvement(
            best, before, self.monitor, self.mode, self.min_delta
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Creates a rule from the output of `get_config`."""
        return cls(**config)
