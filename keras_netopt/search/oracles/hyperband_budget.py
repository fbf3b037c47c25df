"""Brackets and rungs of Hyperband."""

from dataclasses import dataclass

from keras_netopt import tables
from keras_netopt.report import Report


@dataclass(frozen=True)
class Rung:
    """One rung of a bracket of Hyperband.

    Args:
        bracket: Number of the bracket: its number of promotions.
        round: Number of the rung in the bracket, from 0.
        trials: Number of trials.
        epochs: Epoch at which they end.
        initial_epoch: Epoch at which they begin.
    """

    bracket: int
    round: int
    trials: int
    epochs: int
    initial_epoch: int

    @property
    def total(self) -> int:
        """Epochs trained in the rung."""
        return self.trials * (self.epochs - self.initial_epoch)


@dataclass(frozen=True)
class HyperbandBudget(Report):
    """Trials and epochs of a search with Hyperband.

    Example:

    >>> print(hyperband_budget(3, 3))
    Hyperband: 6 trials, 11 epochs
    ┏━━━━━━━━━┳━━━━━━━┳━━━━━━━━┳━━━━━━━━┳━━━━━━━━━━━━━━┓
    ┃ bracket ┃ round ┃ trials ┃ epochs ┃ total epochs ┃
    ┡━━━━━━━━━╇━━━━━━━╇━━━━━━━━╇━━━━━━━━╇━━━━━━━━━━━━━━┩
    │       1 │     0 │      3 │ 0 to 1 │            3 │
    │       1 │     1 │      1 │ 1 to 3 │            2 │
    │       0 │     0 │      2 │ 0 to 3 │            6 │
    └─────────┴───────┴────────┴────────┴──────────────┘

    Args:
        rungs: The rungs in the order in which they run.
        iterations: Repetitions of all rungs. Defaults to `1`.
    """

    rungs: tuple[Rung, ...]
    iterations: int = 1

    @property
    def trials(self) -> int:
        """Number of trials; a promoted trial counts again."""
        return self.iterations * sum(rung.trials for rung in self.rungs)

    @property
    def epochs(self) -> int:
        """Number of epochs."""
        return self.iterations * sum(rung.total for rung in self.rungs)

    def __str__(self) -> str:
        times = (
            f" in {self.iterations} iterations" if self.iterations > 1 else ""
        )
        return tables.render(
            ["bracket", "round", "trials", "epochs", "total epochs"],
            [
                [
                    r.bracket,
                    r.round,
                    r.trials,
                    f"{r.initial_epoch} to {r.epochs}",
                    r.total,
                ]
                for r in self.rungs
            ],
            title=f"Hyperband: {self.trials:,} trials, {self.epochs:,} epochs"
            + times,
        )


def hyperband_budget(
    max_epochs: int, factor: int = 3, iterations: int = 1
) -> HyperbandBudget:
    """Computes the brackets of Hyperband as in the paper.

    `max_epochs` and `factor` are R and η of the paper; `iterations` repeats
    all brackets. The most aggressive bracket is first.
    """
    most = 0
    while factor ** (most + 1) <= max_epochs:
        most += 1
    rungs = []
    for bracket in range(most, -1, -1):
        trials = -(-(most + 1) * factor**bracket // (bracket + 1))
        before = 0
        for i in range(bracket + 1):
            epochs = max(1, round(max_epochs / factor ** (bracket - i)))
            size = trials // factor**i
            rungs.append(Rung(bracket, i, size, epochs, before))
            before = epochs
    return HyperbandBudget(tuple(rungs), iterations)
