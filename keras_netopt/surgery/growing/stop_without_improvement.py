"""When growing ends."""

import math
import re
from dataclasses import dataclass, fields
from typing import Any, Self

from keras_netopt.points import (
    Point,
    RunLength,
    check_point,
    plain_point,
    resolve_point,
)
from keras_netopt.serialization import export_class
from keras_netopt.surgery.growing.monitors import (
    check_monitor,
    check_not_negative,
    gains,
    values,
)
from keras_netopt.surgery.growing.trigger_base import TrainingHistory


@export_class
@dataclass(frozen=True)
class StopWithoutImprovement:
    """Closes a stage for good when growing it no longer helps.

    With it the actions of `Growing` take turns, round and round: one action a
    stage. When growth is due and the metric has gained less than `min_delta`
    in the last `window`, the stage that grew last is closed. All closed: the
    rest of the fit is fine-tuning.

    Example:

    >>> from keras_netopt.points import RunLength
    >>> run = RunLength(steps_per_epoch=10, epochs=20)
    >>> flat = [{"epoch": i + 1, "val_accuracy": 0.9} for i in range(8)]
    >>> rule = StopWithoutImprovement(window="6ep")
    >>> [rule.met(TrainingHistory(flat[:n], [], run)) for n in (6, 7)]
    [False, True]

    Args:
        min_delta: Smallest gain that counts, at least 0. Defaults to
            `0.0005`, 0.05 % of accuracy.
        window: Time in which it must be gained, far longer than that between
            two growths: a float in (0, 1] (fraction of the fit), an int
            (steps), "30ep" or "500step"; at least one epoch. Defaults to
            `0.33`.
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
        check_not_negative(self.min_delta, "min_delta")
        check_point(self.window, "window")
        object.__setattr__(self, "window", plain_point(self.window))
        check_monitor(self.monitor, self.mode)

    @property
    def monitors(self) -> tuple[str, ...]:
        """The name in the logs."""
        return (self.monitor,)

    def epochs(self, run: RunLength) -> int:
        """Returns the window in epochs of a run, rounded up.

        Args:
            run: Length of the fit.

        Returns:
            Epochs, at least 1.

        Raises:
            ValueError: If that cannot be known in a fit of unknown length.
        """
        epochs = re.fullmatch(r"(\d+)ep", str(self.window))
        if epochs:
            return max(1, int(epochs[1]))
        if isinstance(self.window, float):
            return max(1, math.ceil(self.window * run.epochs - 1e-9))
        steps = resolve_point(self.window, run, "window")
        resolve_point("1ep", run, "window")
        return max(1, math.ceil(steps / (run.steps_per_epoch or 1)))

    def met(self, past: TrainingHistory) -> bool:
        """Says whether the window has passed without a gain.

        Args:
            past: The epochs so far.

        Returns:
            Whether the stage that grew last is to be closed; `False` while
            there is less of a past than the window and one epoch before it.
        """
        since = past.epoch - self.epochs(past.run)
        best, before, measured = None, None, False
        for epoch, value in values(past.epochs, self.monitor):
            if gains(value, best, self.monitor, self.mode):
                best = value
            if epoch <= since:
                before, measured = best, True
        if not measured or best is None:
            return False
        return not gains(best, before, self.monitor, self.mode, self.min_delta)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Makes the policy whose `get_config` returned `config`."""
        return cls(**config)
