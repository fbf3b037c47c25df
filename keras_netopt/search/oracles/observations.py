"""Observations: points of the search space with their scores."""

import functools
import heapq
import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# Metric of a stopped trial: its epochs.
STOPPED_METRIC = "stopped_epoch"

FINISHED = "finished"
STOPPED = "stopped"
INFEASIBLE = "infeasible"
REJECTED = "rejected"
RUNNING = "running"


@dataclass(frozen=True, eq=False)
class Observation:
    """One point and its result.

    Args:
        values: The point.
        score: The loss: lower is better for both directions of the
            objective; `inf` for NaN or no score.
        state: "finished", "stopped" (by a stopper), "infeasible" (failed),
            "rejected" (violates a constraint, not trained) or "running".
        epochs: Epochs of a stopped trial. Defaults to `0.0`.
        curve: Pairs of an epoch, from 1, and the loss that the trial has
            after it, by rising epoch. Defaults to none.
        places: Coordinates in [0, 1]^d, NaN for inactive dimensions.
            Defaults to `None`.
    """

    values: Mapping[str, Any]
    score: float = math.inf
    state: str = FINISHED
    epochs: float = 0.0
    curve: Sequence[tuple[float, float]] = field(default=(), repr=False)
    places: Any = field(default=None, repr=False)

    @functools.cached_property
    def rank(self) -> tuple[float, ...]:
        """Sort key: finished by score, stopped by epochs, then the rest."""
        if self.state == FINISHED:
            return (0, self.score)
        if self.state == STOPPED:
            return (1, -self.epochs, self.score)
        return (2,)

    @functools.cached_property
    def is_evaluated(self) -> bool:
        """Whether the trial has ended."""
        return self.state in (FINISHED, STOPPED, INFEASIBLE)


Rank = Callable[[Observation], tuple[float, ...]]


def split_observations(
    observations: Sequence[Observation],
    count: int,
    rank: Rank = operator.attrgetter("rank"),
) -> tuple[list[Observation], list[Observation]]:
    """Splits off the `count` best observations by `rank`.

    Both parts keep the order of the start. Running and rejected points are
    never among the best.
    """
    ended = [i for i, o in enumerate(observations) if o.is_evaluated]
    best = set(
        heapq.nsmallest(count, ended, key=lambda i: rank(observations[i]))
    )
    return (
        [o for i, o in enumerate(observations) if i in best],
        [o for i, o in enumerate(observations) if i not in best],
    )


def to_loss(score: float | None, direction: str) -> float:
    """Converts a score to a loss to minimize; NaN is `inf`."""
    if score is None or math.isnan(score):
        return math.inf
    return float(score) if direction == "min" else -float(score)


def read_pairs(
    pairs: Iterable[Any], direction: str, name: str = "warm_start"
) -> list[Observation]:
    """Reads observations from `(values, score)` pairs."""
    found = []
    for pair in pairs:
        try:
            values, score = pair
            found.append(Observation(dict(values), to_loss(score, direction)))
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"Argument `{name}` must be a project folder or a list of "
                f"(values, score). Received: {name} with {pair!r}"
            ) from error
    return found
