"""Growth at regular points of a fit; the default trigger of `Growing`."""

from dataclasses import dataclass

from keras_netopt.checks import check_integer
from keras_netopt.points import RunLength
from keras_netopt.serialization import export_class
from keras_netopt.surgery.growing.trigger import (
    ScheduledGrowth,
    TrainingHistory,
    Trigger,
    point_in_epochs,
)


@export_class
@dataclass(frozen=True)
class EvenlySpaced(Trigger):
    """Grows at evenly spaced points before `end`, one action at a time.

    A single growth is at half of `end`, two are at a third and two thirds of
    it. The points are moved to the nearest epoch begins if there are enough.
    Data of unknown length grow at epoch begins.

    Example:

    >>> run = RunLength(steps_per_epoch=10, epochs=10)
    >>> EvenlySpaced().schedule(run, last=80)
    ((40, None),)
    >>> EvenlySpaced(3).schedule(run, last=80)
    ((20, None), (40, None), (60, None))

    Args:
        times: Number of growths, at least 1. Defaults to `1`.

    Raises:
        TypeError: If `times` is not an integer.
        ValueError: If `times` is out of range.
    """

    times: int = 1

    def __post_init__(self) -> None:
        check_integer(self.times, "times", minimum=1)

    def schedule(
        self, run: RunLength, last: int | None
    ) -> tuple[ScheduledGrowth, ...]:
        """Returns the points of a fit of known length, as steps."""
        if last is None:
            return ()
        points = [last * share for share in self._shares()]
        whole = run.steps_per_epoch or 1
        epochs = [max(1, round(point / whole)) for point in points]
        fits = len(set(epochs)) == self.times and epochs[-1] * whole <= last
        steps = [epoch * whole for epoch in epochs]
        if not fits:
            steps = [max(1, round(point)) for point in points]
        return tuple((step, None) for step in steps if step <= last)

    def should_grow(self, history: TrainingHistory) -> bool:
        """Returns whether the next point of a fit of unknown length passed."""
        made = len(history.growth_epochs)
        if history.run.total is not None or made >= self.times:
            return False
        last = point_in_epochs(history.end, history.run, "end")
        return history.epoch >= max(1, round(last * self._shares()[made]))

    def _shares(self) -> list[float]:
        return [k / (self.times + 1) for k in range(1, self.times + 1)]
