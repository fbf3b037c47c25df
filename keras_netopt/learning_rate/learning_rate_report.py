"""The printable result of a learning rate range test."""

from collections.abc import Sequence
from dataclasses import dataclass

from keras_netopt.report import Report
from keras_netopt.tables import render

USES = {
    "suggestion": "use it: `OneCycle` peak, constant with SGD",
    "steepest": "constant with Adam; often too high with SGD",
}


@dataclass(frozen=True)
class LearningRateReport(Report):
    """The result of a learning rate range test.

    Example:

    >>> sweep = [1e-5, 1e-3, 1e-1, 1.0], [2.0, 1.9, 0.9, 3.0]
    >>> print(LearningRateReport(0.01, 0.1, *sweep, sweep[1], 1.1, 0.05))
    Learning rate range test
    ┏━━━━━━━━━━━━┳━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┓
    ┃            ┃ learning rate ┃ use                                         ┃
    ┡━━━━━━━━━━━━╇━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┩
    │ suggestion │          0.01 │ use it: `OneCycle` peak, constant with SGD  │
    │ steepest   │           0.1 │ constant with Adam; often too high with SGD │
    │ first      │         1e-05 │                                             │
    │ last       │             1 │                                             │
    └────────────┴───────────────┴─────────────────────────────────────────────┘
    The smoothed loss falls by 1.1; its noise is 0.05 (one standard deviation).

    Args:
        suggestion: A tenth of the rate with the lowest smoothed loss; `None`
            where the loss never falls, and where a tenth lies below the first
            rate.
        steepest: The rate at which the smoothed loss falls fastest, or
            `None`.
        learning_rate: The rates of the sweep, one per batch.
        loss: The loss of each batch.
        smoothed_loss: The bias-corrected running mean of the losses.
        fall: How far the smoothed loss falls to its lowest value. Defaults to
            `None`: it never falls.
        noise: The standard deviation of the lowest smoothed loss, estimated
            from successive losses. Defaults to `None`.
        note: What limits the result, with the remedy. Defaults to `None`.
    """

    suggestion: float | None
    steepest: float | None
    learning_rate: Sequence[float]
    loss: Sequence[float]
    smoothed_loss: Sequence[float]
    fall: float | None = None
    noise: float | None = None
    note: str | None = None

    def __str__(self) -> str:
        rates = {
            "suggestion": self.suggestion,
            "steepest": self.steepest,
            "first": self.learning_rate[0],
            "last": self.learning_rate[-1],
        }
        rows = [
            (name, rate, "" if rate is None else USES.get(name, ""))
            for name, rate in rates.items()
        ]
        lines = [
            render(
                ["", "learning rate", "use"],
                rows,
                title="Learning rate range test",
            )
        ]
        if self.fall is not None and self.noise is not None:
            lines.append(
                f"The smoothed loss falls by {self.fall:.3g}; its noise is "
                f"{self.noise:.3g} (one standard deviation)."
            )
        if self.note is not None:
            lines.append(f"Note: {self.note}")
        return "\n".join(lines)
