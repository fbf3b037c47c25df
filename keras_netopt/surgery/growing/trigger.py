"""Base class of growth triggers, and the training history they decide on."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

from keras_netopt.points import Point, RunLength, resolve_point

# A step, and the numbers of the actions there; `None` is the next action.
ScheduledGrowth = tuple[int, tuple[int, ...] | None]


@dataclass(frozen=True)
class TrainingHistory:
    """The finished epochs and growths of a fit, as a trigger sees them.

    Example:

    >>> logs = [{"epoch": 1, "loss": 0.5}]
    >>> history = TrainingHistory(logs, [], RunLength(10, 5))
    >>> history.epoch
    1

    Args:
        logs: The logs of the finished epochs, oldest first. `"epoch"` is the
            number of complete epochs then.
        growth_epochs: Number of complete epochs at each growth so far.
        run: Length of the whole fit.
        planned_growths: Planned number of growths. Defaults to `1`.
        end: Point of the fit after which there is no growth. Defaults to
            `1.0`.
    """

    logs: Sequence[Mapping[str, float]]
    growth_epochs: Sequence[int]
    run: RunLength
    planned_growths: int = 1
    end: Point = 1.0

    @property
    def epoch(self) -> int:
        """Number of complete epochs."""
        return int(self.logs[-1]["epoch"]) if self.logs else 0


@dataclass(frozen=True)
class Trigger:
    """Decides when a network grows; subclass it as a frozen dataclass.

    Override `should_grow` to decide after each epoch, or `schedule` to list
    the steps of growth before the fit begins.

    Example:

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class WhenBelow(Trigger):
    ...     loss: float
    ...     def should_grow(self, history):
    ...         return history.logs[-1]["loss"] < self.loss
    >>> logs = [{"epoch": 1, "loss": 0.5}]
    >>> history = TrainingHistory(logs, [], RunLength(10, 5))
    >>> WhenBelow(0.6).should_grow(history)
    True
    """

    @property
    def monitors(self) -> tuple[str, ...]:
        """Names in the logs that the decision needs."""
        return ()

    @property
    def is_in_epochs(self) -> bool:
        """Whether `schedule` depends on the number of epochs only."""
        return False

    def schedule(
        self, run: RunLength, last: int | None
    ) -> tuple[ScheduledGrowth, ...]:
        """Returns the growths that are known before the fit begins.

        Args:
            run: Length of the fit.
            last: Last step at which growth is allowed, `None` where the
                length of the fit is unknown.

        Returns:
            Pairs of a step and the numbers of the actions there, or `None`
            instead of the numbers for the next action in order.

        Raises:
            ValueError: If a step is outside the fit or after `last`.
        """
        return ()

    def should_grow(self, history: TrainingHistory) -> bool:
        """Returns after an epoch whether to grow before the next one."""
        return False

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as JSON-safe values."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.init}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Creates a trigger from the output of `get_config`."""
        return cls(**config)

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)


def point_in_epochs(point: Point, run: RunLength, name: str) -> float:
    """Converts a point of a fit, or a length of time, to epochs.

    Raises ValueError with the argument's `name` if the point is given in steps
    and the number of steps per epoch is unknown, or is after the end of the
    fit.

    Example:

    >>> run = RunLength(steps_per_epoch=10, epochs=5)
    >>> [point_in_epochs(p, run, "end") for p in (0.5, "3ep", 25)]
    [2.5, 3.0, 2.5]
    """
    if isinstance(point, float):
        return point * run.epochs
    epochs = re.fullmatch(r"(\d+)ep", str(point))
    if epochs:
        return float(epochs[1])
    if run.steps_per_epoch is None:
        raise ValueError(
            f"Argument `{name}` needs the length of the `fit` call, which is "
            "unknown: pass `steps_per_epoch=` to `fit` or write the point as "
            f'a fraction or in epochs, as "5ep". Received: {name}={point!r}'
        )
    return resolve_point(point, run, name) / (run.steps_per_epoch or 1)
