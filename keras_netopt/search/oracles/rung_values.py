"""Trials of different length, compared after the same number of epochs.

Among trials that a stopper has ended, few are complete, and not all of these
are good: the first ones pass every rung. So the trials that have reached the
largest rung with enough of them are compared there, and the others, which
were stopped below, rank behind them.
"""

import bisect
import heapq
import math
from collections.abc import Iterator, Sequence
from typing import Any

from keras_netopt.search.oracles.observations import (
    FINISHED,
    STOPPED,
    Observation,
    to_loss,
)

Curve = tuple[tuple[float, float], ...]
# Where a tuner reports the epochs of a trial whose score is not the best
# epoch, and those of the first of several executions.
PREFIXES = ("epoch/", "", "execution0/", "fold0/", "fold0/execution0/")


def read_curve(metrics: Any, objective: str, direction: str) -> Curve:
    """Reads the losses of a trial after each epoch.

    The objective under its own name is scored by its best epoch, so the loss
    after an epoch is the best one so far.
    """
    for prefix in PREFIXES:
        name = f"{prefix}{objective}"
        if not metrics.exists(name):
            continue
        history = metrics.get_history(name)
        if len(history) < 2 and not prefix:
            continue
        best, curve = math.inf, []
        for report in history:
            loss = to_loss(float(report.mean()), direction)
            best = loss if prefix == "epoch/" else min(best, loss)
            curve.append((float(report.step + 1), best))
        return tuple(curve)
    return ()


def find_rung(observations: Sequence[Observation], least: int) -> float:
    """Returns the most epochs that at least `least` trials have reached.

    Infinity stands for complete trials. With fewer trials than `least` it is
    what all of them have reached.
    """
    reached = heapq.nlargest(least, _iterate_reached(observations))
    return reached[-1] if reached else math.inf


def count_at_rung(observations: Sequence[Observation], rung: float) -> int:
    """Counts the trials that have reached a rung."""
    return sum(epochs >= rung for epochs in _iterate_reached(observations))


def rank_at_rung(observation: Observation, rung: float) -> tuple[float, ...]:
    """Returns a sort key: by loss at the rung, then by epochs reached."""
    if observation.state not in (FINISHED, STOPPED):
        return (2,)
    reached = _reached(observation)
    if reached >= rung:
        return (0, _loss_at(observation, rung))
    return (1, -reached, observation.score)


def _iterate_reached(observations: Sequence[Observation]) -> Iterator[float]:
    for observation in observations:
        if observation.state in (FINISHED, STOPPED):
            yield _reached(observation)


def _reached(observation: Observation) -> float:
    """A complete trial has reached every epoch, wherever it ended."""
    if observation.state == FINISHED:
        return math.inf
    return observation.epochs


def _loss_at(observation: Observation, rung: float) -> float:
    """The loss of the last report up to a rung, or of the first one."""
    curve = observation.curve
    if not curve or rung >= curve[-1][0]:
        return observation.score
    place = bisect.bisect_right(curve, rung, key=lambda pair: pair[0])
    return curve[max(place - 1, 0)][1]
