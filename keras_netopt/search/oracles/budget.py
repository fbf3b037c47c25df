"""Sizes of Hyperband's brackets."""

from dataclasses import dataclass

from keras_netopt import tables


@dataclass(frozen=True)
class Rung:
    """One line of Hyperband's budget.

    Args:
        bracket: Number of the bracket: how often it halves.
        round: Number of the rung in it, from 0.
        trials: Trials of the rung.
        epochs: Epoch at which they end.
        initial_epoch: Epoch from which they go on.
    """

    bracket: int
    round: int
    trials: int
    epochs: int
    initial_epoch: int

    @property
    def total(self) -> int:
        """Epochs that the rung costs."""
        return self.trials * (self.epochs - self.initial_epoch)


@dataclass(frozen=True)
class HyperbandBudget:
    """What a search with Hyperband will cost; prints as a table.

    Example:

    >>> print(budget(3, 3))
    Hyperband: 6 trials, 11 epochs
    ┏━━━━━━━━━┳━━━━━━━┳━━━━━━━━┳━━━━━━━━┳━━━━━━━━━━━━━━┓
    ┃ bracket ┃ round ┃ trials ┃ epochs ┃ total epochs ┃
    ┡━━━━━━━━━╇━━━━━━━╇━━━━━━━━╇━━━━━━━━╇━━━━━━━━━━━━━━┩
    │       1 │     0 │      3 │ 0 to 1 │            3 │
    │       1 │     1 │      1 │ 1 to 3 │            2 │
    │       0 │     0 │      2 │ 0 to 3 │            6 │
    └─────────┴───────┴────────┴────────┴──────────────┘

    Args:
        rungs: One entry a rung, in the order in which they run.
        iterations: How often all of them run. Defaults to `1`.
    """

    rungs: tuple[Rung, ...]
    iterations: int = 1

    @property
    def trials(self) -> int:
        """All trials; one that is promoted counts again."""
        return self.iterations * sum(rung.trials for rung in self.rungs)

    @property
    def epochs(self) -> int:
        """All epochs that will be trained."""
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


def budget(
    max_epochs: int, factor: int = 3, iterations: int = 1
) -> HyperbandBudget:
    """Computes the sizes of Hyperband's brackets, as in the paper.

    Args:
        max_epochs: Epochs of the longest trial, R.
        factor: One in so many goes on, η.
        iterations: How often all brackets run. Defaults to `1`.

    Returns:
        The rungs, most aggressive bracket first.
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
