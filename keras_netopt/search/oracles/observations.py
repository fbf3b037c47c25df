"""What a sampler learns from: points with their scores, best first."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# Metric of a trial that a stopper has ended: epochs that it ran.
STOPPED_METRIC = "stopped_epoch"

FINISHED = "finished"
STOPPED = "stopped"
INFEASIBLE = "infeasible"
REJECTED = "rejected"
RUNNING = "running"


@dataclass(frozen=True, eq=False)
class Observation:
    """One point and what became of it.

    Args:
        values: The point.
        score: Smaller is better, whatever the objective's direction; `inf`
            for NaN and where there is none.
        state: "finished", "stopped" (by a stopper, before its last epoch),
            "infeasible" (it failed), "rejected" (never run: it breaks a
            constraint) or "running".
        epochs: Epochs that a stopped trial ran. Defaults to `0.0`.
        places: Where the point lies in [0, 1]^d, NaN where not active.
            Defaults to `None`.
    """

    values: Mapping[str, Any]
    score: float = math.inf
    state: str = FINISHED
    epochs: float = 0.0
    places: Any = field(default=None, repr=False)

    @property
    def rank(self) -> tuple[float, ...]:
        """Sorts: finished by score, stopped longest first, then the rest."""
        if self.state == FINISHED:
            return (0, self.score)
        if self.state == STOPPED:
            return (1, -self.epochs, self.score)
        return (2,)

    @property
    def is_evaluated(self) -> bool:
        """Whether a trial has ended here."""
        return self.state in (FINISHED, STOPPED, INFEASIBLE)


def split(
    observations: Sequence[Observation], count: int
) -> tuple[list[Observation], list[Observation]]:
    """Parts the best from all others; both keep their order.

    Example:

    >>> points = [Observation({"x": i}, score) for i, score in enumerate("cab")]
    >>> best, rest = split(points, 1)
    >>> [p.values["x"] for p in best], [p.values["x"] for p in rest]
    ([1], [0, 2])

    Args:
        observations: In the order of their start.
        count: How many are the best. Points that are running or were
            rejected are never among them.

    Returns:
        The best and the rest.
    """
    ended = [i for i, o in enumerate(observations) if o.is_evaluated]
    ended.sort(key=lambda i: observations[i].rank)
    best = set(ended[:count])
    return (
        [o for i, o in enumerate(observations) if i in best],
        [o for i, o in enumerate(observations) if i not in best],
    )


def lower_is_better(score: float | None, direction: str) -> float:
    """Turns a score of an objective into one to minimise; NaN is worst."""
    if score is None or math.isnan(score):
        return math.inf
    return float(score) if direction == "min" else -float(score)


def from_pairs(
    pairs: Iterable[Any], direction: str, name: str = "warm_start"
) -> list[Observation]:
    """Reads observations given by hand.

    Args:
        pairs: `(values, score)` each, scores in the objective's own unit.
        direction: "min" or "max".
        name: The argument, for the error.

    Raises:
        ValueError: If an element is no such pair.
    """
    found = []
    for pair in pairs:
        try:
            values, score = pair
            found.append(
                Observation(dict(values), lower_is_better(score, direction))
            )
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"Argument `{name}` must be a project directory or a list of "
                f"(values, score). Received: {name} with {pair!r}"
            ) from error
    return found
