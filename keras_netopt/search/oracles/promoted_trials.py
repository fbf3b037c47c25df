"""Trials of Hyperband that continue one another, as one observation each."""

import dataclasses
from collections.abc import Iterable
from typing import Any

from keras_netopt.search.oracles.observations import (
    FINISHED,
    STOPPED,
    Observation,
)

EPOCHS, PARENT = "tuner/epochs", "tuner/trial_id"


def join_promoted(
    trials: Iterable[tuple[Any, Observation]], max_epochs: float
) -> list[Observation]:
    """Joins each promoted trial with those that it continues.

    The pairs are the id of a trial and its observation, oldest first. The
    joined one has the losses of all of them, and is a stopped trial unless it
    has `max_epochs`.
    """
    joined: dict[Any, Observation] = {}
    for name, one in trials:
        epochs = one.values.get(EPOCHS)
        if epochs is not None and one.state in (FINISHED, STOPPED):
            # The loss of the last epoch is the one that is promoted by.
            curve = [pair for pair in one.curve if pair[0] < epochs]
            curve.append((float(epochs), one.score))
            before = joined.pop(one.values.get(PARENT), None)
            if before is not None:
                curve = [*before.curve, *curve]
            state = FINISHED if epochs >= max_epochs else STOPPED
            one = dataclasses.replace(
                one, state=state, epochs=float(epochs), curve=curve
            )
        joined[name] = one
    return list(joined.values())
