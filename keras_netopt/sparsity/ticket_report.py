"""What a search for a lottery ticket has found, round by round."""

from dataclasses import dataclass, field
from typing import Any

from keras_netopt.report import Report
from keras_netopt.tables import render


@dataclass(frozen=True)
class TicketRound(Report):
    """One round of training.

    Example:

    >>> one = TicketRound(1, 0.2, 80, 100, {"loss": 0.5})
    >>> print(one)
    round 1: sparsity 20.0 %, loss 0.5

    Args:
        number: Its number; 0 is the dense round.
        sparsity: Share of zeros among the selected weights, in [0, 1).
        kept: Number of selected weights that are trained.
        weights: Number of selected weights.
        metrics: The logs of its last epoch. Defaults to none.
        control: "reinit" or "shuffle_mask" for the round of a control arm,
            `None` for a ticket. Defaults to `None`.
    """

    number: int
    sparsity: float
    kept: int
    weights: int
    metrics: dict[str, float] = field(default_factory=dict)
    control: str | None = None

    def __str__(self) -> str:
        values = [f"{name} {v:.4g}" for name, v in self.metrics.items()]
        kind = f" ({self.control})" if self.control else ""
        share = f"sparsity {100 * self.sparsity:.1f} %"
        return f"round {self.number}{kind}: {', '.join([share, *values])}"


@dataclass(frozen=True, repr=False)
class LotteryTicketReport(Report):
    """All rounds that have ended; prints as a table.

    Example:

    >>> print(LotteryTicketReport((TicketRound(1, 0.2, 80, 100),)))
    ┏━━━━━━━┳━━━━━━━━━━┳━━━━━━━━━┓
    ┃ Round ┃ Sparsity ┃ Weights ┃
    ┡━━━━━━━╇━━━━━━━━━━╇━━━━━━━━━┩
    │     1 │    20.0% │      80 │
    └───────┴──────────┴─────────┘

    Args:
        rounds: The rounds, the dense one first.
        name: Name of the model. Defaults to `""`.
    """

    rounds: tuple[TicketRound, ...]
    name: str = ""

    def __str__(self) -> str:
        keys = list(dict.fromkeys(k for r in self.rounds for k in r.metrics))
        rows: list[list[Any]] = [
            [
                f"{one.number} {one.control}" if one.control else one.number,
                f"{one.sparsity:.1%}",
                one.kept,
                *(one.metrics.get(key) for key in keys),
            ]
            for one in self.rounds
        ]
        headers = ["Round", "Sparsity", "Weights", *keys]
        title = f'Lottery ticket of "{self.name}"' if self.name else None
        return render(headers, rows, title=title, align="r" * len(headers))

    __repr__ = __str__
