"""What a trigger is, and what it may know of a fit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

from keras_netopt.points import RunLength

Turn = tuple[int, tuple[int, ...] | None]


@dataclass(frozen=True)
class TrainingHistory:
    """What a trigger may look at after an epoch.

    Example:

    >>> logs = [{"epoch": 1, "loss": 0.5}]
    >>> past = TrainingHistory(logs, [], RunLength(10, 5))
    >>> past.epoch
    1

    Args:
        epochs: The logs of the finished epochs, oldest first. `"epoch"` is
            the number of epochs that were complete then.
        grown: Complete epochs at each growth so far.
        run: Length of the whole fit.
        growths: Growths that are planned in all. Defaults to `1`.
        final: Share of the fit at its end without growth. Defaults to `0.0`.
    """

    epochs: Sequence[Mapping[str, float]]
    grown: Sequence[int]
    run: RunLength
    growths: int = 1
    final: float = 0.0

    @property
    def epoch(self) -> int:
        """Epochs that are complete."""
        return int(self.epochs[-1]["epoch"]) if self.epochs else 0


@dataclass(frozen=True)
class Trigger:
    """Says when to grow. Subclass as a frozen dataclass to write your own.

    Override `fires` to decide after each epoch, or `turns` to fix the moments
    before the fit begins.

    Example:

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class WhenBelow(Trigger):
    ...     loss: float
    ...     def fires(self, past):
    ...         return past.epochs[-1]["loss"] < self.loss
    >>> logs = [{"epoch": 1, "loss": 0.5}]
    >>> past = TrainingHistory(logs, [], RunLength(10, 5))
    >>> WhenBelow(0.6).fires(past)
    True
    """

    @property
    def monitors(self) -> tuple[str, ...]:
        """Names in the logs without which it cannot decide."""
        return ()

    def turns(self, run: RunLength, last: int | None) -> tuple[Turn, ...]:
        """Returns the moments that are known before the fit begins.

        Args:
            run: Length of the fit.
            last: Last step at which growth is allowed, `None` where the
                length of the fit is unknown.

        Returns:
            Pairs of a step and the numbers of the actions that are due, or
            `None` in their place for the next action in line.

        Raises:
            ValueError: If a moment lies outside the fit or behind `last`.
        """
        return ()

    def fires(self, past: TrainingHistory) -> bool:
        """Says after an epoch whether to grow before the next one."""
        return False

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as JSON-safe values."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.init}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Makes the trigger whose `get_config` returned `config`."""
        return cls(**config)

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)
